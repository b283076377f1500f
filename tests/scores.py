"""What tests of metrics share: pairs of prediction and reference, and what a metric makes of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from customspec.hookspecs import Answer
from customspec.registry import discover, metric_options

REGISTRY = discover()
NEEDED: dict[str, dict[str, Any]] = {
    "regex": {"pattern": "[a-z ]+"},
    "json_schema": {"against": {"type": "integer"}},
}
Pairs = list[tuple[str, str]]
LABELS = st.sampled_from(["warm", "cold", "hot", "", "a b"])
PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40)
TEXTS = st.lists(st.tuples(st.text("aB é1.\n日"), st.text("Ab é1.\t日")), min_size=1, max_size=8)
SENTENCES: Pairs = [
    ("the cat sat on the mat", "the cat is sitting on the mat"),
    ("there is a dog in the garden today", "a dog was in the garden"),
    ("", "nothing was said"),
    ("Äpfel und Birnen fallen vom Baum", "Äpfel und Birnen, sie fallen vom Baum."),
    ("same words here, exactly", "same words here, exactly"),
]


def answers(pairs: Sequence[tuple[str, str]]) -> list[Answer]:
    """Pairs of prediction and reference; every token of a reference is as likely as not."""
    return [Answer(one, other, len(other.split()) * -math.log(2), len(other.split())) for one, other in pairs]


def score(name: str, pairs: Sequence[tuple[str, str]], **options: Any) -> float:
    metric = REGISTRY.metric(name)
    return metric.score(metric_options(metric).model_validate({**NEEDED.get(name, {}), **options}), answers(pairs))
