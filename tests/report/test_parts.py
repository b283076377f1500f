"""The figures behind the page: frontier, confusions, distributions, disagreements, names that keep apart, numbers."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from customspec.report import numbers
from customspec.report.answers import BINS, confusion, distribution, mistakes
from customspec.report.disagreements import Weighing, disagreements, grouped
from customspec.report.frontier import Point, frontier, total_seconds
from customspec.report.labels import HEIGHT, LETTER, placed
from customspec.report.sides import from_side
from customspec.report.text import escape_lines


def record(id: str, answer: str, prediction: str | None, **more: Any) -> dict[str, Any]:
    return {"id": id, "answer": answer, "prediction": prediction, "correct": answer == prediction, **more}


@pytest.mark.parametrize("higher", [True, False])
def test_the_frontier_is_what_no_other_beats(higher: bool) -> None:
    values = [(1, 0.2), (2, 0.2), (2, 0.5), (3, 0.4), (5, 0.9), (9, 0.9), (9, 0.7)]
    points = [Point(str(place), cost, value if higher else -value) for place, (cost, value) in enumerate(values)]
    found = frontier(points, higher_is_better=higher)
    sign = 1 if higher else -1
    unbeaten = {
        (point.cost, point.quality)
        for point in points
        if not any(
            other.cost <= point.cost
            and sign * other.quality >= sign * point.quality
            and (other.cost, other.quality) != (point.cost, point.quality)
            for other in points
        )
    }
    assert {(point.cost, point.quality) for point in found} == unbeaten
    assert [point.key for point in found] == ["0", "2", "4"]


def test_the_total_is_the_training_and_the_requests() -> None:
    def cost(train: float | None, speed: float | None, search: float | None = None) -> dict[str, float | None]:
        return {"train_seconds": train, "search_seconds": search, "rows_per_second": speed}

    assert total_seconds(cost(10.0, 50.0), 1000) == 30
    assert total_seconds(cost(10.0, 50.0, 5.0), 1000) == 35
    assert total_seconds(cost(None, 50.0)) is None
    assert total_seconds({**cost(10.0, 50.0, 5.0), "fit_seconds": 2.0}, 1000) == 37
    assert total_seconds(cost(0.0, None)) is None


def test_a_confusion_counts_every_row_once() -> None:
    records = [record("1", "a", "a"), record("2", "a", "b"), record("3", "a", "b"), record("4", "b", None)]
    table = confusion(records, ["a", "b"])
    assert table["given"] == ["a", "b", "no answer"]
    assert table["counts"] == [[1, 2, 0], [0, 0, 1]]
    assert table["recall"] == [pytest.approx(1 / 3), 0]
    assert mistakes(table) == [
        {"right": "a", "given": "b", "rows": 2},
        {"right": "b", "given": "no answer", "rows": 1},
    ]


def test_a_distribution_has_every_row_in_a_bin() -> None:
    found = distribution([0.0, 0.5, 0.5, 1.0], 0.0, 1.0)
    assert sum(found["bins"]) == 4
    assert (found["bins"][0], found["bins"][BINS // 2], found["bins"][-1]) == (1, 2, 1)
    assert found["quartiles"] == [0, 0.375, 0.5, 0.625, 1]
    assert sum(distribution([0.3], 0.3, 0.3)["bins"]) == 1


CLASSES = Weighing("accuracy", True, True, "b@0")


def test_rows_that_the_chosen_one_lost_come_first() -> None:
    answered = {
        "a@0": [record("1", "x", "x"), record("2", "x", "y"), record("3", "x", "x"), record("4", "x", "x")],
        "b@0": [record("1", "x", "x"), record("2", "x", "x"), record("3", "x", "y"), record("9", "x", "x")],
    }
    found = disagreements(answered, CLASSES)
    assert (found["rows"], found["of"]) == (2, 3)  # row 4 and row 9 were answered by one alone
    assert [row["row"] for row in found["shown"]] == ["3", "2"]


def test_generated_texts_disagree_where_their_scores_do() -> None:
    def scored(id: str, text: str, score: float) -> dict[str, Any]:
        return record(id, "x", text, scores={"edits": score})

    answered = {
        "a@0": [scored("1", "p", 3.0), scored("2", "q", 1.0)],
        "b@0": [scored("1", "r", 9.0), scored("2", "s", 1.0)],
    }
    found = disagreements(answered, Weighing("edits", False, False, "b@0"))
    assert [row["row"] for row in found["shown"]] == ["1"]


def test_answers_are_grouped_with_who_gave_them() -> None:
    given = {
        "prediction": "y",
        "correct": False,
        "score": 0.0,
        "probability": 0.625,
        "of_answer": 0.25,
    }
    right = {**given, "prediction": "x", "correct": True, "score": 1.0}
    found = grouped({"given": {"a@0": given, "b@0": right, "c@0": given}})
    assert [(answer["prediction"], [by["key"] for by in answer["by"]]) for answer in found] == [
        ("x", ["b@0"]),
        ("y", ["a@0", "c@0"]),
    ]
    assert found[1]["by"][0]["figure"] == "62 %"


def test_a_pair_is_the_same_from_either_side() -> None:
    pair = {"first": "a", "second": "b", "difference": 0.2, "ci": [0.1, 0.4], "verdict": "better", "p": 0.01}
    mirrored = from_side(pair, "b")
    assert (mirrored["verdict"], mirrored["difference"], mirrored["ci"]) == ("worse", -0.2, [-0.4, -0.1])
    assert from_side(mirrored, "a") == pair
    assert from_side(pair, None) == pair


def test_names_keep_apart() -> None:
    points = [(100.0, 100.0), (104.0, 101.0), (108.0, 99.0), (395.0, 50.0)]
    names = ["zero_shot@0", "one_shot@0", "few_shot@0", "prefix_tuning@0"]
    labels = placed(points, [(y - 5, y + 5) for _, y in points], names, 400.0)
    boxes = []
    for (x, y), name, label in zip(points, names, labels, strict=True):
        left = x + label.dx - (LETTER * len(name) if label.align == "right" else 0)
        boxes.append((left, y + label.dy - HEIGHT / 2, left + LETTER * len(name), y + label.dy + HEIGHT / 2))
    assert boxes[3][2] <= 400
    for one, other in combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (None, "–"), (0, "0 s"), (0.0123, "12 ms"), (0.00123, "1.2 ms"), (0.96, "1 s"), (1.25, "1.2 s"), (59, "59 s"),
        (620.1, "10 min"), (7200, "2 h"), (200_000, "2.3 d"),
    ],
)  # fmt: skip
def test_seconds_are_short(seconds: float | None, message: str) -> None:
    assert numbers.seconds(seconds) == message


def test_numbers_are_as_wide_as_they_must_be() -> None:
    assert numbers.value(0.85625) == "0.856"
    assert numbers.value(123.456) == "123.5"
    assert numbers.difference(-0.02) == "−0.020"
    assert numbers.difference(-0.0002) == "+0.000"
    assert numbers.value(-0.0002) == "0.000"
    assert numbers.probability(0.0004) == "< 0.001"
    assert numbers.count(2442240) == "2,442,240"


def test_several_lines_stay_lines() -> None:
    assert escape_lines("a\tb\n\x1bc\u202e\r") == "a\tb\n\\x1bc\\u202e\\r"
