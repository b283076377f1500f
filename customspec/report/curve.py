"""The learning curve for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from customspec.report.text import escape


def curve_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The answer, then each size; nothing of a run without a curve."""
    curve = document.get("curve")
    if curve is None:
        return
    yield f"learning curve: {escape(curve['answer'])}"
    for point in curve["points"]:
        low, high = point["ci"]
        yield (
            f"  - {point['rows']} training rows: {curve['metric']} {point['value']:z.3f} [{low:z.3f}, {high:z.3f}] "
            f"on {point['n']} {curve['split']} rows"
        )
    for id, step in curve["steps"].items():
        if step["status"] in {"failed", "skipped"}:
            yield f"  - {id} {step['status']}: {escape(str(step['reason']))}"
