"""What the answers of one candidate look like together: which class is taken for which, how the rows' scores lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean, quantiles
from typing import Any

from customspec.inputs.documents import Prediction

BINS = 20
NO_ANSWER = "no answer"


def confusion(predictions: Sequence[Prediction], choices: Sequence[str]) -> dict[str, Any]:
    """`counts[right][given]` over `classes` (right answers) and `given` (the same, and none where one was not read)."""
    found = Counter((one["answer"], one["prediction"]) for one in predictions)
    strays = sorted({str(given) for _, given in found if given is not None} - set(choices))
    given = [*choices, *strays, *([None] if any(answer is None for _, answer in found) else [])]
    counts = [[found[right, answer] for answer in given] for right in choices]
    return {
        "classes": list(choices),
        "given": [NO_ANSWER if answer is None else answer for answer in given],
        "counts": counts,
        "recall": [row[place] / sum(row) if sum(row) else None for place, row in enumerate(counts)],
    }


def mistakes(table: dict[str, Any], most: int = 12) -> list[dict[str, Any]]:
    """The commonest confusions of two classes."""
    found = [
        {"right": right, "given": answer, "rows": count}
        for right, row in zip(table["classes"], table["counts"], strict=True)
        for answer, count in zip(table["given"], row, strict=True)
        if count and answer != right
    ]
    return sorted(found, key=lambda mistake: -mistake["rows"])[:most]


def distribution(scores: Sequence[float], low: float, high: float) -> dict[str, Any]:
    """The rows' scores in twenty bins from `low` to `high`, and by their quartiles."""
    width = (high - low) / BINS or 1.0
    bins = Counter(min(max(int((score - low) / width), 0), BINS - 1) for score in scores)
    cuts = quantiles(scores, n=4, method="inclusive") if len(scores) > 1 else [scores[0]] * 3
    return {
        "rows": len(scores),
        "low": low,
        "high": high,
        "bins": [bins[place] for place in range(BINS)],
        "mean": fmean(scores),
        "quartiles": [min(scores), *cuts, max(scores)],
    }
