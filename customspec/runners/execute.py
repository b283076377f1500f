"""One step: from the store, or worked on and published. The same in any process that sees the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from customspec.errors import CustomspecError, StepError
from customspec.machine import Machine
from customspec.plan import Kind, Result, Step
from customspec.registry import Registry
from customspec.runners.blame import told
from customspec.runners.work import Need, Tell, Work
from customspec.store import Store, store_key

KINDS: Mapping[Kind, str] = {
    "model": "customspec.runners.kinds.model",
    "data": "customspec.runners.kinds.data",
    "train": "customspec.runners.kinds.train",
    "evaluate": "customspec.runners.kinds.evaluate",
    "decide": "customspec.runners.kinds.decide",
}


def find(step: Step, store: Store, machine: Machine) -> Result | None:
    """The step's verified result, if the store has it."""
    return store.get(store_key(step.fingerprint, machine.key()))


def execute(
    step: Step, needs: Mapping[str, Need], store: Store, registry: Registry, machine: Machine, tell: Tell
) -> tuple[Result, bool]:
    """The step's result, and whether this call did the work. Raises CustomspecError; nothing is then published."""
    key = store_key(step.fingerprint, machine.key())
    work = Work(needs, registry, machine, store.root, tell)
    if set(needs) != set(step.needs):
        # decided among what is there: another question than the fingerprint's, so its answer is not kept
        return Result(step.id, key, _run(step, work, store.root), store.root), True
    with store.lock(key):
        found = store.get(key)  # another run may have published it while this one waited
        if found is not None:
            return found, False
        with store.publishing(key, step.id) as draft:
            return draft.publish(_run(step, work, draft.folder)), True


def _run(step: Step, work: Work, folder: Path) -> dict[str, Any]:
    kind: Callable[[Step, Work, Path], dict[str, Any]] = import_module(KINDS[step.kind]).run
    try:
        return kind(step, work, folder)
    except CustomspecError:
        raise
    except (Exception, SystemExit) as error:
        # whatever a plugin or a library raises is the step's failure; its own traceback goes to the log
        raise StepError(f"{step.id}: {told(error, work.registry)}") from error
