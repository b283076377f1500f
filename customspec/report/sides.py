"""A pair of candidates, told from the side of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MIRRORED = {"better": "worse", "worse": "better"}


def from_side(pair: Mapping[str, Any], key: str | None) -> dict[str, Any]:
    """The pair as it is, or mirrored where the candidate of this key stands second."""
    if pair["second"] != key:
        return dict(pair)
    return {
        **pair,
        "first": pair["second"],
        "second": pair["first"],
        "difference": -pair["difference"],
        "ci": sorted(-end for end in pair["ci"]),
        "verdict": _MIRRORED.get(pair["verdict"], pair["verdict"]),
    }
