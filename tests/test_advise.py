"""`customspec advise` as a command: a verdict for each candidate, findings with places, nothing run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support import Ended, Workspace, colours

Command = Callable[..., Ended]


def test_candidates_are_advised_on_with_reasons_and_sources(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(
        "techniques: [zero_shot, prompt_tuning, lora]", "goal: {metric: accuracy, at_least: 0.5}", "seeds: [0, 1]"
    )
    ended = customspec("advise", spec, "--json")
    assert ended.code == 0, ended.err
    by_key = {one["key"]: one for one in ended.json["candidates"]}
    assert {key: one["advice"] for key, one in by_key.items()} == {
        "zero_shot@0": "try",
        "prompt_tuning@0": "skip",
        "lora@0": "try",
    }
    first = by_key["prompt_tuning@0"]["reasons"][0]
    assert (first["rule"], first["says"]) == ("soft_prompts_want_size", "skip")
    assert "39,840" in first["because"]
    assert first["source"].startswith("Lester et al. 2021")
    assert ended.json["facts"]["rows"] == {"train": 24, "validation": 12, "test": 12}
    assert ended.json["facts"]["classes"] == {"cold": 12, "warm": 12}
    assert any("takes 5 test rows" in line for line in ended.json["goal"])
    assert not (workspace.root / ".customspec" / "runs").exists()
    assert not (workspace.root / ".customspec" / "objects").exists()


def test_findings_name_rows_by_file_and_line(workspace: Workspace, customspec: Command) -> None:
    rows = colours(24)
    workspace.rows("train.jsonl", [*rows, {**rows[3], "label": "warm" if rows[3]["label"] == "cold" else "cold"}])
    ended = customspec("advise", workspace.spec("techniques: [zero_shot]"))
    assert ended.code == 0, ended.err
    assert "1 train row answers otherwise than an equal row before it: train.jsonl:25 and train.jsonl:4" in ended.out
    assert "Northcutt et al. 2021" in ended.out


def test_without_techniques_the_whole_ladder_is_advised_on(workspace: Workspace, customspec: Command) -> None:
    ended = customspec("advise", workspace.spec(), "--json")
    assert ended.code == 0, ended.err
    assert [one["technique"] for one in ended.json["candidates"]] == [
        "zero_shot",
        "one_shot",
        "few_shot",
        "prompt_tuning",
        "p_tuning",
        "prefix_tuning",
        "lora",
        "full",
    ]


@pytest.mark.parametrize(("old", "new", "code"), [("{path: model}", "{path: gone}", 2), ("user:", "usr:", 2)])
def test_a_spec_that_is_wrong_is_told_as_ever(
    workspace: Workspace, customspec: Command, old: str, new: str, code: int
) -> None:
    spec = workspace.spec("techniques: [zero_shot]")
    spec.write_text(spec.read_text().replace(old, new))
    ended = customspec("advise", spec)
    assert ended.code == code
    assert "spec.yaml:" in ended.err
