"""Successive halving over options, with Optuna: each trial a few measurements long, and kept as soon as it ended."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from customspec.errors import StepError
from customspec.estimate.schedule import KEPT

if TYPE_CHECKING:
    import optuna

Combination = Mapping[str, Any]
"""An option's value for each option that is searched."""
Ended = Literal["done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination, and what its measurements on the validation rows were as far as it went."""

    chosen: Combination
    values: tuple[float, ...]
    ended: Ended
    seconds: float
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trial:
        return cls(**{**data, "values": tuple(data["values"])})


class StoppedError(Exception):
    """Successive halving ends the trial."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched. `attempt` makes a trial and calls back with each measurement, which may raise StoppedError;
    `recall` and `keep` know trials of earlier runs."""

    space: Mapping[str, Mapping[str, Any]]
    trials: int
    seed: int
    higher_is_better: bool
    attempt: Callable[[Combination, Callable[[float], None]], Trial]
    recall: Callable[[Combination], Trial | None]
    keep: Callable[[Trial], None]
    growing: bool = False
    """Whether each measurement is on more rows than the one before, so that the last counts; else all are on the same
    rows, and the best counts."""

    def worth(self, trial: Trial) -> float:
        """What a trial that ended is ranked by."""
        if self.growing:
            return trial.values[-1]
        return max(trial.values) if self.higher_is_better else min(trial.values)


def search(what: Search, tell: Callable[[int, str], None]) -> list[Trial]:
    """Every trial, in order; the same for the same seed and measurements, whatever was recalled.

    Li et al. 2020 (ASHA), one trial after another as Optuna's SuccessiveHalvingPruner has it; combinations are all of a
    small grid in a drawn order, else by the tree-structured Parzen estimator (Bergstra et al. 2011).
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize" if what.higher_is_better else "minimize",
        sampler=optuna.samplers.TPESampler(seed=what.seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=KEPT),
    )
    grid = _grid(what)
    for combination in grid:
        study.enqueue_trial(combination)
    found: list[Trial] = []
    for number in range(min(what.trials, len(grid)) if grid else what.trials):
        trial = study.ask(_distributions(what.space))
        chosen = {option: _value(what.space[option], drawn) for option, drawn in trial.params.items()}
        tell(number, f"{_found_so_far(found, what)}trial {number + 1}")
        ended = _one(what, chosen, trial)
        found.append(ended)
        _finish(study, trial, ended, what)
    return found


def best_of(trials: Sequence[Trial], what: Search) -> tuple[Trial, float]:
    """The best trial of those that went to their end, the earliest among equals. Raises StepError where there is
    none."""
    best = max if what.higher_is_better else min
    done = [(trial, what.worth(trial)) for trial in trials if trial.ended == "done"]
    if not done:
        reasons = [trial.reason for trial in trials if trial.reason]
        raise StepError(f"no trial of the search succeeded: {reasons[0] if reasons else 'all were stopped'}")
    return best(done, key=lambda one: one[1])


def _found_so_far(trials: Sequence[Trial], what: Search) -> str:
    done = [trial for trial in trials if trial.ended == "done"]
    return f"best {best_of(done, what)[1]:.3f}, " if done else ""


def _one(what: Search, chosen: Combination, trial: optuna.trial.Trial) -> Trial:
    reported: list[float] = []

    def measured(value: float) -> None:
        reported.append(value)
        trial.report(value, len(reported))
        if trial.should_prune():
            raise StoppedError

    known = what.recall(chosen)
    if known is not None:
        try:
            for value in known.values:
                measured(value)
        except StoppedError:
            return Trial(chosen, tuple(reported), "stopped", known.seconds)
        if known.ended != "stopped":
            return known
    seen = len(reported)  # an earlier search stopped it here, this one goes on: the trial is made anew
    again: list[float] = []

    def anew(value: float) -> None:
        again.append(value)
        if len(again) > seen:
            measured(value)

    ended = what.attempt(chosen, anew)
    what.keep(ended)
    return ended


def _finish(study: optuna.Study, trial: optuna.trial.Trial, ended: Trial, what: Search) -> None:
    import optuna

    if ended.ended == "done":
        study.tell(trial, what.worth(ended))
    else:
        states = {"stopped": optuna.trial.TrialState.PRUNED, "failed": optuna.trial.TrialState.FAIL}
        study.tell(trial, state=states[ended.ended])


def _grid(what: Search) -> list[dict[str, int]]:
    """Every combination of lists, as positions in them, in a drawn order; none where there is a range, or too many."""
    if not all("values" in part for part in what.space.values()):
        return []
    positions = [range(len(part["values"])) for part in what.space.values()]
    combinations = [dict(zip(what.space, combination, strict=True)) for combination in product(*positions)]
    return random.Random(what.seed).sample(combinations, min(what.trials, len(combinations)))


def _distributions(space: Mapping[str, Mapping[str, Any]]) -> dict[str, optuna.distributions.BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, optuna.distributions.BaseDistribution] = {}
    for option, part in space.items():
        if "values" in part:
            found[option] = CategoricalDistribution(tuple(range(len(part["values"]))))  # a value may be a list
        else:
            kind = IntDistribution if part["integer"] else FloatDistribution
            found[option] = kind(part["low"], part["high"], log=part["log"])
    return found


def _value(part: Mapping[str, Any], drawn: Any) -> Any:
    return part["values"][drawn] if "values" in part else drawn
