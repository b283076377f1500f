"""How fast a machine is with a model: measured once and remembered, or assumed by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import inf
from types import MappingProxyType
from typing import Any, Final, TypeGuard

from customspec.estimate.passes import Sharing, pass_sizes
from customspec.estimate.shape import Shape
from customspec.machine import Machine
from customspec.plan import digest

MEMO: Final = "calibration"
REVISION: Final = 3  # raised when something else is measured

# dense bfloat16, FLOP/s, by the makers' data sheets
_GPUS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "B200": 2250e12,
        "H200": 989e12,
        "H100": 989e12,
        "A100": 312e12,
        "L40S": 362e12,
        "4090": 165e12,
        "A10": 125e12,
        "L4": 121e12,
        "T4": 65e12,
    }
)
_OTHER_GPU: Final = 100e12
_APPLE: Final = 4e12
_A_CORE: Final[Mapping[str, float]] = MappingProxyType({"float32": 90e9, "bfloat16": 400e9})  # with AVX2, with AVX512
UNKNOWN: Final = Machine("cpu", "float32", "", "", "", "", "", 1, None)
"""A machine of which nothing is known: one core."""
_SHARE: Final = 0.4  # of the peak that a well-made pass reaches


@dataclass(frozen=True, slots=True)
class Rates:
    """Times of passes are a fixed part and one that grows with operations.

    `forward` and `training` are FLOP/s of passes beyond their fixed `forward_seconds` and `training_seconds`. An
    adapter beside a linear map costs `adapter_seconds` a pass, and takes `adapted` numbers of inputs and outputs a
    second. `optimizer` is trained weights a second. `resident_bytes` is the process without a model. `activations` is
    what a pass keeps, `inputs` what it keeps beside for adapters, both measured over counted. `apart`, `line`,
    `scored_tokens` and `generated_tokens` are the device's `PassSizes`.
    """

    forward: float
    forward_seconds: float
    training: float
    training_seconds: float
    adapted: float
    adapter_seconds: float
    optimizer: float
    resident_bytes: int
    activations: float
    inputs: float
    apart: int
    line: int
    scored_tokens: int
    generated_tokens: int
    calibrated: bool = False

    @classmethod
    def assumed(cls, machine: Machine, shape: Shape) -> Rates:
        """The rates of a machine of its kind, not measured on this one."""
        cpu = machine.device == "cpu"
        peak, sizes = _peak(machine), pass_sizes(machine.device)
        launch = shape.layers * (6e-4 if cpu else 3e-4)
        return cls(
            forward=_SHARE * peak,
            forward_seconds=launch,
            training=_SHARE * peak,
            training_seconds=3 * launch,
            adapted=2e9 if cpu else 2e11,
            adapter_seconds=2e-4,
            optimizer=3e8 if cpu else 3e10,
            resident_bytes=600 * 2**20 if cpu else 0,
            activations=1.0,
            inputs=1.0,
            apart=sizes.sharing.apart,
            line=sizes.sharing.line,
            scored_tokens=sizes.scored,
            generated_tokens=sizes.generated,
        )

    @property
    def sharing(self) -> Sharing:
        """How training batches run."""
        return Sharing(self.apart, self.line)

    def measured(self, found: Mapping[str, Any]) -> Rates:
        """With what a calibration measured in place of what was assumed."""
        return replace(self, **{**found, "calibrated": True})

    @classmethod
    def are(cls, found: Any) -> TypeGuard[Mapping[str, Any]]:
        """Whether a value from the store holds rates: somebody else may have written it."""
        return (
            isinstance(found, dict)
            and found.keys() == cls.__dataclass_fields__.keys()
            and all(isinstance(value, int | float) and 0 <= value < inf for value in found.values())
            and all(found[name] > 0 for name in ("forward", "training", "adapted", "optimizer"))
        )


def memo_key(machine: Machine, model: str) -> str:
    """Under which key a machine's rates with a model are remembered; `model` is the digest of its files."""
    facts = {name: value for name, value in asdict(machine).items() if name not in {"python", "index"}}
    return digest([REVISION, facts, model]).removeprefix("sha256:")


def _peak(machine: Machine) -> float:
    if machine.device == "cpu":
        return machine.cores * _A_CORE[machine.compute_dtype]
    if machine.device == "mps":
        return _APPLE
    named = (flops for name, flops in _GPUS.items() if name in machine.device_name)
    return next(named, _OTHER_GPU) * (1.0 if machine.compute_dtype == "bfloat16" else 0.1)
