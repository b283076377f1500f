"""Numbers as the answer says them."""

from __future__ import annotations

import pytest

from customspec.decide.wording import amount, at_least, at_most, percent


def test_a_bound_is_never_rounded_to_the_better_side() -> None:
    assert at_least(0.7999) == "at least 0.799"
    assert at_most(0.2001) == "at most 0.201"
    assert (at_least(0.8), at_most(0.3), at_least(0.0)) == ("at least 0.800", "at most 0.300", "at least 0.000")


@pytest.mark.parametrize(
    ("rows", "text"),
    [(7, "about 7"), (94, "about 94"), (100, "about 100"), (593, "about 600"), (5034, "about 5,100")],
)
def test_an_amount_that_rests_on_an_estimate_has_two_digits(rows: int, text: str) -> None:
    assert amount(rows) == text


def test_a_confidence_keeps_the_digits_that_it_has() -> None:
    assert [percent(one) for one in (0.95, 0.99375, 0.5)] == ["95 %", "99.38 %", "50 %"]


@pytest.mark.parametrize(
    ("level", "text"),
    [(0.99999, "99.999 %"), (0.999999, "99.9999 %"), (0.99996, "99.996 %"), (1 - 2**-53, "99.99999999999999 %")],
)
def test_a_level_below_1_is_never_rounded_up_to_certainty(level: float, text: str) -> None:
    assert percent(level) == text
