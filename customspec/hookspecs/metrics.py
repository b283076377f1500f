"""The contract of a metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from customspec.hookspecs.values import Answer
from customspec.spec import Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Metric(Protocol):
    """A number for a set of answers."""

    @property
    def name(self) -> str:
        """The entry point's name, without `metric.`."""

    @property
    def summary(self) -> str:
        """One paragraph: what it measures, its range, its source."""

    @property
    def task(self) -> Literal["classification", "generation", "any"]:
        """What it can measure: predicted choices, generated texts, or both."""

    @property
    def lowest(self) -> float:
        """The smallest possible value; may be infinite."""

    @property
    def highest(self) -> float:
        """The largest possible value; may be infinite."""

    @property
    def higher_is_better(self) -> bool:
        """Its direction."""

    @property
    def proportion(self) -> bool:
        """Whether it is the mean of right (1) and wrong (0) over rows, so that Wilson's interval holds."""

    def score(self, options: Any, answers: Sequence[Answer]) -> float:
        """The metric over all answers, of which there is at least one. Intervals ask for it some thousand times."""


# Optional members of a metric: each is found by its name and stands alone.


@runtime_checkable
class HasOptions(Protocol):
    """Can be told more in the spec; without this, `Options` without a field is passed."""

    @property
    def options(self) -> type[Options]:
        """The model of its options; every field has a docstring."""


@runtime_checkable
class ScoresRows(Protocol):
    """Is the mean of a number per row."""

    def rows(self, options: Any, answers: Sequence[Answer]) -> Sequence[float]:
        """Each answer's own number, in order; 0 or 1 for a proportion. `score` is their mean."""


@runtime_checkable
class ScoresTotals(Protocol):
    """Depends on nothing but totals over the rows, such as the counts of a confusion matrix: thousands of resamples are
    then scored at once."""

    def parts(self, options: Any, answers: Sequence[Answer]) -> NDArray[np.float64]:
        """What each answer adds to the totals: (answers, k). What k is may depend on which answers there are."""

    def of_totals(self, options: Any, totals: NDArray[np.float64]) -> NDArray[np.float64]:
        """`score` of sums of any of the parts, at least one: (…, k) -> (…)."""


@runtime_checkable
class NeedsLikelihood(Protocol):
    """Looks at how likely the reference is, which costs a pass of the model over every row."""

    @property
    def needs_likelihood(self) -> bool:
        """Whether `log_likelihood` and `tokens` are to be filled."""
