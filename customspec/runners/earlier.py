"""Claims that earlier runs made on the same test rows: a test row that was looked at before is no longer fresh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from customspec.decide.wording import percent
from customspec.inputs.documents import read_results

MOST = 200  # runs that are read, the newest: half a second


def with_earlier_claims(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The results of the run in `folder`, whose decision says how many other claims the runs beside it made on its
    test rows: `earlier_claims`, and a reason where there are any; null where this run makes none."""
    decision = document["decision"]
    own, test = claimed_by(document), document["test_digest"]
    if own is None or test is None:
        return {**document, "decision": {**decision, "earlier_claims": None}}
    earlier = {claim for other, claim in _claims(folder) if other == test} - {own}
    reasons = [*decision["reasons"], *([_sentence(len(earlier), decision["claim"])] if earlier else [])]
    return {**document, "decision": {**decision, "reasons": reasons, "earlier_claims": len(earlier)}}


def claimed_by(document: Mapping[str, Any]) -> str | None:
    """The fingerprint of the evaluation that a run's claim rests on; None where it claims nothing."""
    decision = document["decision"]
    step = document["steps"].get(f"evaluate:{decision['chosen_key']}:test", {})
    fingerprint: str | None = step.get("fingerprint") if decision.get("claim") else None
    return fingerprint


def _claims(folder: Path) -> Iterator[tuple[str | None, str]]:
    """Digest of the test rows and claim of each run beside `folder` that made one."""
    others = sorted((run for run in folder.parent.iterdir() if run.name != folder.name), key=_when, reverse=True)
    for run in others[:MOST]:
        try:
            results = read_results(run)
        except (OSError, ValueError):
            continue  # on its way, of an older version, or damaged: `doctor` tells
        claim = claimed_by(results)
        if claim is not None:
            yield results.get("test_digest"), claim


def _when(run: Path) -> float:
    try:
        return run.stat().st_mtime
    except OSError:
        return 0.0


def _sentence(number: int, claim: Mapping[str, Any]) -> str:
    were = "1 other claim was" if number == 1 else f"{number} other claims were"
    confidence = percent(claim["confidence"])
    return (
        f"{were} made on these test rows before, by runs in this store: {confidence} is the confidence of a first look"
    )
