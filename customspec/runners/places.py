"""Where the plan of a finished run may lead: a run folder may come from a stranger, as a spec may."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from customspec.errors import CustomspecError, RefusedError
from customspec.inputs.models import lies_where_named
from customspec.inputs.paths import STORE_FOLDER, PathError, Roots, check_tree, resolved
from customspec.plan import Plan, Step, digest
from customspec.source import read
from customspec.spec import BaseModelSpec


def roots_of_run(plan: Plan, run: Path, allowed: tuple[Path, ...]) -> Roots:
    """The run's own folder, or the one that its store lies beside its specs in; the folder of its spec, where that is
    the very one that was planned; and what the person allows.

    A store that the person put elsewhere lies beside whatever is there: the folder around it is not the spec's.
    """
    store = run.resolve().parent.parent
    beside_specs = store.name == STORE_FOLDER and (store / "objects").is_dir()
    roots = Roots.of(store.parent if beside_specs else run, allowed)
    spec = Path(plan.sources.get("spec", ""))
    if roots.hold(resolved(spec)) or not _is_planned(spec, plan):
        return roots
    return Roots(roots.folder, (*roots.allowed, spec.parent.resolve()))


def _is_planned(spec: Path, plan: Plan) -> bool:
    try:
        return digest(read(spec).data) == plan.sources.get("document")
    except (CustomspecError, OSError):
        return False


def check_model(step: Step, roots: Roots) -> None:
    """Raises RefusedError for a model's step that names files where no spec may name them."""
    ref, path = BaseModelSpec.model_validate(step.sources["ref"]), Path(step.sources["path"])
    try:
        if ref.path is None and lies_where_named(ref, path):
            return
        _check(path, roots)
        check_tree(path, roots)
    except PathError as error:
        raise RefusedError(f"the model {step.sources['label']} is not opened: {error}; {error.hint}") from error


def check_data(step: Step, roots: Roots) -> None:
    """Raises RefusedError for files of rows that lie elsewhere."""
    check_files((path for paths in step.sources.values() for _, path in paths), roots)


def check_files(paths: Iterable[str], roots: Roots) -> None:
    """Raises RefusedError for files that lie elsewhere."""
    try:
        for path in paths:
            _check(Path(path), roots)
    except PathError as error:
        raise RefusedError(f"the run's plan is not followed: {error}; {error.hint}") from error


def _check(path: Path, roots: Roots) -> None:
    if not roots.hold(resolved(path)):
        raise PathError(f"{path} lies out of the folder of its spec")
