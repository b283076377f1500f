"""The learning curve: how quality grew with the training rows, and whether more of them would help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import isfinite
from typing import TYPE_CHECKING, Any

from customspec.decide.intervals import interval_of, unseen
from customspec.decide.samples import Measure, Sample, shared, statistic_of
from customspec.decide.wording import percent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

FEWEST = 3  # sizes: as many as the law has parameters
RESAMPLES = 999
STEEPEST = 3.0  # the exponent's bounds: beyond them the law is a step or a line on a few sizes
FLATTEST = 0.1
GRID = 59  # exponents tried


@dataclass(frozen=True, slots=True)
class Point:
    """A candidate trained on `rows` training rows, `share` of all, and its answers to the validation rows."""

    share: float
    rows: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class Twice:
    """What the law says of twice the rows: the value, and the gain over all rows there are, with their intervals."""

    rows: int
    value: float
    ci: tuple[float, float]
    gain: float
    gain_ci: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """`more_helps`: None where it cannot be told. `law`: limit, factor and exponent of limit - factor * rows^-exponent
    (+ for a metric of which less is better)."""

    points: tuple[dict[str, Any], ...]
    law: dict[str, float] | None
    twice: Twice | None
    more_helps: bool | None
    answer: str

    def to_json(self) -> dict[str, Any]:
        twice = None if self.twice is None else {name: getattr(self.twice, name) for name in Twice.__slots__}
        own = {name: getattr(self, name) for name in ("law", "more_helps", "answer")}
        return {"points": list(self.points), **own, "at_twice": twice}


def curve_of(points: Sequence[Point], measure: Measure, margin: float, confidence: float) -> Curve:
    """The points from few rows to many, the law through them, and the answer.

    The law is the inverse power law (Cortes et al. 1993; Figueroa et al. 2012). The interval is a percentile bootstrap
    over validation rows, or groups of them, drawn alike for every size: it does not know what another seed, or other
    training rows of the same number, would have given. A gain whose interval lies above zero is one that more rows
    would bring; an interval that ends below `margin` says that they would not bring what is worth having. It is never
    narrower than what rows of a kind that was not drawn leave open (`intervals.unseen`).
    """
    points_json = tuple(_point_json(point, measure, confidence) for point in points)
    if len({point.rows for point in points}) < FEWEST:
        answer = f"it cannot be told whether more data would help: that takes {FEWEST} sizes, there are {len(points)}"
        return Curve(points_json, None, None, None, answer)
    sign = 1.0 if measure.higher_is_better else -1.0
    sizes = [point.rows for point in points]
    limit, factor, exponent = fit(sizes, [sign * point.sample.value for point in points])
    twice = _twice(points, measure, confidence, sign)
    law = {"limit": sign * limit, "factor": factor, "exponent": exponent}
    helps = _helps(sign, twice, margin)
    answer = _answer(points[-1], measure, twice, helps, margin=margin, confidence=confidence)
    return Curve(points_json, law, twice, helps, answer)


def fit(sizes: Sequence[int], values: Sequence[float]) -> tuple[float, float, float]:
    """Limit, factor and exponent of limit - factor * size^-exponent, least squares; the more rows a size has the
    more it counts. A factor may be negative: what got worse with more rows goes on getting worse."""
    import numpy as np

    limits, factors, exponents = _fit_all(np.asarray(sizes, float), np.asarray([values], float))
    return float(limits[0]), float(factors[0]), float(exponents[0])


def _fit_all(sizes: Numbers, values: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """As `fit`, for many rows of values at once, (draws, sizes): for each exponent of a grid the other two parameters
    are a weighted linear regression. scipy's curve_fit, started from the best, moves none of them by more than the
    grid's step (a test compares)."""
    import numpy as np

    weights = np.sqrt(sizes / sizes.sum())
    grid = np.geomspace(FLATTEST, STEEPEST, GRID)
    best = np.full(len(values), np.inf)
    found = np.zeros((3, len(values)))
    for exponent in grid:
        design = np.column_stack([np.ones_like(sizes), -(sizes**-exponent)]) * weights[:, None]
        solved, *_ = np.linalg.lstsq(design, (values * weights).T, rcond=None)  # (2, draws)
        errors = ((design @ solved - (values * weights).T) ** 2).sum(0)
        better = errors < best - 1e-12
        best[better] = errors[better]
        found[:, better] = np.vstack([solved[:, better], np.full(int(better.sum()), exponent)])
    return found[0], found[1], found[2]


def _twice(points: Sequence[Point], measure: Measure, confidence: float, sign: float) -> Twice:
    import numpy as np

    sizes = np.array([point.rows for point in points], float)
    drawn = np.vstack([_values(points), _resampled(points)]) * sign
    last = sizes[-1]
    limits, factors, exponents = _fit_all(sizes, drawn)
    at_all, at_twice = (sign * (limits - factors * size**-exponents) for size in (last, 2 * last))
    has = sign * drawn[:, -1]
    # the law may pass what it was fitted to, and the range: nothing is gained beyond the best value there is
    gains = np.clip(at_twice - at_all, measure.lowest - has, measure.highest - has)
    reached = np.clip(at_twice, measure.lowest, measure.highest)
    tail = 50 * (1 - confidence)
    low, high = np.percentile(reached[1:], [tail, 100 - tail])
    least, most = np.percentile(gains[1:], [tail, 100 - tail])
    gain = float(gains[0])
    within = _widened((float(least), float(most)), gain, points[-1].sample.units, measure, confidence)
    return Twice(int(2 * last), float(reached[0]), (float(low), float(high)), gain, within)


def _widened(
    ci: tuple[float, float], gain: float, units: int, measure: Measure, confidence: float
) -> tuple[float, float]:
    """Where few rows change their answer a bootstrap sees no spread: no bound passes the one for unseen rows."""
    if not isfinite(measure.range):
        return ci
    least, most = (unseen(gain, extreme, units, confidence) for extreme in (-measure.range, measure.range))
    return min(ci[0], least), max(ci[1], most)


def _values(points: Sequence[Point]) -> list[float]:
    return [point.sample.value for point in points]


def _resampled(points: Sequence[Point]) -> Numbers:
    """Each size's value on the same drawn rows or groups: (draws, sizes)."""
    import numpy as np

    common = reduce(lambda kept, point: shared(kept, point.sample)[0], points[1:], points[0].sample)
    statistics = [statistic_of(shared(point.sample, common)[0]) for point in points]
    drawn = np.random.default_rng(0).integers(statistics[0].count, size=(RESAMPLES, statistics[0].count))
    return np.column_stack([statistic.of(drawn) for statistic in statistics])


def _point_json(point: Point, measure: Measure, confidence: float) -> dict[str, Any]:
    interval = interval_of(point.sample, measure, confidence)
    ci = [interval.low, interval.high]
    return {"share": point.share, "rows": point.rows, "value": point.sample.value, "ci": ci, "n": point.sample.n}


def _helps(sign: float, twice: Twice, margin: float) -> bool | None:
    least, most = sorted(sign * end for end in twice.gain_ci)
    if least > 0:
        return True
    return False if most < margin else None


def _answer(
    most_rows: Point, measure: Measure, twice: Twice, helps: bool | None, *, margin: float, confidence: float
) -> str:
    low, high = twice.ci
    least, most = twice.gain_ci
    reached = f"{measure.name} {twice.value:.3f} ({low:.3f} to {high:.3f}) at {twice.rows} rows"
    gain = f"a gain of {_signed(twice.gain)} ({_signed(least)} to {_signed(most)}, {percent(confidence)})"
    has = f"with {most_rows.rows} it has {most_rows.sample.value:.3f}"
    if helps is None:
        return f"it cannot be told whether more data would help: the curve leads to {reached}, {gain}; {has}"
    if helps:
        return f"more data would help: the curve leads to {reached}, {gain}; {has}"
    return f"more data would not help by {margin:g}: the curve leads to {reached}, {gain}; {has}"


def _signed(number: float) -> str:
    return f"{number:+.3f}".replace("-0.000", "+0.000")
