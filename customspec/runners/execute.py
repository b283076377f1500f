"""One step: its result from the store, or made and published. The same in any process that sees the store and
the files that the steps' `sources` name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from customspec.containment import PASSING, contained
from customspec.errors import MachineError, StepError
from customspec.machine import Machine
from customspec.plan import Kind, Result, Step
from customspec.runners.blame import failure_text
from customspec.runners.shortage import shortage
from customspec.runners.warm import Warm
from customspec.runners.work import CHECKPOINT_SECONDS, Host, Need, Tell, Work
from customspec.store import Checkpoints, Store, store_key, trouble

KINDS: Mapping[Kind, str] = {
    "model": "customspec.runners.kinds.model",
    "data": "customspec.runners.kinds.data",
    "search": "customspec.runners.kinds.search",
    "fit": "customspec.runners.kinds.fit",
    "train": "customspec.runners.kinds.train",
    "evaluate": "customspec.runners.kinds.evaluate",
    "decide": "customspec.runners.kinds.decide",
}


def find(step: Step, store: Store, machine: Machine) -> Result | None:
    """The step's verified result, if the store has it."""
    key = store_key(step.fingerprint, machine.key())
    found = store.get(key)
    if found is not None and step.kind == "train":
        Checkpoints(store.root, key, step.id).clear()  # left where a run was killed after it published the result
    return found


def execute(
    step: Step,
    needs: Mapping[str, Need],
    host: Host,
    tell: Tell,
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    warm: Warm | None = None,
    check: Callable[[], None] = lambda: None,
) -> tuple[Result, bool]:
    """The step's result, and whether this call did the work. Raises CustomspecError, that of `check` included, which is
    called as the work goes on; nothing is then published.

    A training that was cut off goes on from its newest checkpoint; one is written every `checkpoint_seconds`. `warm`
    is what the steps of a run share in memory.
    """
    store = host.store
    key = store_key(step.fingerprint, host.machine.key())
    shared, tell = warm or Warm(), _checked(tell, check)
    work = Work(needs, host.registry, host.machine, store.root, tell, key, checkpoint_seconds, shared, check)
    if set(needs) != set(step.needs):
        # decided among what is there: another question than the fingerprint's, so its answer is not kept
        return Result(step.id, key, _run(step, work, store.root), store.root), True
    with store.lock(key):
        found = store.get(key)  # another run may have published it while this one waited
        if found is not None:
            return found, False
        result = _published(step, work, store)
        if step.kind == "train":
            Checkpoints(store.root, key, step.id).clear()
        return result, True


def _published(step: Step, work: Work, store: Store) -> Result:
    try:
        with store.publishing(work.key, step.id) as draft:
            return draft.publish(_run(step, work, draft.folder))
    except OSError as error:
        raise trouble(error, store.root) or StepError(f"{step.id}: {error}") from error


def _checked(tell: Tell, check: Callable[[], None]) -> Tell:
    def checked_tell(done: int, total: int | None, note: str, values: Mapping[str, float] | None = None, /) -> None:
        check()
        tell(done, total, note, values)

    return checked_tell


def _run(step: Step, work: Work, folder: Path) -> dict[str, Any]:
    kind: Callable[[Step, Work, Path], dict[str, Any]] = import_module(KINDS[step.kind]).run
    try:
        with contained(step.id, seeds=False):
            return kind(step, work, folder)
    except PASSING:
        raise
    except BaseException as error:
        if (short := shortage(error)) is not None:
            raise MachineError(f"{step.id}: {short}") from error
        if (disk_fault := trouble(error, work.cache)) is not None:
            raise disk_fault from error
        # whatever a plugin or a library raises is the step's failure; its own traceback goes to the log
        raise StepError(f"{step.id}: {failure_text(error, work.registry)}") from error
