"""Whether a saved plan still speaks of what is there: the spec, the data, the models, the plugins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from customspec.errors import CustomspecError, RefusedError
from customspec.inputs.digests import Digests, folder_digest
from customspec.inputs.models import ModelError, find_model
from customspec.plan import Plan, Step, digest
from customspec.registry import Registry
from customspec.source import read
from customspec.spec import BaseModelSpec


def check_fresh(plan: Plan, registry: Registry, cache: Path) -> None:
    """Raises RefusedError, naming all that has changed since the plan was made."""
    changes = [*_spec(plan), *_inputs(plan, Digests(cache)), *_plugins(plan, registry)]
    if changes:
        raise RefusedError(f"the plan is stale: {'; '.join(changes)}. Make a new one with `customspec plan`")


def _spec(plan: Plan) -> Iterator[str]:
    path = Path(plan.sources["spec"])
    try:
        same = digest(read(path).data) == plan.sources["document"]
    except CustomspecError:
        same = False
    if not same:
        yield f"{path.name} changed"


def _inputs(plan: Plan, digests: Digests) -> Iterator[str]:
    for step in plan.steps:
        if step.kind == "data":
            yield from _data(step, digests)
        elif step.kind == "model":
            yield from _model(step, plan, digests)


def _data(step: Step, digests: Digests) -> Iterator[str]:
    for name, paths in step.sources.items():
        files = [Path(path) for _, path in paths]
        there = all(file.is_file() for file in files)
        found = folder_digest({str(i): digests.sha256(file) for i, file in enumerate(files)}) if there else None
        if found != step.params["splits"][name]:
            yield f"the {name} data changed"


def _model(step: Step, plan: Plan, digests: Digests) -> Iterator[str]:
    ref = BaseModelSpec.model_validate(step.sources["ref"])
    try:
        files = find_model(ref, Path(plan.sources["spec"]).parent, digests)
    except ModelError as error:
        yield str(error)
        return
    if getattr(files, "digest", None) != step.params["digest"]:
        yield f"the model {step.sources['label']} changed"


def _plugins(plan: Plan, registry: Registry) -> Iterator[str]:
    for candidate in plan.candidates:
        offers = registry.offers.get(("technique", candidate.technique), ())
        if (candidate.distribution, candidate.version) not in {(o.distribution, o.version) for o in offers}:
            yield f"technique {candidate.technique} is no longer from {candidate.distribution} {candidate.version}"
