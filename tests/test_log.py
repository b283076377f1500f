"""A run's log: what it did and when, while the terminal is told what it was told before."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from customspec.runners.folder import keeping_logs, logging_to
from support import Ended, Workspace

Command = Callable[..., Ended]

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING|ERROR) (.+)")
LADDER = (
    "techniques: [zero_shot, few_shot: {shots: 2}]",
    "strategy: ladder",
    "goal: {metric: accuracy, at_least: 0.01}",
)


def logged(workspace: Workspace, ended: Ended) -> list[str]:
    """The texts of a run's log, each line of which has its time and level."""
    lines = (workspace.run_folder(ended.json) / "log.txt").read_text().splitlines()
    found = [LINE.fullmatch(line) for line in lines]
    assert all(found), lines
    return [match[2] for match in found if match]


@pytest.fixture
def ran(workspace: Workspace, customspec: Command) -> tuple[Workspace, Ended]:
    return workspace, customspec("run", workspace.spec(*LADDER), "--limit", "6", "--json")


def test_a_log_tells_every_step_and_the_answer(ran: tuple[Workspace, Ended], customspec: Command) -> None:
    workspace, first = ran
    texts = logged(workspace, first)
    document = first.json
    begins = f"customspec 0.1.0 runs colours, plan {document['plan_digest']}, on "
    assert any(text.startswith(begins) for text in texts)
    assert "evaluate:zero_shot@0:test: started" in texts
    assert any(re.fullmatch(r"evaluate:zero_shot@0:test: done in \d+\.\d s", text) for text in texts)
    reason = next(one["reason"] for one in document["candidates"] if one["key"] == "few_shot@0")
    assert f"evaluate:few_shot@0:validation: skipped: {reason}" in texts
    assert f"answer: {document['decision']['answer']}" in texts
    assert any(text.startswith("a short run") for text in texts)
    again = logged(workspace, customspec("run", workspace.root / "spec.yaml", "--limit", "6", "--json"))
    assert "evaluate:zero_shot@0:test: cached" in again


def test_the_terminal_is_told_nothing_twice(ran: tuple[Workspace, Ended]) -> None:
    _, ended = ran
    assert ended.err.count("evaluate:zero_shot@0:test: started") == 1
    assert "INFO" not in ended.err
    assert "answer:" not in ended.err


def test_what_was_logged_before_there_was_a_folder_stands_at_the_beginning(tmp_path: Path) -> None:
    log = logging.getLogger("customspec")
    with keeping_logs() as earlier:
        log.warning("what was kept of a model is damaged")
        log.info("note: this and that")

    def fail() -> None:
        log.info("a step")
        raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck"), logging_to(tmp_path, earlier):
        fail()
    lines = [line.split(" ", 2)[2] for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert lines == [
        "WARNING what was kept of a model is damaged",
        "INFO note: this and that",
        "INFO a step",
        "ERROR the run ended: no luck",
    ]
