"""The decision as a terminal shows it."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from customspec.decide.pairs import compare_all
from customspec.decide.samples import Measure, Sample
from customspec.report.tables import decision_lines, results_table


def pair(first: str, second: str, verdict: str, difference: float, **more: Any) -> dict[str, Any]:
    return {
        "split": "validation",
        "first": first,
        "second": second,
        "verdict": verdict,
        "difference": difference,
        "ci": [difference - 0.1, difference + 0.2],
        "n": 80,
        "smallest": 0.15,
        **more,
    }


def lines(*pairs: dict[str, Any], seeds: dict[str, Any] | None = None) -> list[str]:
    decision = {
        "answer": "b meets the goal",
        "reasons": ["it is the cheapest"],
        "chosen_key": "b@0",
        "chosen_on": "validation",
        "pairs": list(pairs),
        "seeds": seeds or {},
    }
    return decision_lines({"decision": decision})


def test_what_rounds_to_nothing_has_no_minus() -> None:
    nothing = pair("b@0", "a@0", "not distinguishable", -0.0001) | {"ci": [-0.0002, 0.0001]}
    assert "not distinguishable, +0.000 [+0.000, +0.000]" in lines(nothing)[2]


def test_the_answer_comes_first_then_what_it_rests_on() -> None:
    assert lines() == ["answer: b meets the goal", "  - it is the cheapest"]


def test_pairs_are_told_from_the_chosen_ones_side_and_others_left_out() -> None:
    found = lines(
        pair("a@0", "b@0", "worse", -0.3),
        pair("b@0", "c@0", "better", 0.3),
        pair("a@0", "c@0", "better", 0.1),
        pair("b@0", "c@0", "better", 0.4, split="test"),
    )
    assert found[2:] == [
        "  - against a@0 on the validation rows: better, +0.300 [+0.100, +0.400]",
        "  - against c@0 on the validation rows: better, +0.300 [+0.200, +0.500]",
    ]


def test_a_pair_that_is_not_distinguishable_says_what_could_have_been_seen() -> None:
    found = lines(
        pair("b@0", "c@0", "not distinguishable", 0.0),
        pair("b@0", "d@0", "not distinguishable", 0.0, smallest=None, n=4),
    )
    assert found[2].endswith("not distinguishable, +0.000 [-0.100, +0.200]; on 80 rows one of 0.150 would mostly show")
    assert found[3].endswith("; on 4 rows no difference could show")


@pytest.mark.parametrize("rows", [4, 80])
@pytest.mark.parametrize("proportion", [True, False])
def test_no_difference_could_show_only_where_that_is_known(rows: int, proportion: bool) -> None:
    """Where no score differs, right and wrong rows still tell it; other scores don't."""
    same = Sample.of_rows([0.0, 1.0] * (rows // 2))
    measure = Measure("quality", 0.0, 1.0, higher_is_better=True, proportion=proportion)
    (compared,) = compare_all({"b@0": same, "c@0": same}, measure, 0.95)
    (told,) = lines({**compared.to_json(), "split": "validation"})[2:]
    assert ("no difference could show" in told) == (rows == 4 and proportion)
    assert ("no score differs, so they do not tell which difference would show" in told) == (not proportion)


def test_an_interval_of_one_pair_beside_a_verdict_on_all_is_explained() -> None:
    (told,) = lines(pair("b@0", "c@0", "not distinguishable", 0.3, p_holm=0.082))[2:]
    assert "+0.300 [+0.200, +0.500]; p 0.082 among all pairs, the interval is of this one alone; on 80 rows" in told


def test_the_spread_of_seeds_is_told_by_split() -> None:
    spread = {"seeds": [0, 1, 2], "values": [0.8, 0.9, 0.85], "min": 0.8, "max": 0.9, "sd": 0.05}
    assert lines(seeds={"lora": {"test": spread}})[2:] == [
        "  - lora, 3 seeds on the test rows: 0.800 to 0.900, standard deviation 0.050"
    ]


def test_what_others_wrote_cannot_break_the_lines() -> None:
    document: dict[str, Any] = {"answer": "a\nb", "reasons": ["\x1b[31m"], "pairs": [], "seeds": {}, "chosen_key": None}
    assert decision_lines({"decision": document}) == ["answer: a\\nb", "  - \\x1b[31m"]


def test_the_table_has_quality_and_every_cost() -> None:
    measured = {"accuracy": {"value": 0.85625, "ci": [0.794, 0.902], "confidence": 0.95, "n": 160}}
    cost = {
        "train_seconds": 171.0,
        "rows_per_second": 25.0,
        "prompt_tokens_per_example": 61.3,
        "trainable_parameters": 2_442_240,
        "artifact_bytes": 9 * 2**20,
        "peak_memory_bytes": 3 * 2**29,
    }
    unknown = dict.fromkeys(cost)
    done = {"cost": cost, "status": "done", "reason": None}
    failed = {"cost": unknown, "status": "failed", "reason": "\x1b!"}
    candidates = [
        {"key": "lora@0", "metrics": {"validation": measured, "test": measured}, **done},
        {"key": "full@0", "metrics": {"validation": None, "test": None}, **failed},
    ]
    out = StringIO()
    document = {"candidates": candidates, "decision": {"chosen_key": "lora@0", "ending": "shown"}}
    Console(file=out, width=200).print(results_table(document, "accuracy"))
    *_, first, second = out.getvalue().splitlines()
    assert " ".join(first.split()) == (
        "→ lora@0 0.856 0.856 [0.794, 0.902] 2.9 min 40 ms 61 2,442,240 9.00 MiB 1.50 GiB done"
    )
    assert second.split()[0] == "full@0"
    assert "failed: \\x1b!" in second


@pytest.mark.parametrize(
    ("ending", "mark"), [("shown", "→"), ("not_shown", "→"), ("not_reached", " "), ("undecided", " ")]
)
def test_only_a_choice_is_marked_as_one(ending: str, mark: str) -> None:
    unknown: dict[str, Any] = dict.fromkeys(
        (
            "train_seconds",
            "rows_per_second",
            "prompt_tokens_per_example",
            "trainable_parameters",
            "artifact_bytes",
            "peak_memory_bytes",
        )
    )
    only = {"key": "a@0", "metrics": {"validation": None, "test": None}, "cost": unknown, "status": "done"}
    decision = {"chosen_key": "a@0", "ending": ending}
    out = StringIO()
    document = {"candidates": [{**only, "reason": None}], "decision": decision}
    Console(file=out, width=200).print(results_table(document, "accuracy"))
    assert out.getvalue().splitlines()[-1].startswith(f"{mark} a@0")
