"""Decide: the candidates' answers and costs, side by side, to one answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from customspec.decide.decision import Question, Standing, decide
from customspec.decide.pairs import compare_all
from customspec.decide.samples import Measure, Sample
from customspec.inputs.splits import SPLITS, groups_of
from customspec.plan import Step
from customspec.runners.metrics import Scoring
from customspec.runners.rows import read_lines
from customspec.runners.samples import sample_of
from customspec.runners.spending import reading_of, spending_of
from customspec.runners.work import Need, Work
from customspec.spec import Cost, Goal

Samples = Mapping[str, Mapping[str, Sample]]
"""For each split, each evaluated candidate's answers."""


def run(step: Step, work: Work, _: Path) -> dict[str, Any]:
    """The decision, over the candidates whose evaluations are there, and what every pair of them says."""
    params = step.params
    found: dict[str, list[Need]] = {}
    for need in work.needs.values():
        found.setdefault(need.step.candidate or "", []).append(need)
    by_key = {key: found[key] for key in params["order"] if key in found}
    scoring = Scoring.of(params["metric"], work.registry)
    question = _question(params, scoring)
    column = params["group"]
    groups = {split: None if column is None else groups_of(work.rows(split), column) for split in SPLITS[1:]}
    samples = {split: _samples(split, by_key, scoring, groups[split]) for split in SPLITS[1:]}
    decision = decide(
        question, [_standing(key, needs, samples, params["base_parameters"][key] or 1) for key, needs in by_key.items()]
    )
    pairs = _pairs(samples, decision.chosen_on, question, work)
    return {**decision.to_json(), "pairs": pairs}


def _question(params: Mapping[str, Any], scoring: Scoring) -> Question:
    measure = Measure.of(scoring.metric, scoring.id)
    return Question(
        measure=measure,
        goal=None if params["goal"] is None else Goal.model_validate(params["goal"]),
        strategy=params["strategy"],
        confidence=params["confidence"],
        margin=measure.default_margin if params["margin"] is None else params["margin"],
        candidates=len(params["order"]) - (params["gauge"] is not None),
        cost=None if params["cost"] is None else Cost.model_validate(params["cost"]),
        gauge=params["gauge"],
        skipped=params["skipped"],
    )


def _samples(
    split: str, by_key: Mapping[str, list[Need]], scoring: Scoring, groups: Mapping[str, str] | None
) -> dict[str, Sample]:
    found: dict[str, Sample] = {}
    for key, needs in by_key.items():
        for need in needs:
            if need.step.kind == "evaluate" and need.step.params["split"] == split:
                records = read_lines(need.result.folder / "predictions.jsonl")
                found[key] = sample_of(scoring, records, groups)
    return found


def _pairs(samples: Samples, chosen_on: str | None, question: Question, work: Work) -> list[dict[str, Any]]:
    """Every pair of candidates on each split, each split a family of its own. Verdicts of the split that the choice was
    made on have the role `choosing`; the others only describe."""
    found: list[dict[str, Any]] = []
    for split, family in samples.items():
        work.tell(0, None, f"comparing {len(family)} candidates on the {split} rows")
        role = "choosing" if split == chosen_on else "descriptive"
        pairs = compare_all(family, question.measure, question.confidence)
        shared = {"split": split, "role": role, "family": len(pairs), "confidence": question.confidence}
        found += [{**shared, **pair.to_json()} for pair in pairs]
    return found


def _standing(key: str, needs: list[Need], samples: Samples, base_parameters: int) -> Standing:
    evaluated = [need.result.values for need in needs if need.step.kind == "evaluate"]
    tokens = max((values["prompt_tokens_per_example"] for values in evaluated), default=0.0)
    reading = next((reading_of(need.step, tokens) for need in needs if need.step.kind == "evaluate"), None)
    trained: Mapping[str, Any] = next((need.result.values for need in needs if need.step.kind == "train"), {})
    return Standing(
        key=key,
        id=key.rpartition("@")[0],
        family="tuning" if trained else "prompting",
        validation=samples["validation"].get(key),
        test=samples["test"].get(key),
        prompt_tokens=tokens,
        artifact_bytes=trained.get("artifact_bytes", 0),
        train_seconds=trained.get("train_seconds", 0.0),
        spending=spending_of([need.result.values for need in needs], reading),
        base_parameters=base_parameters,
    )
