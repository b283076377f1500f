"""The learning curve: the law is found where it is known, and the answer is no surer than its rows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from measures import ACCURACY
from scipy.optimize import curve_fit

from customspec.decide.curve import Curve, Point, curve_of, fit
from customspec.decide.samples import Measure, Sample

LOSS = Measure("perplexity", 1.0, float("inf"), False, False)
SIZES = (50, 100, 200, 400)


def law(size: Any, limit: float = 0.9, factor: float = 3.0, exponent: float = 0.6) -> Any:
    return limit - factor * size**-exponent


def drawn(values: Sequence[float], rows: int, seed: int = 0) -> list[Point]:
    """Answers of that accuracy, a row as hard for every size."""
    generator = random.Random(seed)
    hardness = [generator.random() for _ in range(rows)]
    return [
        Point(size / SIZES[-1], size, Sample.of_rows([float(hard < value) for hard in hardness]))
        for size, value in zip(SIZES, values, strict=False)
    ]


def curve(values: Sequence[float], rows: int, seed: int = 0) -> Curve:
    return curve_of(drawn(values, rows, seed), ACCURACY, 0.02, 0.95)


def test_a_law_without_noise_is_found() -> None:
    limit, factor, exponent = fit(SIZES, [law(size) for size in SIZES])
    assert exponent == pytest.approx(0.6, abs=0.02)
    assert limit - factor * 800**-exponent == pytest.approx(law(800), abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_the_fit_is_the_one_of_scipys_curve_fit(seed: int) -> None:
    noisy = [law(size) + random.Random(seed + size).gauss(0, 0.005) for size in SIZES]
    mine = fit(SIZES, noisy)
    theirs, _ = curve_fit(
        law,
        np.array(SIZES, float),
        noisy,
        p0=mine,
        sigma=1 / np.sqrt(SIZES),
        bounds=([-np.inf, -np.inf, 0.1], [np.inf, np.inf, 3.0]),
        max_nfev=100_000,
    )

    def error(found: Sequence[float]) -> float:
        return float(sum(size * (law(size, *found) - value) ** 2 for size, value in zip(SIZES, noisy, strict=True)))

    assert error(mine) <= 1.05 * error(tuple(theirs)) + 1e-9
    assert law(800, *mine) == pytest.approx(law(800, *theirs), abs=0.003)


def test_a_steep_curve_over_many_rows_says_that_more_data_would_help() -> None:
    found = curve([law(size) for size in SIZES], 4000)
    assert found.more_helps is True
    assert found.twice is not None
    assert found.twice.rows == 800
    assert found.twice.ci[0] <= law(800) <= found.twice.ci[1]
    assert found.twice.gain_ci[0] > 0
    assert found.answer.startswith("more data would help: the curve leads to accuracy 0.8")


def test_a_flat_curve_says_that_more_data_would_not_help() -> None:
    found = curve([0.8, 0.8, 0.8, 0.8], 4000)
    assert found.more_helps is False
    assert found.twice is not None
    assert found.twice.value == pytest.approx(found.points[-1]["value"], abs=1e-6)


def test_with_few_rows_it_cannot_be_told() -> None:
    found = curve([0.60, 0.63, 0.60, 0.63], 30, seed=3)
    assert found.more_helps is None
    assert found.answer.startswith("it cannot be told whether more data would help: the curve leads to")


def test_few_rows_that_all_agree_leave_open_what_others_would_show() -> None:
    found = curve([0.5, 0.5, 0.5, 0.5], 12)
    assert found.more_helps is None
    assert found.twice is not None
    assert found.twice.gain == pytest.approx(0, abs=1e-9)
    open_share = 1 - 0.05 ** (1 / 12)
    assert list(found.twice.gain_ci) == pytest.approx([-open_share, open_share])


def test_nothing_is_gained_beyond_the_best_value_there_is() -> None:
    right = {0.25: 60, 0.5: 80, 1.0: 100}
    points = [
        Point(share, int(100 * share), Sample.of_rows([float(row < good) for row in range(100)]))
        for share, good in right.items()
    ]
    found = curve_of(points, ACCURACY, 0.02, 0.95)
    assert found.twice is not None
    assert (found.twice.value, found.twice.gain) == (1.0, 0.0)
    assert found.more_helps is None  # of rows like those that were not drawn, up to 3 % may still be wrong
    assert found.twice.gain_ci[1] == pytest.approx(1 - 0.05 ** (1 / 100))


def test_two_sizes_are_no_curve() -> None:
    found = curve_of(drawn([0.6, 0.7], 100), ACCURACY, 0.02, 0.95)
    assert (found.law, found.twice, found.more_helps) == (None, None, None)
    assert "that takes 3 sizes, there are 2" in found.answer
    assert [point["rows"] for point in found.points] == [50, 100]


def test_of_a_metric_where_less_is_better_a_gain_is_negative() -> None:
    generator = random.Random(0)
    noise = [generator.gauss(0, 0.05) for _ in range(500)]
    points = [Point(size / 400, size, Sample.of_rows([4 - law(size) + one for one in noise])) for size in SIZES]
    found = curve_of(points, LOSS, 0.02, 0.95)
    assert found.more_helps is True
    assert found.twice is not None
    assert found.twice.gain < 0
    assert found.twice.value == pytest.approx(4 - law(800), abs=0.02)


def test_rows_that_belong_together_widen_the_interval() -> None:
    alone = drawn([law(size) for size in SIZES], 300)
    together = [
        Point(
            point.share, point.rows, Sample.of_rows(list(point.sample.rows or ()) * 4, list(map(str, range(300))) * 4)
        )
        for point in alone
    ]
    many = [Point(p.share, p.rows, Sample.of_rows(list(p.sample.rows or ()) * 4)) for p in alone]

    def width(points: Sequence[Point]) -> float:
        twice = curve_of(points, ACCURACY, 0.02, 0.95).twice
        assert twice is not None
        return twice.ci[1] - twice.ci[0]

    assert width(together) > 1.5 * width(many)
    assert width(together) == pytest.approx(width(alone), rel=0.15)


def test_it_is_plain_json_and_the_same_every_time() -> None:
    points = drawn([law(size) for size in SIZES], 200)
    first, second = (curve_of(points, ACCURACY, 0.02, 0.95).to_json() for _ in range(2))
    assert first == second
    assert set(first) == {"points", "law", "more_helps", "answer", "at_twice"}
