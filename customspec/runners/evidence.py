"""What a report shows beside the numbers: the metrics' directions, the data's health, rows in question, prompts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from customspec.decide.samples import Measure
from customspec.errors import CustomspecError
from customspec.inputs.health import health_of
from customspec.inputs.splits import SPLITS, groups_of
from customspec.plan import Plan, Step, digest
from customspec.prompts import Example, Row
from customspec.registry import Registry
from customspec.report.disagreements import Weighing, disagreements
from customspec.runners.answers import reserve_of
from customspec.runners.metrics import Scoring
from customspec.runners.outcome import Outcome
from customspec.runners.rows import load_rows, read_lines
from customspec.runners.warm import Warm
from customspec.runners.work import Host, Need, Work, encode_rows, located, settled, template_of

log = logging.getLogger("customspec")
VERSION = 1


def evidence_of(plan: Plan, outcome: Outcome, chosen: str | None, registry: Registry) -> dict[str, Any]:
    """The evidence as plain JSON. Where no candidate was evaluated, or the data are not there, what rests on them is
    left out."""
    evaluations = [step for step in plan.steps if step.kind == "evaluate" and outcome.steps[step.id].result is not None]
    data = outcome.steps["data"].result
    if not evaluations or data is None:
        return {"evidence": VERSION}
    scorings = {named["id"]: Scoring.of(named, registry) for named in evaluations[0].params["metrics"]}
    measures = {id: Measure.of(scoring.metric, id) for id, scoring in scorings.items()}
    rows = {split: load_rows(data.folder / f"{split}.jsonl") for split in SPLITS}
    params = located(evaluations[0])
    column = params["group"]
    examples = {split: template_of(params).render_all(found) for split, found in rows.items()}
    return {
        "evidence": VERSION,
        "metrics": {id: _measure(measure) for id, measure in measures.items()},
        "rows": {split: _identities(rows[split]) for split in SPLITS[1:]},
        "groups": {split: None if column is None else groups_of(rows[split], column) for split in SPLITS[1:]},
        "data": health_of(examples, classes=params["choices"] is not None),
        "disagreements": _disagreements(evaluations, outcome, examples, measures[plan.metrics[0]], chosen),
    }


def seen_by(step: Step, outcome: Outcome, plan: Plan, host: Host, warm: Warm) -> Any:
    """The first evaluated row's prompt, character for character as the model read it; None where it cannot be made."""
    result = outcome.steps[step.id].result
    assert result is not None
    first = read_lines(result.folder / "predictions.jsonl")[0]["id"]
    needs = _needs(step, outcome, plan)
    work = Work(needs, host.registry, host.machine, host.store.root, lambda *_: None, warm=warm)
    params = settled(step, work)
    try:
        _, chat = work.header_and_chat
        query = next(row for row in work.rows(params["split"]) if row.id == first)
        encoded = encode_rows(params, (query,), work, reserve=reserve_of(params, chat)).rows[0]
        text = chat.decode(encoded.prompt, special=True)
    except CustomspecError as error:  # the model has gone since: what was measured still holds
        log.warning("the prompt of %s cannot be shown: %s", step.id, error)
        return None
    return {"split": params["split"], "row": first, "text": text, "tokens": len(encoded.prompt)}


def _needs(step: Step, outcome: Outcome, plan: Plan) -> dict[str, Need]:
    found = ((id, outcome.steps[id].result) for id in step.needs)
    return {id: Need(plan.step(id), result) for id, result in found if result is not None}


def _measure(measure: Measure) -> dict[str, Any]:
    names = ("lowest", "highest", "higher_is_better", "proportion")
    return {name: getattr(measure, name) for name in names}


def _identities(rows: tuple[Row, ...]) -> dict[str, str]:
    """A digest of each row's columns, by its id: so it is known in other runs, wherever it stands there."""
    return {row.id: digest(dict(row.fields)).removeprefix("sha256:")[:16] for row in rows}


def _disagreements(
    evaluations: list[Step],
    outcome: Outcome,
    examples: Mapping[str, list[Example]],
    measure: Measure,
    chosen: str | None,
) -> dict[str, Any]:
    """On validation rows, where there are any: whoever looks at test rows and changes the prompt has spent them."""
    split = "validation" if examples["validation"] else "test"
    answered = {
        step.candidate or "": read_lines(result.folder / "predictions.jsonl")
        for step in evaluations
        if step.params["split"] == split and (result := outcome.steps[step.id].result) is not None
    }
    classes = evaluations[0].params["choices"] is not None
    found = disagreements(answered, Weighing(measure.name, measure.higher_is_better, classes, chosen))
    asked = {example.id: example for example in examples[split]}
    shown = [{**row, "question": _asked(asked[row["row"]])} for row in found["shown"]]
    return {"split": split, **found, "shown": shown}


def _asked(example: Example) -> str:
    """The earlier turns, each with its role, and the question."""
    return "\n".join([*(f"{turn.role}: {turn.content}" for turn in example.history), example.user])
