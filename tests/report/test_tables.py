"""The decision as a terminal shows it."""

from __future__ import annotations

from typing import Any

from customspec.report.tables import decision_lines


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


def test_the_spread_of_seeds_is_told_by_split() -> None:
    spread = {"seeds": [0, 1, 2], "values": [0.8, 0.9, 0.85], "min": 0.8, "max": 0.9, "sd": 0.05}
    assert lines(seeds={"lora": {"test": spread}})[2:] == [
        "  - lora, 3 seeds on the test rows: 0.800 to 0.900, standard deviation 0.050"
    ]


def test_what_others_wrote_cannot_break_the_lines() -> None:
    document: dict[str, Any] = {"answer": "a\nb", "reasons": ["\x1b[31m"], "pairs": [], "seeds": {}, "chosen_key": None}
    assert decision_lines({"decision": document}) == ["answer: a\\nb", "  - \\x1b[31m"]
