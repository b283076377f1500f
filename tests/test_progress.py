"""The plain lines of a run that is not on a terminal."""

from __future__ import annotations

import pytest

from customspec.cli.progress import Lines


@pytest.mark.parametrize(
    ("seconds", "done", "note", "line"),
    [
        (20, 60, "", "train: 60/100 at 3.0/s, 13 s left"),
        (20, 2, "loss 1.250", "train: 2/100 at 10.0 s each, 16 min left, loss 1.250"),
        (20, 100, "", "train: 100/100 at 5.0/s"),
    ],
)
def test_a_line_has_speed_and_time_left(
    monkeypatch: pytest.MonkeyPatch, seconds: float, done: int, note: str, line: str
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    written: list[str] = []
    lines = Lines(written.append)
    lines.started("train", 100)
    now += 1
    lines.progress("train", 1, 100, note)  # too soon after the last line
    now += seconds - 1
    lines.progress("train", done, 100, note)
    assert written == ["train: started", line]


def test_what_comes_before_the_first_unit_is_no_part_of_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    written: list[str] = []
    lines = Lines(written.append)
    lines.started("predict", 1)
    now += 40
    lines.progress("predict", 0, 1)
    now += 0.5
    lines.progress("predict", 1, 1)
    assert written == ["predict: started", "predict: 1/1 at 2.0/s"]
