"""Rules of advice before anything runs, and what they look at: the rungs with their predicted costs, the rows, the
model's header, this machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

from customspec.prompts import Example

Verdict = Literal["try", "mind", "skip"]
BILLION = 10**9


@dataclass(frozen=True, slots=True)
class Rung:
    """One candidate, as far as it is known before it runs. `memory_bytes`: the estimate of its peak."""

    key: str
    technique: str
    family: Literal["prompting", "tuning"]
    options: Mapping[str, Any]
    prompt_tokens: float | None
    trainable: int | None
    memory_bytes: int | None


@dataclass(frozen=True)
class Facts:
    """A spec's data and model. `tokens` has each split's prompt lengths; `places` says where a row was read."""

    examples: Mapping[str, Sequence[Example]]
    tokens: Mapping[str, Sequence[int]]
    places: Mapping[str, str]
    choices: Sequence[str] | None
    metric: str
    seeds: int
    rungs: Sequence[Rung]
    parameters: int | None
    """Of the base model; None while it is not here."""
    context: int | None
    memory_bytes: int | None
    """Of the device that this machine computes on."""

    def rows(self, split: str) -> int:
        return len(self.examples.get(split, ()))

    @property
    def train_rows(self) -> int:
        return self.rows("train")

    def smaller_than(self, billions: float) -> bool:
        """Whether the base is known to have fewer parameters."""
        return self.parameters is not None and self.parameters < billions * BILLION

    @cached_property
    def classes(self) -> Mapping[str, int]:
        """Training rows of each choice, those without a row included; empty where text is generated."""
        counted = Counter(example.answer for example in self.examples.get("train", ()))
        return {choice: counted[choice] for choice in self.choices or ()}

    @cached_property
    def fewest_tokens(self) -> float:
        """The shortest prompt among the rungs, a mean over rows."""
        return min((rung.prompt_tokens for rung in self.rungs if rung.prompt_tokens), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """What can be told in a few numbers."""
        return {
            "rows": {split: len(rows) for split, rows in self.examples.items()},
            "classes": dict(self.classes) or None,
            "prompt_tokens": {
                split: {"min": min(lengths), "mean": sum(lengths) / len(lengths), "max": max(lengths)}
                for split, lengths in self.tokens.items()
                if lengths
            },
            "parameters": self.parameters,
            "context": self.context,
            "memory_bytes": self.memory_bytes,
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """`when` says in words what `holds` computes. `because` is filled with `rung` and `facts`, as `str.format` does.
    `source`: who found it. `on`: families; none where a technique brings the rule, which is then about itself."""

    name: str
    when: str
    holds: Callable[[Facts, Rung], bool]
    says: Verdict
    because: str
    source: str
    on: tuple[Literal["prompting", "tuning"], ...] = ()

    def applies(self, facts: Facts, rung: Rung) -> bool:
        return (not self.on or rung.family in self.on) and self.holds(facts, rung)


@runtime_checkable
class Advises(Protocol):
    """A technique that says when it is worth trying, and when it is not."""

    @property
    def rules(self) -> Sequence[Rule]:
        """Beside those of its family. Looked at by `customspec advise`; nothing runs."""
