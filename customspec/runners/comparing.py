"""The statistics of one run, across runs: the same rows, whichever run's candidate answered them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from customspec.decide.pairs import Pair, compare_all
from customspec.decide.samples import Measure, Sample
from customspec.errors import UsageError
from customspec.inputs.splits import SPLITS
from customspec.registry import Registry
from customspec.report.finished import Finished
from customspec.runners.metrics import Scoring
from customspec.runners.samples import sample_of

Named = Mapping[str, Finished]
"""Runs, by the names that messages and tables have for them."""


def compare_runs(runs: Named, registry: Registry) -> dict[str, Any]:
    """`metric`, and for each split that has rows in common `pairs`: candidates of the same key in two runs, and the
    chosen ones; `without_verdict` has the runs of no pair, each with the reason. Raises UsageError where no run has
    one, or the runs have no metric in common."""
    scoring = _scoring(runs, registry)
    confidence = next(iter(runs.values())).plan.step("decide").params["confidence"]
    measure = Measure.of(scoring.metric, scoring.id)
    found = []
    for split in SPLITS[1:]:
        samples = _samples(runs, split, scoring)
        pairs = compare_all(samples, measure, confidence, _couples(runs, samples))
        found += [{"split": split, "confidence": confidence, "family": len(pairs), **pair_json(pair)} for pair in pairs]
    if not found:
        raise UsageError(f"{_and(list(runs))} have no rows in common: there is nothing to compare; {_TO_DO}")
    paired = {pair[end]["run"] for pair in found for end in ENDS}
    alone = [{"run": name, "reason": _why_alone(name)} for name in runs if name not in paired]
    return {"metric": scoring.id, "pairs": found, "without_verdict": alone}


def pair_json(pair: Pair) -> dict[str, Any]:
    """The pair as plain JSON, each end of it as run and candidate."""
    ends = {end: dict(zip(("run", "candidate"), getattr(pair, end).split(":", 1), strict=True)) for end in ENDS}
    return {**pair.to_json(), **ends}


ENDS = ("first", "second")
_TO_DO = "compare runs whose validation or test files have rows in common"


def _why_alone(run: str) -> str:
    return f"no verdict is about {run}: the candidates of the other runs answered none of its rows; {_TO_DO}"


def _samples(runs: Named, split: str, scoring: Scoring) -> dict[str, Sample]:
    """The answers of every candidate of every run, by `RUN:KEY`."""
    return {
        f"{name}:{candidate['key']}": sample
        for name, run in runs.items()
        for candidate in run.candidates
        if (sample := _sample(run, candidate["key"], split, scoring)) is not None
    }


def _couples(runs: Named, samples: Mapping[str, Sample]) -> list[tuple[str, str]]:
    """What is compared of two runs: candidates with the same key, and the two that were chosen."""
    found: dict[tuple[str, str], None] = {}
    for one, other in combinations(runs, 2):
        chosen = (runs[one].chosen, runs[other].chosen)
        keys = [candidate["key"] for candidate in runs[one].candidates]
        for first, second in (chosen, *((key, key) for key in keys)):
            couple = f"{one}:{first}", f"{other}:{second}"
            if all(end in samples for end in couple):
                found[couple] = None
    return list(found)


def _scoring(runs: Named, registry: Registry) -> Scoring:
    """The first run's first metric that all runs have, with the same options."""
    offered = [{named["id"]: named for named in _metrics(run)} for run in runs.values()]
    first = offered[0]
    for id, named in first.items():
        if all(_same(other.get(id), named) for other in offered):
            return Scoring.of(named, registry)
    each = "; ".join(f"{name}: {', '.join(found) or 'none'}" for name, found in zip(runs, offered, strict=True))
    raise UsageError(f"the runs have no metric in common, with the same options ({each})")


def _metrics(run: Finished) -> Sequence[Mapping[str, Any]]:
    evaluations = (step for step in run.plan.steps if step.kind == "evaluate")
    found: Sequence[Mapping[str, Any]] = next((step.params["metrics"] for step in evaluations), ())
    return found


def _same(one: Mapping[str, Any] | None, other: Mapping[str, Any]) -> bool:
    return one is not None and (one["name"], one["options"]) == (other["name"], other["options"])


def _sample(run: Finished, key: str, split: str, scoring: Scoring) -> Sample | None:
    """The candidate's answers, each row identified by its contents, since ids differ between runs."""
    identities = run.evidence.get("rows", {}).get(split)
    records = run.predictions(key, split)
    if not records or identities is None:
        return None
    groups = (run.evidence.get("groups") or {}).get(split)
    return replace(sample_of(scoring, records, groups), ids=_known(records, identities))


def _known(records: Sequence[Mapping[str, Any]], identities: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the rows. Equal rows with equal answers are numbered, so that the second of one run meets the second of
    the other."""
    seen: Counter[str] = Counter()
    names = []
    for record in records:
        name = f"{identities[record['id']]} {record['answer']}"
        seen[name] += 1
        names.append(f"{name} {seen[name]}")
    return tuple(names)


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
