"""Decide: the candidates' estimates and costs, side by side, to one answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from customspec.decide.decision import Standing, decide
from customspec.plan import Step
from customspec.runners.metrics import Scoring
from customspec.runners.work import Need, Work


def run(step: Step, work: Work, _: Path) -> dict[str, Any]:
    """The decision, over the candidates whose evaluations are there."""
    params = step.params
    by_key: dict[str, list[Need]] = {}
    for need in work.needs.values():
        by_key.setdefault(need.step.candidate or "", []).append(need)
    scoring = Scoring.of(params["metric"], work.registry)
    standings = [_standing(key, by_key[key], scoring.id) for key in params["order"] if key in by_key]
    higher = scoring.metric.higher_is_better
    return decide(params["goal"], scoring.id, standings, params["strategy"], higher).to_json()


def _standing(key: str, needs: list[Need], metric: str) -> Standing:
    splits = {need.step.params["split"]: need.result.values for need in needs if need.step.kind == "evaluate"}
    found = {name: values["metrics"][metric] for name, values in splits.items()}
    trained: Mapping[str, Any] = next((need.result.values for need in needs if need.step.kind == "train"), {})
    test = found.get("test")
    return Standing(
        key=key,
        id=key.rpartition("@")[0],
        family="tuning" if trained else "prompting",
        validation=found["validation"]["value"] if "validation" in found else None,
        test=test["value"] if test else None,
        test_interval=(test["ci"][0], test["ci"][1]) if test else None,
        prompt_tokens=max((values["prompt_tokens_per_example"] for values in splits.values()), default=0.0),
        artifact_bytes=trained.get("artifact_bytes", 0),
        train_seconds=trained.get("train_seconds", 0.0),
    )
