"""What metrics of choices are made of: how often each choice is the right one, the given one, and both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from customspec.hookspecs import Answer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


def counts(answers: Sequence[Answer]) -> Numbers:
    """(answers, 3 * choices): each answer's reference, its prediction, and the choice where both are one."""
    import numpy as np

    choices = sorted({text for answer in answers for text in (answer.reference, answer.prediction)})
    index = {choice: place for place, choice in enumerate(choices)}
    found = np.zeros((len(answers), 3, len(choices)))
    for row, answer in zip(found, answers, strict=True):
        true, given = index[answer.reference], index[answer.prediction]
        row[0, true] = row[1, given] = 1
        row[2, true] = true == given
    return found.reshape(len(answers), -1)


def split(totals: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """By choice (…, choices), how often it was the right one, the given one, and both."""
    whole = totals.reshape(*totals.shape[:-1], 3, -1)
    return whole[..., 0, :], whole[..., 1, :], whole[..., 2, :]
