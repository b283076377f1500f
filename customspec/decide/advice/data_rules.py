"""The rules on data, as a table: what is looked for, what to do about it, and who found that it matters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from customspec.decide.advice.doubles import conflicting, near, repeated, same
from customspec.hookspecs.advice import Facts
from customspec.prompts import Example

NAMED = 3  # rows that a finding names
FEW = 8  # training rows of a class
UNEVEN = 3.0  # times a fair share
FULL = 0.9  # of the context


@dataclass(frozen=True, slots=True)
class Matches:
    """Rows that a rule found: how many, the same as a sentence, and the places of the first of them."""

    count: int
    sentence: str
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DataRule:
    """`when` says in words what `find` looks for."""

    name: str
    when: str
    find: Callable[[Facts], Iterator[Matches]]
    advice: str
    source: str


def _pairs(
    facts: Facts, first: Sequence[Example], second: Sequence[Example], pairs: list[tuple[int, int]]
) -> tuple[str, ...]:
    named = pairs[:NAMED]
    return tuple(f"{facts.places[first[one].id]} and {facts.places[second[other].id]}" for one, other in named)


def _rows(number: int, split: str) -> str:
    return f"{number} {split} row{'' if number == 1 else 's'}"


def _within(
    facts: Facts, find: Callable[[Sequence[Example]], list[tuple[int, int]]], one: str, many: str
) -> Iterator[Matches]:
    for split, rows in facts.examples.items():
        if pairs := find(rows):
            sentence = f"{_rows(len(pairs), split)} {one if len(pairs) == 1 else many}"
            yield Matches(len(pairs), sentence, _pairs(facts, rows, rows, pairs))


def _between(
    facts: Facts, find: Callable[[Sequence[Example], Sequence[Example]], list[tuple[int, int]]], how: str
) -> Iterator[Matches]:
    for earlier, later in combinations(facts.examples, 2):
        first, second = facts.examples[later], facts.examples[earlier]
        if first and second and (pairs := find(first, second)):
            verb = "asks" if len(pairs) == 1 else "ask"
            sentence = f"{_rows(len(pairs), later)} {verb} {how} what a {earlier} row asks"
            yield Matches(len(pairs), sentence, _pairs(facts, first, second, pairs))


def _rare(facts: Facts) -> Iterator[Matches]:
    rare = sorted((count, choice) for choice, count in facts.classes.items() if count < FEW)
    if rare and facts.train_rows:
        listed = ", ".join(f"`{choice}` {count}" for count, choice in rare[:NAMED])
        more = f" and {len(rare) - NAMED} more" if len(rare) > NAMED else ""
        of = f"{len(rare)} of {len(facts.classes)} choices"
        yield Matches(len(rare), f"{of} have fewer than {FEW} training rows: {listed}{more}", ())


def _uneven(facts: Facts) -> Iterator[Matches]:
    if len(facts.classes) < 2 or not facts.train_rows or facts.metric != "accuracy":
        return
    choice, count = max(facts.classes.items(), key=lambda one: one[1])
    share = count / facts.train_rows
    if share >= min(0.8, UNEVEN / len(facts.classes)):
        sentence = (
            f"{count} of {facts.train_rows} training rows are `{choice}`: to answer it always is right on that share"
        )
        yield Matches(count, f"{sentence}, {share:.2f}", ())


def _unseen(facts: Facts) -> Iterator[Matches]:
    answers = {example.answer for example in facts.examples.get("test", ())}
    if missing := sorted(set(facts.choices or ()) - answers):
        listed = ", ".join(f"`{choice}`" for choice in missing[:NAMED]) + (", ..." if len(missing) > NAMED else "")
        yield Matches(
            len(missing), f"{len(missing)} of {len(facts.choices or ())} choices have no test row: {listed}", ()
        )


def _long(facts: Facts) -> Iterator[Matches]:
    for split, lengths in facts.tokens.items():
        rows = facts.examples[split]
        long = [index for index, length in enumerate(lengths) if facts.context and length > FULL * facts.context]
        if long:
            verb = "fills" if len(long) == 1 else "fill"
            sentence = (
                f"{_rows(len(long), split)} {verb} more than nine tenths of the context of {facts.context} tokens"
            )
            yield Matches(len(long), sentence, tuple(facts.places[rows[index].id] for index in long[:NAMED]))


DATA_RULES: tuple[DataRule, ...] = (
    DataRule(
        "conflicting",
        "rows of a split that ask the same and answer otherwise",
        lambda facts: _within(
            facts,
            conflicting,
            "answers otherwise than an equal row before it",
            "answer otherwise than equal rows before them",
        ),
        "decide which answer is right: no model can be right on both",
        "Northcutt et al. 2021, Pervasive Label Errors in Test Sets Destabilize Machine Learning Benchmarks",
    ),
    DataRule(
        "repeated",
        "rows of a split that ask the same",
        lambda facts: _within(facts, repeated, "asks what an earlier row asks", "ask what an earlier row asks"),
        "keep one of each: repeated rows are learned by heart, and count twice in every figure",
        "Lee et al. 2022, Deduplicating Training Data Makes Language Models Better",
    ),
    DataRule(
        "nearly_repeated",
        "training rows whose questions are nearly the same",
        lambda facts: _within(
            replace(facts, examples={"train": facts.examples.get("train", ())}),
            near,
            "is nearly an earlier one",
            "are nearly earlier ones",
        ),
        "if they come from one source, give them one value in a column and name it as `data.group`",
        "Lee et al. 2022, Deduplicating Training Data Makes Language Models Better",
    ),
    DataRule(
        "leaked",
        "rows of one split that ask exactly what a row of another asks",
        lambda facts: _between(facts, same, "exactly"),
        "take them out of one: a score on rows seen before says nothing of new ones",
        "Kapoor and Narayanan 2023, Leakage and the Reproducibility Crisis in Machine-Learning-Based Science",
    ),
    DataRule(
        "nearly_leaked",
        "rows of one split whose questions are nearly those of another",
        lambda facts: _between(facts, near, "nearly"),
        "look at them: variants of one text belong into one split, by `data.group`",
        "Kapoor and Narayanan 2023, Leakage and the Reproducibility Crisis in Machine-Learning-Based Science",
    ),
    DataRule(
        "rare",
        f"choices with fewer than {FEW} training rows",
        _rare,
        "add rows, or put rare choices together: so few can hardly be learned, or shown evenly in a prompt",
        "Gao et al. 2021, Making Pre-trained Language Models Better Few-shot Learners, has 16 rows a class; "
        "the border is ours",
    ),
    DataRule(
        "uneven",
        "one choice has three times a fair share of the training rows or more, or eight tenths of them, and the goal's "
        "metric is accuracy",
        _uneven,
        "`macro_f1` or `matthews_correlation` sees what accuracy hides",
        "He and Garcia 2009, Learning from Imbalanced Data, section 4",
    ),
    DataRule(
        "untested",
        "choices without a test row",
        _unseen,
        "nothing will be known of them: add test rows",
        "the claim is about the test rows, docs/decision.md",
    ),
    DataRule(
        "long",
        "prompts that fill more than nine tenths of the context",
        _long,
        "demonstrations will not fit beside them: `data.on_long` says what happens then",
        "docs/spec.md, `data.on_long`",
    ),
)
