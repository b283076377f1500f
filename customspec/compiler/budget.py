"""What of the budget a candidate would break by its estimate, and whether any fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from customspec.compiler.candidates import Ready
from customspec.compiler.problems import Problems
from customspec.errors import Code
from customspec.estimate import Estimate
from customspec.report.quantities import duration, size
from customspec.spec import Budget

_ALLOW = "allow more, or name under `techniques` what needs less"


def _count(number: float) -> str:
    return f"{number:,.1f}".removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Limit:
    """One key of the budget. `of`: what of an estimate is compared with it, None where that is not known; `needs`: the
    sentence's part that names it; `write`: a value with its unit."""

    of: Callable[[Estimate], float | None]
    needs: str
    write: Callable[[float], str]
    runs: bool = False
    """Whether it limits the run itself, and not only what is chosen: then the gauge must keep to it too."""


LIMITS: Mapping[str, Limit] = {
    "trainable_parameters": Limit(lambda e: e.trainable_parameters, "{} trained parameters", _count),
    "artifact": Limit(lambda e: e.artifact_bytes, "an artifact of {}", size),
    "prompt_tokens": Limit(lambda e: e.prompt_tokens, "{} prompt tokens per request", _count),
    "memory": Limit(lambda e: e.peak_memory_bytes, "{} of memory", size, runs=True),
    # a time that rests on no measurement of this machine rules nothing out
    "minutes": Limit(
        lambda e: e.seconds / 60 if e.calibrated and e.seconds is not None else None,
        "{}",
        lambda m: duration(60 * m),
        runs=True,
    ),
}


def over_budget(ready: Ready, budget: Budget | None, *, gauge: bool) -> dict[str, str]:
    """Each key of the budget that the candidate would break by its estimate, with the reason."""
    if budget is None:
        return {}
    reasons = {}
    for key, limit in LIMITS.items():
        most, needed = getattr(budget, key), limit.of(ready.estimate)
        if most is not None and needed is not None and needed > most and (limit.runs or not gauge):
            needs = limit.needs.format(limit.write(needed))
            reasons[key] = f"over the budget: needs {needs} by the estimate; `{key}` allows {limit.write(most)}"
    return reasons


def check_budget(broken: Mapping[str, Mapping[str, str]], ready: Sequence[Ready], problems: Problems) -> None:
    """An error where no candidate fits: at the key that all break, or at the budget. `broken`: by candidate's id."""
    if not broken or not all(broken.values()):
        return
    keys = [key for key in LIMITS if all(key in reasons for reasons in broken.values())]
    if not keys:
        listed = "; ".join(f"{id} is {next(iter(reasons.values()))}" for id, reasons in broken.items())
        problems.add(Code.BUDGET, ("budget",), f"no candidate fits the budget: {listed}", hint=_ALLOW, key=True)
        return
    limit = LIMITS[keys[0]]
    needed = {one.draft.id: limit.of(one.estimate) or 0.0 for one in ready if one.draft.id in broken}
    least = min(needed, key=needed.__getitem__)
    needs = limit.needs.format(limit.write(needed[least]))
    message = f"no candidate fits the budget: the least that one needs by the estimate is {needs}, of `{least}`"
    problems.add(Code.BUDGET, ("budget", keys[0]), message, hint=_ALLOW)
