"""`customspec advise SPEC`: what is worth trying, and what the data lacks, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from customspec.cli.goal_rows import goal_lines
from customspec.cli.options import device_option, json_option, set_option, spec_argument, store_option
from customspec.cli.output import show_json
from customspec.cli.places import store_root
from customspec.cli.planning import make_plan
from customspec.cli.roots import allow_root_option
from customspec.compiler.advising import advised_on, facts_of
from customspec.decide.advice.advise import Advised, DataFinding, look_at_rows
from customspec.decide.prospect import MEMO
from customspec.errors import Exit
from customspec.hookspecs.advice import Facts
from customspec.machine import detect
from customspec.report.text import escape
from customspec.store import Store


@click.command("advise")
@spec_argument
@set_option
@device_option
@store_option
@allow_root_option
@json_option
def command(
    spec: Path, store: Path | None, device: str, sets: tuple[str, ...], allow_root: tuple[Path, ...], *, as_json: bool
) -> int:
    """Say which candidates are worth trying, with reasons and their sources, and what stands out in the data.

    Reads the spec, the rows and the model's header; runs nothing. A spec without `techniques` is advised on the ladder.
    """
    machine = detect(device)
    root = store_root(spec, store)
    compiled = make_plan(spec, root, machine, sets=sets, allow_root=allow_root)
    facts = facts_of(compiled, machine)
    advised = advised_on(compiled, facts)
    findings = look_at_rows(facts)
    goal = goal_lines(compiled.claim, Store(root).memo(MEMO))
    if as_json:
        show_json(_document(compiled.plan.name, facts, advised, findings, goal))
    else:
        click.echo("\n".join(map(escape, _lines(compiled.plan.name, facts, advised, findings, goal))))
    return Exit.DONE


def _document(
    name: str, facts: Facts, advised: Sequence[Advised], findings: Sequence[DataFinding], goal: Sequence[str]
) -> dict[str, Any]:
    return {
        "advice": 1,
        "name": name,
        "facts": facts.to_json(),
        "candidates": [one.to_json() for one in advised],
        "data": [finding.to_json() for finding in findings],
        "goal": list(goal),
    }


def _lines(
    name: str, facts: Facts, advised: Sequence[Advised], findings: Sequence[DataFinding], goal: Sequence[str]
) -> Iterator[str]:
    rows = ", ".join(f"{len(found)} {split}" for split, found in facts.examples.items())
    parameters = (
        "" if facts.parameters is None else f"; {facts.parameters:,} parameters, {facts.context} tokens context"
    )
    yield f"{name}: {rows or 'no'} rows{parameters}"
    for one in advised:
        yield ""
        yield f"{one.verdict:4}  {one.key}"
        for reason in one.reasons:
            yield f"      {reason.because} [{reason.source}]"
    yield from ("", "data")
    for finding in findings:
        named = f": {'; '.join(finding.rows)}" if finding.rows else ""
        yield f"  - {finding.sentence}{named}{' ...' if finding.count > len(finding.rows) > 0 else ''}"
        yield f"    {finding.advice} [{finding.source}]"
    if not findings:
        yield "  nothing stands out"
    if goal:
        yield from ("", "goal")
        yield from (f"  {line}" for line in goal)
