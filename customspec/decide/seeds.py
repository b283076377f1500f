"""How far a candidate's seeds lie apart: luck in training and drawing, which the interval over rows does not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import stdev
from typing import Any


def spread_of(candidates: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any]:
    """For each id with several evaluated seeds and each split: the lowest, the highest, and the standard deviation.

    `candidates` are those of the results document. Rows of several seeds are never pooled: they are the same rows.
    """
    values: dict[str, dict[str, dict[int, float]]] = {}
    for candidate in candidates:
        for split, metrics in candidate["metrics"].items():
            if metrics is not None:
                of_split = values.setdefault(candidate["id"], {}).setdefault(split, {})
                of_split[candidate["seed"]] = metrics[metric]["value"]
    found = {
        id: {split: _spread(of_seeds) for split, of_seeds in splits.items() if len(of_seeds) > 1}
        for id, splits in values.items()
    }
    return {id: splits for id, splits in found.items() if splits}


def _spread(of_seeds: Mapping[int, float]) -> dict[str, Any]:
    values = list(of_seeds.values())
    return {"seeds": list(of_seeds), "values": values, "min": min(values), "max": max(values), "sd": stdev(values)}
