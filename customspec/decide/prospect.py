"""Before anything runs: what so many test rows can show of a goal."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from customspec.decide import power
from customspec.decide.claim import PlannedClaim
from customspec.decide.power import POWER, fewest_rows, goal_share, least_shown, rows_for_power, share_of
from customspec.decide.samples import Measure
from customspec.decide.wording import bound, percent
from customspec.plan import digest
from customspec.spec import Goal
from customspec.store import Memo

MEMO = "prospects"


@dataclass(frozen=True, slots=True)
class Prospect:
    """What the test rows can show. `rows` counts groups where there are groups, of which the claim draws.

    `fewest`: rows that could show the goal, every one right; None: no number could. `true`: the value that is asked
    about, or one halfway between the goal and the best possible. `for_true`: rows that show the goal four times in five
    when that is the truth. `shows`: the smallest true value that the rows at hand show four times in five; None: they
    cannot.
    """

    rows: int
    counted: str
    fewest: int | None
    true: float | None
    for_true: int | None
    shows: float | None

    @property
    def possible(self) -> bool:
        return self.fewest is not None and self.fewest <= self.rows

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__} | {"power": POWER}


def prospect(claim: PlannedClaim, true: float | None = None, memo: Memo | None = None) -> Prospect | None:
    """What the claim's rows can show; None where the metric has no worst or best value, and so nothing can be said.

    `true` is a value beyond the goal to ask about; `memo` keeps the figures for the next time.
    """
    measure, goal, rows, counted = claim.measure, claim.goal, claim.rows, claim.counted
    share = goal_share(goal, measure)
    if share is None:
        return None
    fewest = fewest_rows(share, claim.confidence)
    if fewest is None or share <= 0:
        return Prospect(rows, counted, fewest, None, None, goal.threshold if fewest else None)
    asked = None if true is None else share_of(true, measure, at_least=goal.at_least is not None)
    halfway = (1 + share) / 2 if asked is None else asked
    for_true, least = _figures(share, halfway, claim.confidence, rows, memo)
    return Prospect(
        rows=rows,
        counted=counted,
        fewest=fewest,
        true=_value(halfway, measure, goal),
        for_true=for_true,
        shows=None if least is None else _value(least, measure, goal),
    )


def _figures(
    share: float, true: float, confidence: float, rows: int, memo: Memo | None
) -> tuple[int | None, float | None]:
    """The rows for a true share, and the share that the rows show: from the memo where it has them, since scipy takes
    long to import."""
    made_by = [version("scipy"), *(sha256(Path(file).read_bytes()).hexdigest() for file in (__file__, power.__file__))]
    key = digest([share, true, confidence, rows, POWER, made_by]).removeprefix("sha256:")
    known = None if memo is None else memo.get(key)
    if isinstance(known, dict) and known.keys() == {"for_true", "least"} and _are_figures(**known):
        return known["for_true"], known["least"]
    for_true, least = rows_for_power(share, true, confidence), least_shown(rows, share, confidence)
    if memo is not None:
        memo.put(key, {"for_true": for_true, "least": least})
    return for_true, least


def _are_figures(for_true: object, least: object) -> bool:
    """Whether a memo holds such figures: a store may have been tampered with."""
    counted = for_true is None or (type(for_true) is int and 0 <= for_true < 10**12)
    return counted and (least is None or (type(least) is float and 0 <= least <= 1))


def sentences(found: Prospect | None, claim: PlannedClaim) -> list[str]:
    """What the claim's rows can show, in words; `found` is what `prospect` gave of it."""
    name = claim.measure.name
    target = f"{name} {bound(claim.goal)}"
    if found is None:
        return [f"the goal, {target}: {name} has no worst value, so the rows that it takes are known after a run only"]
    there = f"there are {found.rows}"
    if found.fewest is None:
        return [f"the goal, {target}, is the best possible value: no number of test rows can show it"]
    lines = [
        f"to show {target} with {percent(claim.confidence)} confidence takes {found.fewest} test {found.counted}, "
        f"every one right; {there}" + ("" if found.possible else ": the goal cannot be shown")
    ]
    if found.true is not None:
        line = f"if the true {name} is {found.true:.3g}, {found.for_true} show it four times in five (80 % power)"
        lines.append(line + (f"; {found.rows} do if it is {found.shows:.3f}" if found.shows is not None else ""))
        if not claim.measure.mean:
            lines.append(
                f"that is counted for a mean over rows, which {name} is not: where some classes have few rows, it can "
                "take several times as many"
            )
    return lines


def _value(share: float, measure: Measure, goal: Goal) -> float:
    length = share * measure.range
    return measure.lowest + length if goal.at_least is not None else measure.highest - length
