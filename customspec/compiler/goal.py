"""Whether the test rows can show the goal at all."""

from __future__ import annotations

from customspec.compiler.data import ResolvedData
from customspec.compiler.problems import Problems
from customspec.decide.claim import PlannedClaim, level_of
from customspec.decide.power import fewest_rows, goal_share
from customspec.decide.samples import Measure
from customspec.errors import Code
from customspec.inputs.splits import group_of
from customspec.spec import Spec


def planned_claim(
    spec: Spec, data: ResolvedData, measure: Measure, candidates: int, limit: int | None
) -> PlannedClaim | None:
    """None without a goal, and while rows are not there."""
    if spec.goal is None or data.rows is None or data.lacking:
        return None
    rows, group = data.rows.test[:limit], spec.data.group
    choosing = not data.rows.validation and candidates > 1
    level = level_of(spec.confidence, candidates if choosing else 1)
    if group is None:
        return PlannedClaim(measure, spec.goal, level, len(rows), "rows", choosing)
    groups = len({group_of(row, group) for row in rows})
    return PlannedClaim(measure, spec.goal, level, groups, "groups", choosing)


def check_goal(claim: PlannedClaim, problems: Problems) -> None:
    """A ladder climbs to its goal and nowhere else: one that cannot be shown is refused before anything runs."""
    # without a worst value, all units may lie on one side of the middle by chance (`decide.intervals.held`)
    share = goal_share(claim.goal, claim.measure)
    fewest = fewest_rows(0.5 if share is None else share, claim.confidence)
    if fewest is not None and fewest <= claim.rows:
        return
    key = "at_least" if claim.goal.at_least is not None else "at_most"
    counted = claim.counted.removesuffix("s") if claim.rows == 1 else claim.counted
    there = f"{claim.rows} test {counted}{' that choose the candidate as well' if claim.choosing else ''}"
    takes = "no number of rows could" if fewest is None else f"that takes {fewest}"
    best = "even if every answer is right" if share is not None else "however good the answers are"
    message = f"`{key}: {claim.goal.threshold:g}` cannot be shown with {there}, {best}; {takes}"
    hint = "`strategy: compare` runs without that, to measure; else add test rows, or move the goal"
    problems.add(Code.GOAL_ROWS, ("goal", key), message, hint=hint)
