"""Several runs on one screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.table import Table

from customspec.decide.decision import CHOICES
from customspec.report import numbers
from customspec.report.changes import counted
from customspec.report.tables import plain_table
from customspec.report.text import clipped, escape

LONG = 60  # characters of a setting
# columns that a narrow terminal can do without, the first ones first
DISPENSABLE_OF_RUNS: Final = ("trained", "prompt tokens", "a request", "training", "status")
DISPENSABLE_OF_PAIRS: Final = ("n", "p, Holm")


def runs_table(document: Mapping[str, Any]) -> Table:
    """A line for each candidate of each run, the chosen ones marked."""
    metric = document["metric"]
    titles = (
        f"{metric} (validation)",
        f"{metric} (test), interval",
        "training",
        "a request",
        "prompt tokens",
        "trained",
    )
    table = plain_table("run", "candidate", *titles, "status", right=range(2, 8))
    for run in document["runs"]:
        chosen = run["chosen_key"] if run["ending"] in CHOICES else None
        for candidate in run["candidates"]:
            cost, measured = candidate["cost"], candidate["metrics"]
            speed, validation = cost["rows_per_second"], measured["validation"]
            table.add_row(
                escape(run["run"]),
                ("→ " if candidate["key"] == chosen else "  ") + escape(candidate["key"]),
                numbers.value(validation and validation["value"]),
                numbers.interval(measured["test"]),
                numbers.seconds(cost["train_seconds"]),
                numbers.seconds(1 / speed if speed else None),
                numbers.count(cost["prompt_tokens_per_example"]),
                numbers.count(cost["trainable_parameters"]),
                candidate["status"],
            )
    return table


def pairs_table(document: Mapping[str, Any]) -> Table:
    """The verdicts; those on validation rows are one family, those on test rows another."""
    titles = ("rows", "first", "is", "than", "difference", "interval", "p, Holm", "n")
    table = plain_table(*titles, right=(4, 5, 6, 7))
    for pair in document["pairs"]:
        low, high = map(numbers.difference, pair["ci"])
        table.add_row(
            pair["split"],
            _end(pair["first"]),
            pair["verdict"],
            _end(pair["second"]),
            numbers.difference(pair["difference"]),
            f"[{low}, {high}]",
            numbers.probability(pair["p_holm"]),
            str(pair["n"]),
        )
    return table


def change_lines(changed: Mapping[str, Any]) -> Iterator[str]:
    """What a run's spec says otherwise than the first one's."""
    settings: Sequence[Mapping[str, Any]] = changed["settings"]
    title = f"{escape(changed['from'])} to {escape(changed['to'])}"
    yield f"{title}: {counted(len(settings))}" if settings else f"{title}: the specs say the same"
    for change in settings:
        before, after = (
            clipped(escape(str(value)), LONG) if there else "absent"
            for value, there in zip((change["before"], change["after"]), change["there"], strict=True)
        )
        yield f"  {escape(change['path'])}: {before} → {after}"


def _end(end: Mapping[str, str]) -> str:
    return f"{escape(end['run'])} {escape(end['candidate'])}"
