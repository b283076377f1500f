"""What is asked of a prompting technique: which demonstrations it shows, and that it always shows the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from customspec.prompts import Example
from customspec.testing.checks import Check, require
from customspec.testing.rows import demonstrations, examples, queries
from customspec.testing.subject import Subject

SEEDS = range(5)


def prompting_checks(subject: Subject) -> Iterator[Check]:
    """The rules of the family `prompting`."""
    yield Check("shots", "`shots` is the number of training rows that a query needs at least.", lambda: _shots(subject))
    yield Check(
        "training_rows", "Demonstrations are training rows, none of them shown twice.", lambda: _training_rows(subject)
    )
    yield Check("never_its_own", "A query is never its own demonstration.", lambda: _never_its_own(subject))
    yield Check(
        "few_rows", "As many training rows as it needs are enough, and none where it needs none.", lambda: _few(subject)
    )
    yield Check("determinism", "Equal arguments give equal demonstrations.", lambda: _determinism(subject))
    yield Check(
        "any_process", "Every process shows the same demonstrations, whatever its hash seed.", lambda: _process(subject)
    )


def _rows(subject: Subject) -> tuple[Example, ...]:
    return examples(subject.rows)


def _shown(
    subject: Subject, rows: Sequence[Example], asked: Sequence[Example], seed: int = SEEDS[0]
) -> list[list[str]]:
    return demonstrations(subject.prompting, subject.options, rows, asked, seed)


def _shots(subject: Subject) -> None:
    count = subject.prompting.shots(subject.options)
    whole = isinstance(count, int) and not isinstance(count, bool) and count >= 0
    require(whole, f"`shots` gives {count!r}; it must be a number of rows, 0 or more")
    for seed in SEEDS:
        for shots in _shown(subject, _rows(subject), queries(()), seed):
            require(len(shots) >= count, f"`shots` says {count}, but a query is shown {len(shots)} under seed {seed}")


def _training_rows(subject: Subject) -> None:
    rows = _rows(subject)
    known = {row.id for row in rows}
    for seed in SEEDS:
        for shots in _shown(subject, rows, queries(rows), seed):
            strange = [id for id in shots if id not in known]
            require(not strange, f"{', '.join(strange)} shown under seed {seed} are no training rows")
            require(len(set(shots)) == len(shots), f"a row is shown twice under seed {seed}: {', '.join(shots)}")


def _never_its_own(subject: Subject) -> None:
    rows = _rows(subject)
    for seed in SEEDS:
        for query, shots in zip(rows, _shown(subject, rows, rows, seed), strict=True):
            require(query.id not in shots, f"{query.id} is shown to itself under seed {seed}; compare the `id`s")


def _few(subject: Subject) -> None:
    needed = subject.prompting.shots(subject.options)
    rows = examples(needed)
    for shots in _shown(subject, rows, queries(())):
        require(len(shots) <= needed, f"{len(shots)} demonstrations out of {needed} rows")
    more = examples(needed + 1)
    for query, shots in zip(more, _shown(subject, more, more), strict=True):
        require(len(shots) >= needed, f"{query.id} is shown {len(shots)} of the {needed} other rows")


def _determinism(subject: Subject) -> None:
    rows = _rows(subject)
    asked = queries(rows)
    for seed in SEEDS:
        first = _shown(subject, rows, asked, seed)
        require(first == _shown(subject, list(rows), asked, seed), f"seed {seed} gave two different selections")
        backwards = _shown(subject, rows, asked[::-1], seed)[::-1]
        require(first == backwards, f"under seed {seed} a selection depends on the queries asked before")


def _process(subject: Subject) -> None:
    rows = _rows(subject)
    here = demonstrations(subject.prompting, subject.options, rows, queries(rows))
    for hash_seed, fresh in enumerate(subject.fresh, 1):
        shown = fresh.answer("shots")
        require(shown == here, f"other demonstrations under PYTHONHASHSEED={hash_seed}; is a set's order used?")
