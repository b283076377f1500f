"""What is asked of a metric: its declared range and direction, and that the number depends on the rows alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache

from customspec.hookspecs import Metric
from customspec.registry import MEMBERS
from customspec.testing.checks import Check, require
from customspec.testing.fresh import Fresh, ask_anew
from customspec.testing.rows import PAIRS, scored
from customspec.testing.subject import module_of

TASKS = ("classification", "generation", "any")
CLOSE = 1e-9  # relative; a sum taken in another order differs in its last digits


def metric_checks(metric: Metric) -> Iterator[Check]:
    """The rules for metrics."""
    fresh = cache(lambda: tuple(_fresh(metric, hash_seed) for hash_seed in (1, 2)))
    yield Check("members", "It has every member of a metric.", lambda: _members(metric))
    yield Check("declared", "It declares a task, a range and a direction that make sense.", lambda: _declared(metric))
    yield Check("range", "Its values are finite numbers within the declared range.", lambda: _range(metric))
    yield Check("order", "The order of the rows does not matter: intervals draw them anew.", lambda: _order(metric))
    yield Check("proportion", "A proportion is the mean of rights and wrongs.", lambda: _proportion(metric))
    yield Check("light_import", "Importing its module loads no heavy library.", lambda: _light(fresh()))
    yield Check(
        "any_process", "Every process gets the same number, to the last digit.", lambda: _process(metric, fresh())
    )


def _members(metric: Metric) -> None:
    missing = [name for name in MEMBERS["metric"] if getattr(metric, name, None) is None]
    require(not missing, f"it lacks {', '.join(missing)}")
    require(metric.summary.strip(), "`summary` is empty")


def _declared(metric: Metric) -> None:
    require(metric.task in TASKS, f"`task` is {metric.task!r}; it must be one of {', '.join(TASKS)}")
    low, high = metric.lowest, metric.highest
    require(low < high, f"`lowest` is {low} and `highest` is {high}")
    require(isinstance(metric.higher_is_better, bool), "`higher_is_better` must be True or False")
    bounded = (low, high) == (0, 1)
    require(bounded or not metric.proportion, f"a proportion lies between 0 and 1, not {low} and {high}")


def _samples() -> list[Sequence[tuple[str, str]]]:
    right = [(reference, reference) for _, reference in PAIRS]
    wrong = [("", reference) for _, reference in PAIRS]
    return [PAIRS, right, wrong, PAIRS[:1], PAIRS[1:2]]


def _range(metric: Metric) -> None:
    for pairs in _samples():
        value = scored(metric, pairs)
        number = isinstance(value, int | float) and math.isfinite(value)
        require(number, f"{value!r} is no finite number, for {list(pairs)}")
        inside = metric.lowest <= value <= metric.highest
        require(inside, f"{value} is not between {metric.lowest} and {metric.highest}, for {list(pairs)}")


def _order(metric: Metric) -> None:
    forth, back = scored(metric, PAIRS), scored(metric, PAIRS[::-1])
    require(math.isclose(forth, back, rel_tol=CLOSE), f"{forth} for the rows, {back} for the same rows turned round")


def _proportion(metric: Metric) -> None:
    if not metric.proportion:
        return
    each = [scored(metric, [pair]) for pair in PAIRS]
    require(all(value in (0, 1) for value in each), f"single rows score {each}, not 0 or 1")
    whole, mean = scored(metric, PAIRS), sum(each) / len(each)
    require(math.isclose(whole, mean, rel_tol=CLOSE), f"all rows score {whole}; the mean over single rows is {mean}")


def _fresh(metric: Metric, hash_seed: int) -> Fresh:
    module = module_of("metric", metric.name, metric)
    asked = {"module": module, "kind": "metric", "name": metric.name, "pairs": PAIRS}
    return ask_anew(asked, hash_seed)


def _light(fresh: Sequence[Fresh]) -> None:
    loaded = fresh[0].imported
    require(not loaded, f"importing its module loads {', '.join(loaded)}; import them inside `score`")


def _process(metric: Metric, fresh: Sequence[Fresh]) -> None:
    here = scored(metric, PAIRS)
    for hash_seed, each in enumerate(fresh, 1):
        there = each.answer("score")
        require(there == here, f"{there!r} under PYTHONHASHSEED={hash_seed}, {here!r} here; is a set's order used?")
