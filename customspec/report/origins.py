"""Where figures come from, in a line: candidate, seed, rows, and how the steps' fingerprints begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from customspec.report.numbers import NONE

View = Mapping[str, Any]


def short(digest: str | None) -> str:
    return NONE if digest is None else digest.removeprefix("sha256:")[:12]


def trace(candidate: View) -> str:
    """Of what rests on all that became of a candidate: each of its steps."""
    steps = "; ".join(f"{_worked_on(step)} {short(step['fingerprint'])}" for step in candidate["trace"])
    return f"{_named(candidate)}; steps: {steps}"


def split_origin(view: View, key: str, split: str) -> str:
    """Of what was measured on a split: the evaluation."""
    candidate = next((one for one in view["candidates"] if one["key"] == key), None)
    step = None if candidate is None else next((one for one in candidate["trace"] if one["split"] == split), None)
    return key if candidate is None or step is None else f"{_named(candidate)}, {_told(step, f'{split} rows')}"


def pair_origin(pair: View, view: View) -> str:
    """Of a verdict: both evaluations, and the decision on the rows that they share."""
    both = "; ".join(split_origin(view, pair[side], pair["split"]) for side in ("first", "second"))
    decided = next((short(step["fingerprint"]) for step in view["steps"] if step["step"] == "decide"), NONE)
    return f"{both}; {pair['n']} shared rows, step decide {decided}"


def spread_origin(id: str, split: str, view: View) -> str:
    """Of a spread over seeds: each seed's evaluation."""
    found = (one for one in view["candidates"] if one["id"] == id and one["metrics"][split])
    return "; ".join(split_origin(view, one["key"], split) for one in found)


def training_origin(candidate: View) -> str:
    """Of a training's curve: the training."""
    step = next((step for step in candidate["trace"] if step["kind"] == "train"), None)
    return _named(candidate) if step is None else f"{_named(candidate)}, {_told(step, 'training rows')}"


def point_origin(point: View, view: View) -> str:
    """Of a point of the learning curve: its own steps, or those of the candidate itself; of one that the law foretells,
    the candidate alone."""
    key = view["curve"]["candidate"]
    candidate = next((one for one in view["candidates"] if one["key"] == key), None)
    if "n" not in point:
        return key if candidate is None else _named(candidate)
    of = [one for one in view["steps"] if one.get("training_rows") == point["rows"] and one.get("candidate") == key]
    if not of:
        return key if candidate is None else trace(candidate)
    steps = "; ".join(f"{step['kind']} {short(step['fingerprint'])}" for step in of)
    return f"{key}, seed {of[0]['seed']}; {point['rows']} training rows; steps: {steps}"


def _named(candidate: View) -> str:
    return f"{candidate['key']}, seed {candidate['seed']}"


def _told(step: View, rows: str) -> str:
    counted = f"{step['rows']} {rows}, " if step["rows"] else ""
    return f"{counted}step {step['step']} {short(step['fingerprint'])}"


def _worked_on(step: View) -> str:
    rows = f", {step['rows']} rows" if step["rows"] else ""
    return f"{step['split'] or step['kind']}{rows}:"
