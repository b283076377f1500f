"""Which candidate is the answer, and why. Choices are made on validation rows, the claim on test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from customspec.spec import Goal


@dataclass(frozen=True, slots=True)
class Standing:
    """What one candidate reached: the goal's (or first) metric on each split, and what it costs."""

    key: str
    id: str
    family: str
    validation: float | None
    test: float | None
    test_interval: tuple[float, float] | None
    prompt_tokens: float
    artifact_bytes: int
    train_seconds: float

    @property
    def chosen_by(self) -> float | None:
        """The estimate to choose by: on validation rows, on test rows only where there are no others."""
        return self.test if self.validation is None else self.validation

    @property
    def cost(self) -> tuple[float, ...]:
        """Cheap to expensive: prompting by tokens per request, then tuning by artifact and training time."""
        return (0, self.prompt_tokens) if self.family == "prompting" else (1, self.artifact_bytes, self.train_seconds)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `goal_met` is None without a goal."""

    goal_met: bool | None
    chosen: str | None
    chosen_key: str | None
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "goal_met": self.goal_met,
            "chosen": self.chosen,
            "chosen_key": self.chosen_key,
            "reasons": list(self.reasons),
        }


def decide(
    goal: Mapping[str, Any] | None, metric: str, standings: Sequence[Standing], strategy: str, higher: bool
) -> Decision:
    """The cheapest candidate whose estimate reaches the goal; else, or without a goal, the best one."""
    rows = "validation" if any(standing.validation is not None for standing in standings) else "test"
    # one split for all: a test estimate is never weighed against others' validation estimates
    measured = [standing for standing in standings if getattr(standing, rows) is not None]
    if not measured:
        return Decision(None if goal is None else False, None, None, ("no candidate was evaluated",))
    target = None if goal is None else Goal.model_validate(goal)
    if target is None:
        best = _best(measured, higher)
        reason = f"{best.id} has the best {metric} on the {rows} rows: {_shown(best.chosen_by)} (there is no goal)"
        return Decision(None, best.id, best.key, (reason, *_caution(rows)))
    reaching = [standing for standing in measured if target.reached_by(standing.chosen_by or 0.0)]
    if not reaching:
        return _missed(measured, metric, target, rows, higher)
    chosen = reaching[0] if strategy == "ladder" else min(reaching, key=lambda standing: standing.cost)
    return _claim(chosen, measured, metric, target, rows, strategy)


def _missed(measured: Sequence[Standing], metric: str, target: Goal, rows: str, higher: bool) -> Decision:
    best = _best(measured, higher)
    reason = (
        f"no candidate reaches {metric} {_bound(target)} on the {rows} rows; "
        f"the nearest is {best.id} with {_shown(best.chosen_by)}"
    )
    return Decision(False, best.id, best.key, (reason, *_caution(rows)))


def _claim(
    chosen: Standing, measured: Sequence[Standing], metric: str, target: Goal, rows: str, strategy: str
) -> Decision:
    what = "first rung" if strategy == "ladder" else "cheapest candidate"
    reached = f"whose {metric} reaches {_bound(target)} on the {rows} rows: {_shown(chosen.chosen_by)}"
    reason = f"{chosen.id} is the {what} {reached}"
    cheaper = [other for other in measured if other.cost < chosen.cost]
    short = [f"{other.id} {_shown(other.chosen_by)}" for other in cheaper if other is not chosen]
    told = (f"cheaper candidates fall short: {', '.join(short)}",) if short else ()
    if chosen.test is None:
        return Decision(False, chosen.id, chosen.key, (reason, *told, "the test rows were not evaluated"))
    met = target.reached_by(chosen.test)
    interval = chosen.test_interval or (chosen.test, chosen.test)
    claim = (
        f"on the test rows it has {_shown(chosen.test)}, 95 % interval {_shown(interval[0])} to {_shown(interval[1])}: "
        f"the goal is {'met' if met else 'not met'}"
    )
    return Decision(met, chosen.id, chosen.key, (reason, *told, claim, *_caution(rows)))


def _best(measured: Sequence[Standing], higher: bool) -> Standing:
    sign = -1.0 if higher else 1.0
    return min(measured, key=lambda standing: (sign * (standing.chosen_by or 0.0), standing.cost))


def _caution(rows: str) -> tuple[str, ...]:
    return () if rows == "validation" else ("there are no validation rows: choosing on test rows is optimistic",)


def _bound(goal: Goal) -> str:
    return f"at least {goal.at_least:g}" if goal.at_least is not None else f"at most {goal.at_most:g}"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
