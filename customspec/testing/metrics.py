"""The rules for metrics: the declared range and direction hold, and the number depends on the rows alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from statistics import fmean
from typing import Any
from unittest import SkipTest

from customspec.errors import PluginError
from customspec.hookspecs import Metric, ScoresRows, ScoresTotals
from customspec.registry import MEMBERS, check_extra, metric_options
from customspec.spec import Options
from customspec.testing.checks import Check, require
from customspec.testing.fresh import Fresh, ask_anew
from customspec.testing.options import options_checks, options_of
from customspec.testing.rows import PAIRS, answers_of, scored
from customspec.testing.subject import module_of

TASKS = ("classification", "generation", "any")
CLOSE = 1e-9  # relative; a sum taken in another order differs in its last digits
RIGHT = tuple((reference, reference) for _, reference in PAIRS)
EMPTY = tuple(("", reference) for _, reference in PAIRS)
SAMPLES = (PAIRS, RIGHT, EMPTY, PAIRS[:1], PAIRS[1:2])
Pairs = Sequence[Sequence[str]]


@dataclass(frozen=True)
class _Measured:
    """A metric under test. `given`: the options as a person would write them."""

    metric: Metric
    given: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def options(self) -> Options:
        """Raises RuleError for options that are not the metric's, SkipTest where what it needs is not installed."""
        try:
            check_extra("metric", self.metric)
        except PluginError as missing:
            raise SkipTest(str(missing)) from missing
        return options_of(metric_options(self.metric), self.given)

    @cached_property
    def fresh(self) -> tuple[Fresh, Fresh]:
        """What two fresh processes answer, under the hash seeds 1 and 2."""
        name, options = self.metric.name, self.options.model_dump(mode="json")
        module = module_of("metric", name, self.metric)
        asked = {"module": module, "kind": "metric", "name": name, "options": options, "pairs": PAIRS}
        return ask_anew(asked, 1), ask_anew(asked, 2)

    def score(self, pairs: Pairs) -> float:
        return scored(self.metric, self.options, pairs)


def metric_checks(metric: Metric, given: Mapping[str, Any]) -> Iterator[Check]:
    """The rules for metrics."""
    subject = _Measured(metric, given)
    yield Check("members", "It has every member of a metric.", lambda: _members(metric))
    yield Check("declared", "It declares a task, a range and a direction that make sense.", lambda: _declared(metric))
    yield from options_checks(
        lambda: metric_options(metric), lambda: Options, lambda: subject.options, lambda: subject.fresh
    )
    for name, (sentence, rule) in RULES.items():
        yield Check(name, sentence, partial(rule, subject))
    if isinstance(metric, ScoresRows):
        sentence = "`rows` has each answer's own number, 0 or 1 for a proportion; `score` is their mean."
        yield Check("rows", sentence, lambda: _rows(metric, subject))
    if isinstance(metric, ScoresTotals):
        sentence = "`of_totals` of the summed `parts` of any rows is their `score`."
        yield Check("totals", sentence, lambda: _totals(metric, subject))


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


def _range(subject: _Measured) -> None:
    low, high = subject.metric.lowest, subject.metric.highest
    for pairs in SAMPLES:
        value = subject.score(pairs)
        number = isinstance(value, int | float) and math.isfinite(value)
        require(number, f"{value!r} is no finite number, for {list(pairs)}")
        require(low <= value <= high, f"{value} is not between {low} and {high}, for {list(pairs)}")


def _order(subject: _Measured) -> None:
    forth, back = subject.score(PAIRS), subject.score(PAIRS[::-1])
    require(math.isclose(forth, back, rel_tol=CLOSE), f"{forth} for the rows, {back} for the same rows turned round")


def _proportion(subject: _Measured) -> None:
    if not subject.metric.proportion:
        return
    each = [subject.score([pair]) for pair in PAIRS]
    require(all(value in (0, 1) for value in each), f"single rows score {each}, not 0 or 1")
    whole, mean = subject.score(PAIRS), fmean(each)
    require(math.isclose(whole, mean, rel_tol=CLOSE), f"all rows score {whole}; the mean over single rows is {mean}")


def _rows(metric: ScoresRows, subject: _Measured) -> None:
    for pairs in SAMPLES:
        answers = answers_of(metric, pairs)
        numbers = list(metric.rows(subject.options, answers))
        require(len(numbers) == len(answers), f"{len(numbers)} numbers for {len(answers)} answers")
        proper = not subject.metric.proportion or all(number in (0, 1) for number in numbers)
        require(proper, f"the rows of a proportion are {numbers}, not 0 or 1")
        whole, mean = subject.score(pairs), fmean(numbers)
        require(math.isclose(whole, mean, rel_tol=CLOSE), f"`score` is {whole}; the mean of `rows` is {mean}")
        alone = [number for answer in answers for number in metric.rows(subject.options, [answer])]
        require(alone == numbers, f"a row's number depends on the others: {numbers} together, {alone} alone")


def _totals(metric: ScoresTotals, subject: _Measured) -> None:
    all_parts = metric.parts(subject.options, answers_of(metric, PAIRS))
    for start in range(len(PAIRS)):
        found = float(metric.of_totals(subject.options, all_parts[start:].sum(axis=0)))
        whole = subject.score(PAIRS[start:])
        require(math.isclose(found, whole, rel_tol=CLOSE), f"`score` is {whole}; by totals it is {found}")


def _light(subject: _Measured) -> None:
    loaded = subject.fresh[0].imported
    require(not loaded, f"importing its module loads {', '.join(loaded)}; import them inside `score`")


def _process(subject: _Measured) -> None:
    here = subject.score(PAIRS)
    for hash_seed, each in enumerate(subject.fresh, 1):
        there = each.answer("score")
        require(there == here, f"{there!r} under PYTHONHASHSEED={hash_seed}, {here!r} here; is a set's order used?")


RULES: Mapping[str, tuple[str, Callable[[_Measured], None]]] = {
    "range": ("Its values are finite numbers within the declared range.", _range),
    "order": ("The order of the rows does not matter: intervals draw them anew.", _order),
    "proportion": ("A proportion is the mean of rights and wrongs.", _proportion),
    "light_import": ("Importing its module loads no heavy library.", _light),
    "any_process": ("Every process gets the same number, to the last digit.", _process),
}
