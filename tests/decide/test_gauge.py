"""The gauge: what a larger model reaches, which is told and never chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
from measures import ACCURACY

from customspec.decide.costs import Spending
from customspec.decide.decision import Decision, Question, Standing, decide
from customspec.decide.samples import Measure, Sample
from customspec.spec import Cost, Goal

LOSS = Measure("perplexity", 1.0, float("inf"), higher_is_better=False, proportion=False)
GOAL = Goal(metric="accuracy", at_least=0.8)


def standing(id: str, right: int, n: int = 100, **more: Any) -> Standing:
    sample = Sample.of_rows([float(row < right) for row in range(n)])
    defaults: dict[str, Any] = {"prompt_tokens": 10.0, "artifact_bytes": 0, "train_seconds": 0.0}
    return Standing(f"{id}@0", id, "prompting", sample, sample, **{**defaults, **more})


def choose(
    *standings: Standing,
    goal: Goal | None = GOAL,
    strategy: Literal["compare", "ladder"] = "ladder",
    cost: Cost | None = None,
) -> Decision:
    question = Question(ACCURACY, goal, strategy, 0.95, 0.02, len(standings) - 1, cost, "big@0")
    return decide(question, standings)


def test_a_gauge_that_reaches_the_goal_is_set_beside_the_choice_and_not_chosen() -> None:
    big = standing("big", 95, prompt_tokens=200.0, spending=Spending(0.0, 0.5))
    decision = choose(big, standing("small", 90, spending=Spending(0.0, 0.01)))
    assert decision.chosen == "small"
    assert decision.gauge is not None
    assert decision.gauge.to_json() | {"bound": None} == {
        "key": "big@0",
        "id": "big",
        "finding": "reaches",
        "value": 0.95,
        "bound": None,
        "confidence": 0.95,
        "n": 100,
    }
    assert decision.reasons[1:3] == (
        "the gauge, big, reaches at least 0.8: accuracy 0.950 on the validation rows; so models can do the task",
        "side by side, accuracy and a request's cost: big 0.950, 200 prompt tokens and 500 ms; "
        "small 0.900, 10 prompt tokens and 10 ms",
    )


def test_prices_stand_beside_where_the_spec_has_them() -> None:
    cost = Cost(requests_per_month=1000, price_per_device_hour=3.6)
    big, small = (standing(id, 95, spending=Spending(0.0, each)) for id, each in (("big", 0.5), ("small", 0.01)))
    line = next(line for line in choose(big, small, cost=cost).reasons if line.startswith("side by side"))
    assert line.endswith("10 ms, 1e-05 in money")


def test_a_gauge_far_below_the_goal_points_at_prompt_labels_and_data_before_all_else() -> None:
    decision = choose(standing("big", 40), standing("small", 30))
    assert (decision.goal_met, decision.ending, decision.chosen) == (False, "not_reached", "small")
    assert decision.gauge is not None
    assert decision.gauge.finding == "falls_far_short"
    assert decision.reasons[0] == (
        "the gauge, big, falls far short of at least 0.8: accuracy 0.400 on the validation rows, at most 0.488 with "
        "95 % confidence; the prompt, the labels or the data are the problem, before size or tuning are"
    )


def test_a_gauge_a_little_below_the_goal_says_no_more_than_that() -> None:
    decision = choose(standing("big", 78), standing("small", 70))
    assert decision.gauge is not None
    assert decision.gauge.finding == "falls_short"
    assert "does not reach at least 0.8 and is not far from it" in decision.reasons[-1]


def test_without_a_goal_the_gauge_is_measured_and_does_not_compete() -> None:
    decision = choose(standing("big", 99), standing("small", 70), goal=None, strategy="compare")
    assert (decision.ending, decision.chosen) == ("only_one", "small")
    assert decision.gauge is not None
    assert (decision.gauge.finding, decision.gauge.bound) == ("measured", None)


def test_a_gauge_alone_decides_nothing() -> None:
    decision = choose(standing("big", 99))
    assert (decision.ending, decision.chosen, decision.goal_met) == ("nothing", None, False)


@pytest.mark.parametrize(("value", "finding"), [(5.0, "falls_far_short"), (1.5, "reaches")])
def test_for_a_metric_to_keep_low_the_bound_is_the_lower_one(value: float, finding: str) -> None:
    sample = Sample.of_rows([value + row % 2 / 10 for row in range(50)])
    big = replace(standing("big", 0), validation=sample)
    question = Question(LOSS, Goal(metric="perplexity", at_most=2.0), "ladder", 0.95, 0.02, 1, None, "big@0")
    decision = decide(question, [big, replace(standing("small", 0), validation=sample)])
    assert decision.gauge is not None
    assert decision.gauge.finding == finding
