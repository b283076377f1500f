"""What many requests cost: totals, and where two candidates break even."""

from __future__ import annotations

import pytest

from customspec.decide.costs import Reading, Spending, about, break_even, break_evens, rounded
from customspec.spec import Cost

FEW_SHOT = Spending(0.0, 0.05)
LORA = Spending(40.0, 0.01)
COST = Cost(requests_per_month=10_000, price_per_device_hour=3.6)


def test_a_training_is_made_up_for_by_cheaper_requests() -> None:
    assert break_even(FEW_SHOT, LORA) == 1000
    assert FEW_SHOT.total(1000) == pytest.approx(LORA.total(1000))
    assert FEW_SHOT.total(999) < LORA.total(999)
    assert FEW_SHOT.total(1001) > LORA.total(1001)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (LORA, FEW_SHOT),
        (Spending(0.0, 0.01), LORA),
        (Spending(0.0, 0.0105), LORA),
        (FEW_SHOT, FEW_SHOT),
        (Spending(50.0, 0.05), LORA),
    ],
    ids=["dearer-requests", "as-dear", "within-a-tenth", "itself", "cheaper-from-the-start"],
)
def test_what_never_costs_less_has_no_break_even(first: Spending, second: Spending) -> None:
    assert break_even(first, second) is None


@pytest.mark.parametrize(
    ("first", "second", "requests"),
    [
        (Reading("model", 46), Reading("model", 46), None),
        (Reading("model", 46), Reading("model", 66), None),
        (Reading("model", 46), Reading("model", 45), 1000),
        (Reading("model:2", 46), Reading("model", 46), 1000),
        (None, Reading("model", 46), 1000),
        (Reading("model", 46), None, 1000),
    ],
    ids=["as-much", "more", "less", "another-model", "writes", "instead-of-writing"],
)
def test_who_reads_as_much_saves_nothing(first: Reading | None, second: Reading | None, requests: int | None) -> None:
    assert break_even(Spending(0.0, 0.05, first), Spending(40.0, 0.01, second)) == requests


def test_each_pair_is_told_once_with_who_is_cheaper_when() -> None:
    spendings = {"lora": LORA, "few_shot": FEW_SHOT, "zero_shot": Spending(0.0, 0.02)}
    found = [one.to_json() for one in break_evens(spendings)]
    assert found == [
        {"first": "few_shot", "second": "lora", "requests": 1000},
        {"first": "zero_shot", "second": "lora", "requests": 4000},
    ]
    assert list(about("few_shot", spendings, None)) == [
        "from about 1,000 requests on, lora costs less than few_shot: 40 s more of search and training, "
        "40 ms less a request"
    ]
    assert len(about("lora", spendings, None)) == 2


def test_money_is_seconds_at_the_devices_price() -> None:
    assert LORA.priced(COST) == pytest.approx({"once": 0.04, "per_request": 1e-5, "total": 0.14})
    *_, totals = about("lora", {"few_shot": FEW_SHOT, "lora": LORA}, COST)
    assert totals == "10,000 requests, search and training included, cost: lora 0.14, few_shot 0.5"
    assert not about("lora", {"lora": LORA}, COST)


@pytest.mark.parametrize(("number", "text"), [(1, "1"), (87, "87"), (123, "120"), (4567, "4,600")])
def test_a_break_even_is_told_with_two_digits(number: int, text: str) -> None:
    assert rounded(number) == text
