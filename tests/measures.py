"""Metrics as the tests of `decide` see them: right or wrong, a score of each row, and one of which less is better."""

from __future__ import annotations

from customspec.decide.samples import Measure

ACCURACY = Measure("accuracy", 0.0, 1.0, higher_is_better=True, proportion=True)
SCORE = Measure("score", 0.0, 1.0, higher_is_better=True, proportion=False)
ERRORS = Measure("errors", 0.0, 1.0, higher_is_better=False, proportion=True)
