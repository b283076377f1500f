"""Whether a saved plan still speaks of what is there: the spec, the data, the models, the plugins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from customspec.errors import CustomspecError, RefusedError
from customspec.inputs.digests import Digests, folder_digest, path_digest
from customspec.inputs.models import ModelError, ModelFiles, find_model
from customspec.inputs.paths import Roots, resolved
from customspec.plan import Plan, Step, canonical, digest
from customspec.registry import Kind, Registry, check_extra
from customspec.runners.metrics import Scoring
from customspec.source import read
from customspec.spec import BaseModelSpec


def check_fresh(plan: Plan, registry: Registry, cache: Path, roots: Roots) -> None:
    """Raises RefusedError, naming all that has changed since the plan was made, and PluginError for a missing extra."""
    edited = [f"{id} was edited in the plan" for id in plan.altered]
    strays = [*_strays(plan, Roots(roots.folder, (*roots.allowed, cache.resolve())))]
    _refuse([*edited, *_spec(plan), *strays])  # before any of its paths is opened
    _refuse([*_inputs(plan, Digests(cache), roots), *_plugins(plan, registry)])
    for step in plan.steps:
        for named in (*_named(step, "technique"), *_named(step, "prompting")):
            check_extra("technique", registry.technique(named["name"]))
        for named in step.params.get("metrics", ()):
            _check_metric(named, registry)


def _refuse(changes: Sequence[str]) -> None:
    if changes:
        raise RefusedError(f"the plan is stale: {'; '.join(changes)}. Make a new one with `customspec plan`")


def _check_metric(named: Mapping[str, Any], registry: Registry) -> None:
    try:
        Scoring.of(named, registry)
    except ValueError as error:
        raise RefusedError(f"the plan has options for {named['name']} that it does not take") from error


def _spec(plan: Plan) -> Iterator[str]:
    path = Path(plan.sources["spec"])
    try:
        same = digest(read(path).data) == plan.sources["document"]
    except CustomspecError:
        same = False
    if not same:
        yield _how(path)


def _how(path: Path) -> str:
    return f"{path.name} changed" if path.exists() else f"{path.name} is gone"


def _strays(plan: Plan, roots: Roots) -> Iterator[str]:
    """A plan may come from a stranger, as a spec may: what it reads must lie where its spec may lead."""
    for step in plan.steps:
        named = [path for paths in step.sources.values() for _, path in paths] if step.kind == "data" else []
        for path in (*named, *step.sources.get("files", {}).values()):
            if not roots.hold(resolved(Path(path))):
                yield f"{path} lies out of the spec's folder"


def _inputs(plan: Plan, digests: Digests, roots: Roots) -> Iterator[str]:
    for step in plan.steps:
        if step.kind == "data":
            yield from _data(step, digests)
        elif step.kind == "model":
            yield from _model(step, digests, roots)
        yield from _files(step, digests)


def _files(step: Step, digests: Digests) -> Iterator[str]:
    for option, path in step.sources.get("files", {}).items() if "prompting" in step.params else ():
        there = Path(path).exists()
        if not there or path_digest(Path(path), digests) != step.params["prompting"]["options"][option]:
            yield _how(Path(path))


def _data(step: Step, digests: Digests) -> Iterator[str]:
    for name, paths in step.sources.items():
        files = [Path(path) for _, path in paths]
        gone = [label for (label, _), file in zip(paths, files, strict=True) if not file.exists()]
        there = all(file.is_file() for file in files)
        found = folder_digest({str(i): digests.sha256(file) for i, file in enumerate(files)}) if there else None
        if gone:
            yield f"the {name} data {', '.join(gone)} {'is' if len(gone) == 1 else 'are'} gone"
        elif found != step.params["splits"][name]:
            yield f"the {name} data changed"


def _model(step: Step, digests: Digests, roots: Roots) -> Iterator[str]:
    ref = BaseModelSpec.model_validate(step.sources["ref"])
    try:
        files = find_model(ref, roots, digests)
    except (ModelError, ValueError) as error:
        yield str(error)
        return
    seen = (files.kind, files.digest, str(files.path.resolve())) if isinstance(files, ModelFiles) else None
    if seen != (step.params["kind"], step.params["digest"], step.sources["path"]):
        yield f"the model {step.sources['label']} changed"


def _plugins(plan: Plan, registry: Registry) -> Iterator[str]:
    kinds: tuple[tuple[Kind, str], ...] = (
        ("technique", "technique"),
        ("technique", "prompting"),
        ("metric", "metrics"),
    )
    for kind, key in kinds:
        for named in {canonical(found): found for step in plan.steps for found in _named(step, key)}.values():
            offers = registry.offers.get((kind, named["name"]), ())
            if (named["distribution"], named["version"]) not in {(o.distribution, o.version) for o in offers}:
                yield f"{kind} {named['name']} is no longer from {named['distribution']} {named['version']}"


def _named(step: Step, key: str) -> list[dict[str, str]]:
    found = step.params.get(key) or []
    many = found if isinstance(found, list) else [found]
    return [{part: one[part] for part in ("name", "distribution", "version")} for one in many]
