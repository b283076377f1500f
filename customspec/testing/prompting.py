"""The rules for prompting techniques: which demonstrations one shows, and that it always shows the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from unittest import SkipTest

from customspec.hookspecs import Fits, Refuses
from customspec.prompts import Example
from customspec.testing.checks import Check, RuleError, require
from customspec.testing.conversing import conversing_checks
from customspec.testing.fitting import SENTENCE, fit
from customspec.testing.fresh import prompts_of
from customspec.testing.models import TinyModels
from customspec.testing.rows import demonstrations, queries
from customspec.testing.shared import well_said
from customspec.testing.subject import Subject

SEEDS = range(5)
SENTENCES = {
    "shots": "`shots` is the number of training rows that a query needs at least.",
    "training_rows": "Demonstrations are training rows, none of them shown twice.",
    "never_its_own": "A query is never its own demonstration.",
    "few_rows": "As many training rows as it needs are enough, and none where it needs none.",
    "blind": "A query's demonstrations do not depend on its answer, which is not known when it counts.",
    "determinism": "Equal arguments give equal demonstrations.",
    "any_process": "Every process shows and reads the same, whatever its hash seed.",
}


def prompting_checks(subject: Subject, models: TinyModels) -> Iterator[Check]:
    """The rules of the family `prompting`: for every technique, and for the methods that this one has beside."""
    if isinstance(subject.technique, Refuses):
        sentence = "It takes rows that have what it asks for, and says in words what it does not take."
        yield Check("takes_rows", sentence, lambda: _takes_rows(subject))
    rules = (_shots, _training_rows, _never_its_own, _few_rows, _blind, _determinism, _any_process)
    for rule, (name, sentence) in zip(rules, SENTENCES.items(), strict=True):
        yield Check(name, sentence, partial(_where_taken, subject, partial(rule, subject)))
    for check in conversing_checks(subject):
        yield Check(check.name, check.rule, partial(_where_taken, subject, check.try_it))
    if isinstance(subject.technique, Fits):
        yield Check("fit", SENTENCE, partial(_where_taken, subject, partial(fit, subject, models)))


def _where_taken(subject: Subject, rule: Callable[[], None]) -> None:
    refusal = subject.refuses(subject.training())
    if refusal is not None:
        raise SkipTest(f"refused: {refusal.message}")
    rule()


def _takes_rows(subject: Subject) -> None:
    refusals = [subject.refuses(rows) for rows in ((), subject.training(1), subject.training())]
    for refusal in refusals:
        if refusal is not None:
            well_said(refusal, type(subject.options))
    taken = refusals[-1]
    if taken is not None and taken.install is not None:
        raise SkipTest(f"{taken.message}: pip install '{taken.install}'")
    if taken is not None:
        raise RuleError(f"it refuses {subject.rows} rows: {taken.message}; give the check other options")


def _selected(
    subject: Subject, rows: Sequence[Example], asked: Sequence[Example], seed: int = SEEDS[0]
) -> list[list[str]]:
    return demonstrations(subject.prompting, subject.options, rows, asked, seed)


def _shots(subject: Subject) -> None:
    count = subject.prompting.shots(subject.options)
    whole = isinstance(count, int) and not isinstance(count, bool) and count >= 0
    require(whole, f"`shots` gives {count!r}; it must be a number of rows, 0 or more")
    for seed in SEEDS:
        for shots in _selected(subject, subject.training(), queries(()), seed):
            require(len(shots) >= count, f"`shots` says {count}, but a query is shown {len(shots)} under seed {seed}")


def _training_rows(subject: Subject) -> None:
    rows = subject.training()
    known = {row.id for row in rows}
    for seed in SEEDS:
        for shots in _selected(subject, rows, queries(rows), seed):
            strange = [id for id in shots if id not in known]
            require(not strange, f"{', '.join(strange)} shown under seed {seed} are no training rows")
            require(len(set(shots)) == len(shots), f"a row is shown twice under seed {seed}: {', '.join(shots)}")


def _never_its_own(subject: Subject) -> None:
    rows = subject.training()
    for seed in SEEDS:
        for query, shots in zip(rows, _selected(subject, rows, rows, seed), strict=True):
            require(query.id not in shots, f"{query.id} is shown to itself under seed {seed}; compare the `id`s")


def _few_rows(subject: Subject) -> None:
    needed = subject.prompting.shots(subject.options)
    rows = subject.training(needed)
    if subject.refuses(rows) is None:
        for shots in _selected(subject, rows, queries(())):
            require(len(shots) <= needed, f"{len(shots)} demonstrations out of {needed} rows")
    more = subject.training(needed + 1)
    if subject.refuses(more) is not None:
        return
    for query, shots in zip(more, _selected(subject, more, more), strict=True):
        # a technique that names its rows would refuse those that are left
        if subject.refuses([row for row in more if row.id != query.id]) is None:
            require(len(shots) >= needed, f"{query.id} is shown {len(shots)} of the {needed} other rows")


def _blind(subject: Subject) -> None:
    rows = subject.training()
    asked = queries(rows)
    # as when it counts: the columns are those that the question needs
    unanswered = [replace(query, answer="", fields={"text": query.user}) for query in asked]
    for seed in SEEDS:
        knowing, blind = (_selected(subject, rows, each, seed) for each in (asked, unanswered))
        differing = [query.id for query, one, other in zip(asked, knowing, blind, strict=True) if one != other]
        require(not differing, f"{', '.join(differing)} shown other rows under seed {seed} when the answer is unknown")


def _determinism(subject: Subject) -> None:
    rows = subject.training()
    asked = queries(rows)
    for seed in SEEDS:
        first = _selected(subject, rows, asked, seed)
        require(first == _selected(subject, list(rows), asked, seed), f"seed {seed} gave two different selections")
        backwards = _selected(subject, rows, asked[::-1], seed)[::-1]
        require(first == backwards, f"under seed {seed} a selection depends on the queries asked before")


def _any_process(subject: Subject) -> None:
    here = prompts_of(subject.prompting, subject.options, subject.rows)
    for hash_seed, fresh in enumerate(subject.fresh, 1):
        there = fresh.answer("prompts")
        differing = [name for name, value in here.items() if there[name] != value]
        problem = f"other {' and '.join(differing)} under PYTHONHASHSEED={hash_seed}; is a set's order used?"
        require(not differing, problem)
