"""What a candidate will cost, before it runs and without torch: parameters, tokens, operations, memory, time."""

from customspec.estimate.predicted import Estimate
from customspec.estimate.schedule import COMPARED, comparisons, evaluation_interval, training_steps

__all__ = ["COMPARED", "Estimate", "comparisons", "evaluation_interval", "training_steps"]
