"""The data's health, on data whose faults are known."""

from __future__ import annotations

from customspec.inputs.health import health_of
from customspec.prompts import Example, Message


def example(id: str, user: str, answer: str, system: str | None = None, *earlier: str) -> Example:
    return Example(id, system, user, answer, tuple(Message("user", text) for text in earlier))


def test_what_stands_twice_and_what_contradicts_is_counted() -> None:
    train = [
        example("1", "Where is it?", "a"),
        example("2", "where  IS it?", "a"),
        example("3", "Where is it?", "b"),
        example("4", "other", "b"),
    ]
    found = health_of({"train": train, "test": [example("5", "OTHER", "b")]}, classes=True)
    assert found["splits"]["train"]["rows"] == 4
    assert found["splits"]["train"]["duplicates"] == 2
    assert found["splits"]["train"]["conflicting"] == 3
    assert found["splits"]["train"]["classes"] == {"a": 2, "b": 2}
    assert found["overlaps"] == [{"first": "train", "second": "test", "rows": 1}]


def test_the_system_message_and_earlier_turns_are_part_of_the_question() -> None:
    rows = [example("1", "yes", "a"), example("2", "yes", "b", "be kind"), example("3", "yes", "c", None, "hello")]
    found = health_of({"test": rows}, classes=False)["splits"]["test"]
    assert (found["duplicates"], found["conflicting"], found["classes"]) == (0, 0, None)


def test_lengths_are_in_characters() -> None:
    rows = [example(str(length), "x" * length, "y") for length in range(1, 102)]
    lengths = health_of({"test": rows}, classes=False)["splits"]["test"]["question_characters"]
    assert lengths == {"min": 1, "median": 51, "p95": 96, "max": 101}
    assert health_of({"test": rows[:1], "train": []}, classes=False)["splits"].keys() == {"test"}
