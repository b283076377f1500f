"""A plugin's code within bounds: what it changes for the whole process is put back, with a warning; what it prints goes
to stderr, since stdout is for results; and whatever it raises becomes an error that names it."""

from __future__ import annotations

import logging
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any, Final, ParamSpec, TypeVar

from customspec.errors import CustomspecError, PluginError, Terminated

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("customspec")

PASSING: Final = (CustomspecError, KeyboardInterrupt, Terminated)
"""What is nobody's fault: ends that were foreseen, and those that a person asked for."""

_OF_LIBRARIES: Final = frozenset({"TORCHINDUCTOR_CACHE_DIR", "MLFLOW_DISABLE_TELEMETRY"})
"""What torch sets when it is imported, and what keeps MLflow silent: nobody else reads them, and they stay."""

_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "torch's default dtype": lambda torch: torch.get_default_dtype(),
    "torch's default device": lambda torch: torch.get_default_device(),
    "torch's gradient mode": lambda torch: torch.is_grad_enabled(),
    "torch's number of threads": lambda torch: torch.get_num_threads(),
    "torch's deterministic algorithms": lambda torch: (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    ),
    "torch's precision of float32 products": lambda torch: torch.get_float32_matmul_precision(),
    "cuDNN's settings": lambda torch: (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
}
_WRITE: Final[Mapping[str, Callable[[Any, Any], object]]] = {
    "torch's default dtype": lambda torch, was: torch.set_default_dtype(was),
    "torch's default device": lambda torch, was: torch.set_default_device(None if was == torch.device("cpu") else was),
    "torch's gradient mode": lambda torch, was: torch.set_grad_enabled(was),
    "torch's number of threads": lambda torch, was: torch.set_num_threads(was),
    "torch's deterministic algorithms": lambda torch, was: torch.use_deterministic_algorithms(was[0], warn_only=was[1]),
    "torch's precision of float32 products": lambda torch, was: torch.set_float32_matmul_precision(was),
    "cuDNN's settings": lambda torch, was: _set_cudnn(torch, *was),
}
_AS_IMPORTED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "torch's default dtype": lambda torch: torch.float32,
    "torch's default device": lambda torch: torch.device("cpu"),
    "torch's gradient mode": lambda _: True,
    "torch's deterministic algorithms": lambda _: (False, False),
    "torch's precision of float32 products": lambda _: "highest",
    "cuDNN's settings": lambda _: (False, False),
}
"""How torch is when nobody has touched it; its threads the machine decides, and its seed is another each time."""


class Calls:
    """How many calls of plugins have begun: as long as the number stays, it is the same call."""

    def __init__(self) -> None:
        self.begun = 0


_COUNTED: Final[ContextVar[Calls | None]] = ContextVar("calls of plugins", default=None)


@contextmanager
def counting_calls() -> Iterator[Calls]:
    """Within it, calls of plugins in this thread are counted."""
    calls = Calls()
    before = _COUNTED.set(calls)
    try:
        yield calls
    finally:
        _COUNTED.reset(before)


@contextmanager
def contained(who: str, *, seeds: bool = True, draws: bool = True) -> Iterator[None]:
    """Working directory, environment, torch's settings and (`seeds`) its seed are afterwards as before. With `draws`
    random numbers, Python's, NumPy's and torch's, go on as if none had been drawn and no generator seeded; without, a
    call may draw on from where an earlier one ended."""
    if (calls := _COUNTED.get()) is not None:
        calls.begun += 1
    before = _State.now()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        changed = before.put_back(seeds=seeds, draws=draws)
        if changed:
            log.warning("%s changed %s: put back", who, ", ".join(changed))


def containing(call: Callable[P, T], who: str, *, seeds: bool = True, draws: bool = True) -> Callable[P, T]:
    """The function with every call of it contained."""

    @wraps(call)
    def within(*arguments: P.args, **named: P.kwargs) -> T:
        with contained(who, seeds=seeds, draws=draws):
            return call(*arguments, **named)

    return within


@contextmanager
def blaming(who: str) -> Iterator[None]:
    """What is raised within is the plugin's fault, an exit included: PluginError, which begins with `who`."""
    try:
        yield
    except PASSING:
        raise
    except BaseException as error:
        raise plugin_error(who, error) from error


@contextmanager
def plugin_code(who: str) -> Iterator[None]:
    """Around what calls a plugin outside of steps: contained, and the plugin blamed for whatever it raises."""
    with contained(who), blaming(who):
        yield


def plugin_error(who: str, error: BaseException) -> PluginError:
    """The error that names the plugin, for whatever it raised."""
    return PluginError(f"{who}: {cause(error)}")


def cause(error: BaseException) -> str:
    """The exception in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@dataclass(frozen=True, slots=True)
class _Torch:
    """torch's settings and seed; `generators` are all its random numbers to come, the CPU's and CUDA's."""

    values: Mapping[str, Any]
    seed: int | None = None
    generators: tuple[Any, Any] = (None, None)

    @classmethod
    def now(cls, torch: Any) -> _Torch:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
        values = {name: read(torch) for name, read in _READ.items()}
        return cls(values, torch.initial_seed(), (torch.get_rng_state(), cuda))

    @classmethod
    def as_imported(cls, torch: Any) -> _Torch:
        """Those of a torch that was imported just now."""
        return cls({name: read(torch) for name, read in _AS_IMPORTED.items()})

    def put_back(self, torch: Any, *, seeds: bool, draws: bool) -> list[str]:
        """What was changed since, put back."""
        changed = [name for name, was in self.values.items() if _READ[name](torch) != was]
        for name in changed:
            _WRITE[name](torch, self.values[name])
        seeded = seeds and self.seed is not None and torch.initial_seed() != self.seed
        if seeded or draws:
            cpu, cuda = self.generators
            if cpu is not None:
                torch.set_rng_state(cpu)
            if cuda is not None:
                torch.cuda.set_rng_state_all(cuda)
        return [*changed, "torch's seed"] if seeded else changed


@dataclass(frozen=True, slots=True)
class _State:
    """What plugins share with everybody, as it is now; None for a library that nobody has imported."""

    folder: Path | None
    environment: Mapping[Any, Any]
    python: Any
    numpy: Any
    torch: _Torch | None

    @classmethod
    def now(cls) -> _State:
        numpy, torch = _numpy(), _loaded("torch", "get_default_device")
        return cls(
            _here(),
            dict(_environment()),
            random.getstate(),
            numpy and numpy.get_state(),
            None if torch is None else _Torch.now(torch),
        )

    def put_back(self, *, seeds: bool, draws: bool) -> list[str]:
        """What was changed since, put back. Numbers that are drawn are no change to tell of."""
        changed = []
        if self.folder is not None and _here() != self.folder:
            with suppress(OSError):  # it was removed
                os.chdir(self.folder)
            changed.append("the working directory")
        changed += self._put_back_environment()
        torch = _loaded("torch", "get_default_device")
        if torch is not None:
            changed += (self.torch or _Torch.as_imported(torch)).put_back(torch, seeds=seeds, draws=draws)
        if draws or "torch's seed" in changed:  # who sets one seed sets them all
            self._put_back_generators()
        return changed

    def _put_back_environment(self) -> list[str]:
        now = _environment()
        if now == self.environment:
            return []
        names = [name for name in {**self.environment, **now} if now.get(name) != self.environment.get(name)]
        names = [name for name in names if os.fsdecode(name) not in _OF_LIBRARIES]
        for name in names:
            if name in self.environment:
                os.environ[os.fsdecode(name)] = os.fsdecode(self.environment[name])
            else:
                del os.environ[os.fsdecode(name)]
        return [f"the environment's {', '.join(sorted(map(os.fsdecode, names)))}"] if names else []

    def _put_back_generators(self) -> None:
        random.setstate(self.python)
        numpy = _numpy()
        if numpy is not None and self.numpy is not None:
            numpy.set_state(self.numpy)


def _set_cudnn(torch: Any, deterministic: bool, benchmark: bool) -> None:
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, benchmark


def _here() -> Path | None:
    try:
        return Path.cwd()
    except OSError:
        return None


def _environment() -> Mapping[Any, Any]:
    """As it is stored, where Python lets us see it: decoded, every look would take a hundred times as long."""
    stored: Mapping[Any, Any] = vars(os.environ).get("_data", os.environ)
    return stored


def _numpy() -> Any:
    """NumPy's generator that everybody shares."""
    return _loaded("numpy.random", "get_state")


def _loaded(name: str, last: str) -> ModuleType | None:
    """The module, where it is imported already; None while it is not whole, which `last` tells."""
    module = sys.modules.get(name)
    return module if hasattr(module, last) else None
