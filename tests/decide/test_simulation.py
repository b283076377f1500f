"""The promises of `benchmarks/decision.py` in small: fixed seeds, limits that chance passes once in 10,000."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import pytest

from benchmarks.decision import main
from benchmarks.exact import bounds
from benchmarks.simulation import Kind, bootstrapped, decisions, families, kinds, right_or_wrong

RUNS = 300
EIGHT = [0.8] * 8


def above(share: float, draws: int) -> float:
    """What a true share does not pass, but once in 10,000."""
    return share + NormalDist().inv_cdf(0.9999) * sqrt(share * (1 - share) / draws)


def test_the_simulated_candidates_have_their_accuracies_and_answer_alike() -> None:
    import numpy as np

    answers = right_or_wrong([0.8, 0.9], 100_000, np.random.default_rng(0))
    assert answers.mean(axis=1) == pytest.approx([0.8, 0.9], abs=0.006)
    assert 0.2 < float(np.corrcoef(answers[0], answers[1]).flat[1]) < 0.5


@pytest.mark.parametrize("n", [100, 400])
def test_intervals_cover_and_equal_candidates_are_not_told_apart(n: int) -> None:
    found = families(EIGHT, n, RUNS, seed=n)
    assert found.covered == pytest.approx(0.95, abs=0.02)
    assert found.covered_difference == pytest.approx(0.95, abs=0.025)  # pairs of one run are not independent
    assert found.false_verdict <= above(0.05, RUNS)


def test_a_real_difference_is_told_given_the_rows() -> None:
    found = families([0.8] * 4 + [0.9] * 4, 400, 50, seed=1)
    assert found.told_apart > 0.85


@pytest.mark.parametrize("validation", [True, False])
@pytest.mark.parametrize("n", [100, 400])
def test_where_no_candidate_meets_the_goal_few_runs_declare_it_met(n: int, validation: bool) -> None:
    found = decisions(EIGHT, n, RUNS, seed=n + 1, threshold=0.8, strategy="compare", validation=validation)
    assert found.met <= above(0.05, RUNS)


def test_where_one_does_most_runs_declare_it_met() -> None:
    found = decisions([0.7] * 5 + [0.9], 400, 100, seed=2, threshold=0.8)
    assert found.met > 0.95
    assert found.falsely == 0.0


def test_without_a_goal_few_runs_choose_what_loses_more_than_the_margin() -> None:
    found = decisions([0.8] * 7 + [0.82], 1600, RUNS, seed=3, strategy="compare")
    assert found.beyond_margin <= above(0.05, RUNS)
    assert 0 < found.undecided < 1


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.name)
def test_bootstrap_intervals_cover_and_bootstrap_claims_seldom_err(kind: Kind) -> None:
    found = bootstrapped(kind, 100, RUNS, seed=4)
    assert found.covered >= 0.95 - 4 * sqrt(0.05 * 0.95 / RUNS)
    assert found.falsely <= above(0.06, RUNS)  # right in the limit of many rows only


def test_of_three_bounds_only_the_exact_one_never_passes_its_level() -> None:
    sizes = [[float(cell.removesuffix(" %")) for cell in line[2:]] for line in bounds().lines]
    exact, middle, wilson = zip(*sizes, strict=True)
    assert max(exact) <= 5.0
    assert max(middle) > 5.5
    assert max(wilson) > 5.5


def test_the_benchmark_writes_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--runs", "2"])
    page = capsys.readouterr().out
    assert page.startswith("# What the statistics of a decision promise\n")
    assert page.count("\n## ") == 9
