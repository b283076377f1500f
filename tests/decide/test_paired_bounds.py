"""The upper bound of a difference on the same rows: against published examples, its closed form, and exact errors."""

from __future__ import annotations

from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measures import ACCURACY, SCORE, macro, of_table
from scipy.stats import multinomial

from customspec.decide.intervals import clopper_pearson
from customspec.decide.pairs import difference_interval, tango, upper_bound
from customspec.decide.samples import Sample


@pytest.mark.parametrize(
    ("only_first", "only_second", "n", "low", "high"),
    [(1, 7, 21, -0.517, -0.026), (6, 16, 161, -0.124, -0.00543)],
    ids=["Bentur et al. 2009", "Cavo et al. 2012"],
)
def test_tangos_bounds_agree_with_published_examples(
    only_first: int, only_second: int, n: int, low: float, high: float
) -> None:
    """Fagerland, Lydersen and Laake 2014, Stat. Med. 33:2850."""
    assert tango(only_first, only_second, n, 0.975) == pytest.approx(high, abs=5e-4)
    assert -tango(only_second, only_first, n, 0.975) == pytest.approx(low, abs=5e-4)


@pytest.mark.parametrize("n", [10, 400])
def test_rows_without_any_difference_still_leave_one_possible(n: int) -> None:
    for sample, measure in (
        (Sample.of_rows([1.0] * n), ACCURACY),
        (Sample.of_rows([0.7] * n), SCORE),
        (Sample(tuple(map(str, range(n))), [0.7] * n, macro), SCORE),
    ):
        upper = difference_interval(sample, sample, measure, 0.95, "upper").high
        assert 1 - 0.05 ** (1 / n) <= upper + 1e-12 < 3 / n + 1e-12


def test_the_bound_of_right_and_wrong_rows_is_tangos() -> None:
    first, second = of_table(60, 10, 8, 22)
    found = difference_interval(first, second, ACCURACY, 0.95, "upper")
    assert (found.method, found.high) == ("Tango", tango(10, 8, 100, 0.95))


def test_where_one_has_no_row_alone_the_bound_is_not_below_the_exact_one() -> None:
    assert upper_bound(4, 0, 87, 0.95) == clopper_pearson(4, 87, 0.95, "upper") > tango(4, 0, 87, 0.95)


@pytest.mark.parametrize("table", [(0, 0), (1, 0), (0, 1), (5, 3), (9, 0), (0, 9)])
def test_at_a_level_of_a_half_the_bound_is_the_estimate(table: tuple[int, int]) -> None:
    lost, won = table
    assert tango(lost, won, 9, 0.5) == pytest.approx((lost - won) / 9, abs=1e-8)


@given(st.integers(1, 400), st.data(), st.sampled_from([0.9, 0.95, 0.993]))
def test_tangos_bound_solves_the_equation_in_closed_form(n: int, data: st.DataObject, confidence: float) -> None:
    """Yang, Sun and Hardin 2013, Stat. Med. 32:1336: the bound is a root of a polynomial of the fourth degree."""
    only_first = data.draw(st.integers(0, n))
    only_second = data.draw(st.integers(0, n - only_first))
    bound = tango(only_first, only_second, n, confidence)
    lost, differ, per = only_first - only_second, only_first + only_second, n / NormalDist().inv_cdf(confidence) ** 2
    coefficients = (
        n**2 * (per + 1) ** 2,
        -n * lost * (per + 1) * (4 * per + 1),
        2 * lost**2 * per * (3 * per + 2) - n**2 * (differ * per / n + 1),
        n * lost * (2 * differ * per / n + 1) - lost**3 * (4 * per + 1) * per / n,
        lost**2 * (lost**2 * per / n - differ) * per / n,
    )
    value = sum(factor * bound ** (4 - power) for power, factor in enumerate(coefficients))
    assert value / coefficients[0] == pytest.approx(0, abs=1e-7)
    assert lost / n < bound <= 1 or only_first == n


@pytest.mark.parametrize(("n", "margin", "most"), [(60, 0.05, 60), (87, 0.05, 50), (222, 0.02, 40)])
def test_a_loss_as_large_as_the_margin_is_seldom_taken_for_less(n: int, margin: float, most: int) -> None:
    """Over every outcome, of at most so many rows that differ, whatever share of rows the worse one alone has right."""
    tables = [(lost, won) for lost in range(most + 1) for won in range(most + 1 - lost)]
    taken = [(lost, won, n - lost - won) for lost, won in tables if upper_bound(lost, won, n, 0.95) < margin]
    for won in (1e-9, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4):
        if n * (2 * won + margin) < most:  # else more rows differ than are looked at
            assert multinomial(n, [won + margin, won, 1 - margin - 2 * won]).pmf(taken).sum() < 0.055
