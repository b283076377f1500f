"""Calibrated scores of choices: what of a score is due to the question, and not to the choice's own wording."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from customspec.spec import Calibration


def calibrated_scores(
    calibrate: Calibration, scores: Sequence[float], lengths: Sequence[int], empty: Sequence[Sequence[float]]
) -> list[float]:
    """One number a choice; the largest is predicted, and their softmax is the choices' probabilities.

    `scores` are log-likelihoods of the choices after the question, `lengths` their tokens, `empty` the
    log-likelihoods after each question without content.

    - `length`: log p(y|x) / |y|.
    - `contextual`: log p(y|x) - log p_cf(y), where p is normalized over the choices and p_cf is its mean over the
      content-free questions: diag(p_cf)^-1 p of Zhao et al. 2021, equation 1 with b = 0, as its logarithm.
    - `pmi`: log p(y|x) - log p(y|domain), Holtzman et al. 2021, equation 3 (PMI-DC); the domain is the prompt without
      the question.
    """
    if calibrate == "length":
        return [score / length for score, length in zip(scores, lengths, strict=True)]
    if calibrate == "contextual":
        free = [fmean(column) for column in zip(*map(shares, empty), strict=True)]
        return [score - math.log(share) for score, share in zip(scores, free, strict=True)]
    if calibrate == "pmi":
        return [score - domain for score, domain in zip(scores, empty[0], strict=True)]
    return list(scores)


def shares(scores: Sequence[float]) -> list[float]:
    """The softmax: probabilities that sum to one."""
    best = max(scores)
    weights = [math.exp(score - best) for score in scores]
    return [weight / sum(weights) for weight in weights]
