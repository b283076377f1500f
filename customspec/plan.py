"""The plan: frozen steps in order, each with a fingerprint of all that it depends on. Plain JSON, no functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["model", "data", "search", "fit", "train", "evaluate", "decide"]

# Raised when a kind's executor changes what it computes: older results no longer answer the same question.
REVISION: Mapping[Kind, int] = {"model": 1, "data": 1, "search": 5, "fit": 1, "train": 4, "evaluate": 5, "decide": 6}


@dataclass(frozen=True, slots=True)
class Gate:
    """The ladder's condition: run only while none of the steps in `after` reached the threshold."""

    metric: str
    after: tuple[str, ...]
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """What a step asks of a machine: devices, and the memory of one, host or device, by the candidate's estimate."""

    devices: int = 0
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One unit of work. `sources` says where bytes lie on this machine; it is no part of the fingerprint."""

    id: str
    kind: Kind
    params: Mapping[str, Any]
    fingerprint: str
    needs: tuple[str, ...] = ()
    gate: Gate | None = None
    resources: Resources = Resources()
    sources: Mapping[str, Any] = field(default_factory=dict)
    candidate: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Step:
        gate = data["gate"] and Gate(**{**data["gate"], "after": tuple(data["gate"]["after"])})
        return cls(**{**data, "needs": tuple(data["needs"]), "gate": gate, "resources": Resources(**data["resources"])})


@dataclass(frozen=True, slots=True)
class Candidate:
    """One technique with one seed, as the plan knows it."""

    key: str
    id: str
    technique: str
    family: Literal["prompting", "tuning"]
    seed: int
    distribution: str
    version: str
    trainable_parameters: int | None
    total_parameters: int | None
    estimate: Mapping[str, float | None] = field(default_factory=dict)
    """The fields of `customspec.estimate.Estimate`; no part of the plan's digest."""
    gauge: bool = False
    """Whether it shows what a larger model could do, and is never chosen."""
    skipped: str | None = None
    """Why it has no steps: what of the budget it would break, by the estimate."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps, in an order in which each comes after what it needs."""

    name: str
    spec_digest: str
    strategy: Literal["compare", "ladder"]
    goal: Mapping[str, Any] | None
    metrics: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    steps: tuple[Step, ...]
    budget: Mapping[str, Any] | None = None
    cost: Mapping[str, Any] | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where the spec lies on this machine, and the digest of what stood in it; no part of the plan's digest."""
    plan: int = 1

    @property
    def digest(self) -> str:
        """The digest of what would be computed: equal plans on two machines have equal ones."""
        return digest([step.fingerprint for step in self.steps])

    @property
    def altered(self) -> tuple[str, ...]:
        """Steps whose fingerprint is not that of what they say: someone changed the plan by hand."""
        return tuple(
            step.id
            for step in self.steps
            if step.fingerprint != fingerprint(step.kind, step.params, [self.step(id) for id in step.needs])
        )

    @property
    def shortened(self) -> Mapping[str, int]:
        """What the command line allowed at most: `limit` rows of each split, `max_steps` of each training."""
        names = ("limit", "max_steps")
        asked: dict[str, list[int]] = {
            name: [s.params[name] for s in self.steps if s.params.get(name)] for name in names
        }
        return {name: max(most) for name, most in asked.items() if most}

    def step(self, id: str) -> Step:
        return next(step for step in self.steps if step.id == id)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        known = {name: data[name] for name in cls.__dataclass_fields__}
        return cls(
            **{
                **known,
                "metrics": tuple(data["metrics"]),
                "candidates": tuple(Candidate(**candidate) for candidate in data["candidates"]),
                "steps": tuple(Step.from_json(step) for step in data["steps"]),
            }
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What a step left in the store: plain values, and a folder of files."""

    step: str
    key: str
    values: Mapping[str, Any]
    folder: Path


def canonical(value: object) -> bytes:
    """The JSON of a value in one spelling, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()


def digest(value: object) -> str:
    """sha256 of a JSON value's canonical spelling, as `sha256:…`."""
    return "sha256:" + hashlib.sha256(canonical(value)).hexdigest()


def fingerprint(kind: Kind, params: Mapping[str, Any], needs: Iterable[Step]) -> str:
    """The digest of what a step does and of all that it depends on; paths, times and the machine have no part in it."""
    return digest([kind, REVISION[kind], params, [step.fingerprint for step in needs]])


def make_step(
    id: str,
    kind: Kind,
    params: Mapping[str, Any],
    needs: tuple[Step, ...] = (),
    *,
    gate: Gate | None = None,
    resources: Resources = Resources(),
    sources: Mapping[str, Any] | None = None,
    candidate: str | None = None,
) -> Step:
    """A step with its fingerprint."""
    return Step(
        id=id,
        kind=kind,
        params=params,
        fingerprint=fingerprint(kind, params, needs),
        needs=tuple(step.id for step in needs),
        gate=gate,
        resources=resources,
        sources=sources or {},
        candidate=candidate,
    )
