"""What candidates cost over many requests: once before the first, and again at each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, floor, log10
from typing import Any

from customspec.spec import Cost

TELLING = 0.1  # of the dearer request; times that lie nearer together are those of a busy machine


@dataclass(frozen=True, slots=True)
class Reading:
    """What a request takes where choices are scored: so many prompt tokens, read by this base model."""

    model: str
    tokens: float

    def is_as_much_as(self, other: Reading | None) -> bool:
        return other is not None and self.model == other.model and self.tokens >= other.tokens


@dataclass(frozen=True, slots=True)
class Spending:
    """Seconds of a device: `once` for search, fit and training, `per_request` at the throughput of the evaluation.

    `reading` is what a request asks, where that can be known; two times alone may differ by what else a machine did.
    """

    once: float = 0.0
    per_request: float = 0.0
    reading: Reading | None = None

    def total(self, requests: float) -> float:
        return self.once + self.per_request * requests

    def priced(self, cost: Cost) -> dict[str, float]:
        """The same as money: once, for each request, and for both over a month's requests."""
        second = cost.price_per_device_hour / 3600
        return {
            "once": self.once * second,
            "per_request": self.per_request * second,
            "total": self.total(cost.requests_per_month) * second,
        }


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From `requests` on, `second` costs less in all than `first`, which costs less up to there."""

    first: str
    second: str
    requests: int
    once: float
    """Seconds that the second costs more before the first request."""
    per_request: float
    """Seconds that it costs less at each."""

    def to_json(self) -> dict[str, Any]:
        return {"first": self.first, "second": self.second, "requests": self.requests}

    def sentence(self) -> str:
        less = f"{1000 * self.per_request:.3g} ms less a request"
        return (
            f"from about {rounded(self.requests)} requests on, {self.second} costs less than {self.first}: "
            f"{self.once:.3g} s more of search and training, {less}"
        )


def break_even(first: Spending, second: Spending) -> int | None:
    """The requests from which on the second costs less in all; None where it never does, or where it does at once.

    A candidate that has as much to read saves nothing, whatever was measured.
    """
    if second.reading is not None and second.reading.is_as_much_as(first.reading):
        return None
    once, saved = second.once - first.once, first.per_request - second.per_request
    if once <= 0 or saved <= TELLING * first.per_request:
        return None
    return max(1, ceil(once / saved))


def break_evens(spendings: Mapping[str, Spending]) -> list[BreakEven]:
    """Every two candidates of which one is cheaper for few requests, and the other for many."""
    found = []
    for one, other in combinations(spendings, 2):
        for first, second in ((one, other), (other, one)):
            few, many = spendings[first], spendings[second]
            requests = break_even(few, many)
            if requests is not None:
                saved = few.per_request - many.per_request
                found.append(BreakEven(first, second, requests, many.once - few.once, saved))
    return found


def totals(spendings: Mapping[str, Spending], cost: Cost) -> str:
    """The month's requests in money, cheapest first."""
    priced = {id: spending.priced(cost)["total"] for id, spending in spendings.items()}
    listed = ", ".join(f"{id} {priced[id]:.3g}" for id in sorted(priced, key=priced.__getitem__))
    return f"{cost.requests_per_month:,} requests, search and training included, cost: {listed}"


def about(id: str, spendings: Mapping[str, Spending], cost: Cost | None) -> Sequence[str]:
    """The sentences about one candidate: where it breaks even with others, and the totals."""
    sentences = [found.sentence() for found in break_evens(spendings) if id in (found.first, found.second)]
    return sentences if cost is None or len(spendings) < 2 else [*sentences, totals(spendings, cost)]


def rounded(number: int) -> str:
    """The number with two digits: it rests on measured times."""
    step = 10 ** max(floor(log10(number)) - 1, 0)
    return f"{round(number / step) * step:,}"
