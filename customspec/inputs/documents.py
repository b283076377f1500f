"""The JSON documents of a run folder: sealed, so that what reads them knows that nothing changed by chance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from customspec.inputs.regular import read_regular
from customspec.plan import Plan
from customspec.saved import SEAL, check_sense, load, seal_fits
from customspec.saved.results import check_results

RESULTS = "results.json"
MOST = 2**30  # bytes

Prediction = Mapping[str, Any]
"""A line of `predictions.jsonl`: a row's `id`, its `answer`, the candidate's `prediction`, whether it is `correct`."""


def read_document(path: Path) -> dict[str, Any]:
    """A document that `with_seal` made, with its seal. Raises OSError; ValueError for what has changed since."""
    content = read_regular(path, MOST)
    try:
        document = json.loads(content)
        seal = document.pop(SEAL, None)
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{path.name} is damaged: it is no JSON object") from error
    if not seal_fits(seal, document):
        raise ValueError(f"{path.name} is not as it was written: its seal does not fit what it says")
    return {**document, SEAL: seal}


def read_results(folder: Path, plan: Plan | None = None) -> dict[str, Any]:
    """The results in a run's folder; of this plan, where it is given. Raises OSError, and ValueError for what has
    changed or is none."""
    results = read_document(folder / RESULTS)
    check_results(results)
    if plan and [candidate["key"] for candidate in results["candidates"]] != [one.key for one in plan.candidates]:
        raise ValueError(f"{RESULTS}: its candidates are not those of plan.json")
    return results


def read_plan(folder: Path) -> Plan:
    """The plan in a run's folder; those of older runs bear no seal. Raises OSError, NoPlanError and EditedError."""
    plan = load(read_regular(folder / "plan.json"), unsealed=True)
    check_sense(plan)
    return plan
