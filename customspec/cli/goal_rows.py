"""What a spec's test rows can show of its goal, for the commands that say so before a run."""

from __future__ import annotations

from customspec.decide.claim import PlannedClaim
from customspec.decide.prospect import Prospect, prospect, sentences
from customspec.errors import UsageError
from customspec.store import Memo


def goal_rows(claim: PlannedClaim | None, memo: Memo, true: float | None = None) -> Prospect | None:
    """None without a goal. `true` is a value to ask about; raises UsageError where it does not lie beyond the goal."""
    if claim is None:
        return None
    if true is not None and not (_beyond(claim, true) and claim.measure.lowest <= true <= claim.measure.highest):
        best = claim.measure.highest if claim.goal.at_least is not None else claim.measure.lowest
        raise UsageError(
            f"--true-value: {true:g} does not lie between the goal, {claim.goal.threshold:g}, and {best:g}"
        )
    return prospect(claim, true, memo)


def goal_lines(claim: PlannedClaim | None, memo: Memo, true: float | None = None) -> list[str]:
    """The same in words; none without a goal."""
    return [] if claim is None else sentences(goal_rows(claim, memo, true), claim)


def _beyond(claim: PlannedClaim, value: float) -> bool:
    return claim.goal.reached_by(value) and value != claim.goal.threshold
