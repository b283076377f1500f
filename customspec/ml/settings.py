"""torch's settings for the whole process, which a plugin may leave changed behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch

from customspec.ml.state import random_state, set_random_state

_READ: Final[Mapping[str, Callable[[], Any]]] = {
    "torch's default dtype": torch.get_default_dtype,
    "torch's gradient mode": torch.is_grad_enabled,
    "torch's number of threads": torch.get_num_threads,
    "torch's deterministic algorithms": lambda: (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    ),
    "torch's precision of float32 products": torch.get_float32_matmul_precision,
    "cuDNN's settings": lambda: (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
}
_WRITE: Final[Mapping[str, Callable[[Any], object]]] = {
    "torch's default dtype": torch.set_default_dtype,
    "torch's gradient mode": torch.set_grad_enabled,
    "torch's number of threads": torch.set_num_threads,
    "torch's deterministic algorithms": lambda was: torch.use_deterministic_algorithms(was[0], warn_only=was[1]),
    "torch's precision of float32 products": torch.set_float32_matmul_precision,
    "cuDNN's settings": lambda was: _set_cudnn(*was),
}


@dataclass(frozen=True)
class Settings:
    """As they are now; `seed` and `generators` are torch's seed, and all random numbers to come."""

    values: Mapping[str, Any]
    seed: int
    generators: Mapping[str, Any]

    @classmethod
    def now(cls) -> Settings:
        return cls({name: read() for name, read in _READ.items()}, torch.initial_seed(), random_state())

    def put_back(self, *, seeds: bool, draws: bool) -> list[str]:
        """What was changed since, put back: with `seeds` torch's too, with `draws` also numbers only drawn."""
        changed = [name for name, read in _READ.items() if read() != self.values[name]]
        for name in changed:
            _WRITE[name](self.values[name])
        seeded = seeds and torch.initial_seed() != self.seed
        if seeded or draws:
            set_random_state(self.generators)
        return [*changed, "torch's seed"] if seeded else changed


def _set_cudnn(deterministic: bool, benchmark: bool) -> None:
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, benchmark
