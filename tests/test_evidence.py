"""A run's evidence, from the spec to the screen: what is planned, claimed, compared and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from scipy.stats import binomtest

from support import Ended, Workspace, colours, run

Command = Callable[..., Ended]

TWO = "techniques: [zero_shot, {few_shot: {shots: 2}}]"
GROUPED = "data: {train: train.jsonl, validation: validation.jsonl, test: test.jsonl, group: customer}"


def right(workspace: Workspace, document: Any, key: str, split: str) -> list[bool]:
    """Which rows a candidate has right, from what the run left."""
    folder = workspace.candidate_folder(document, key)
    lines = (folder / "predictions" / split / "predictions.jsonl").read_text().splitlines()
    return [record["prediction"] == record["answer"] for record in map(json.loads, lines)]


def grouped(workspace: Workspace, size: int) -> None:
    """The usual rows in groups of a size, no group in two splits."""
    for name, count, start in (("train", 24, 0), ("validation", 12, 100), ("test", 12, 200)):
        rows = [{**row, "customer": f"{name} {i // size}"} for i, row in enumerate(colours(count, start))]
        workspace.rows(f"{name}.jsonl", rows)
    spec = workspace.root / "spec.yaml"
    lines = [GROUPED if line.startswith("data:") else line for line in spec.read_text().splitlines()]
    spec.write_text("\n".join(lines) + "\n")


# ------------------------------------------------------------------------------------------------------- before running


def test_the_plan_says_what_the_test_rows_can_show(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(TWO, "goal: {metric: accuracy, at_least: 0.7}")
    ended = customspec("plan", spec)
    assert "to show accuracy at least 0.7 with 95 % confidence takes 9 test rows, every one right; there are 12" in (
        ended.out
    )
    assert customspec("plan", spec, "--json").json["goal_rows"]["fewest"] == 9
    assert "takes 9 test rows, every one right; there are 5: the goal cannot be shown" in (
        customspec("plan", spec, "--limit", "5").out
    )
    assert "with 80 % confidence takes 5 test rows" in customspec("plan", spec, "--set", "confidence=0.8").out


def test_the_rows_for_a_stated_true_value_are_told(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(TWO, "goal: {metric: accuracy, at_least: 0.9}")
    ended = customspec("plan", spec, "--true-value", "0.93")
    assert "if the true accuracy is 0.93, 593 show it four times in five (80 % power)" in ended.out
    for beyond in ("0.9", "0.5", "1.5"):
        ended = customspec("plan", spec, "--true-value", beyond)
        assert ended.code == 2
        assert "does not lie between the goal, 0.9, and 1" in ended.err


def test_a_plan_without_a_goal_says_nothing_of_it(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(TWO)
    assert "confidence" not in customspec("plan", spec).out
    assert customspec("plan", spec, "--json").json["goal_rows"] is None


def test_a_comparison_may_have_a_goal_that_cannot_be_shown_and_a_ladder_may_not(
    workspace: Workspace, customspec: Command
) -> None:
    goal = "goal: {metric: accuracy, at_least: 0.99}"
    ended = customspec("plan", workspace.spec(TWO, goal))
    assert ended.code == 0
    assert "takes 299 test rows, every one right; there are 12: the goal cannot be shown" in ended.out
    ladder = workspace.spec(TWO, goal, "strategy: ladder")
    assert customspec("plan", ladder).code == 2
    assert customspec("plan", ladder, "--limit", "3").code == 0  # a short trial of a ladder claims nothing anyway


def test_groups_are_what_a_goal_is_shown_with(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(TWO, "goal: {metric: accuracy, at_least: 0.7}", "strategy: ladder")
    assert customspec("validate", spec).code == 0
    grouped(workspace, 3)
    ended = customspec("validate", spec)
    assert ended.code == 2
    assert "`at_least: 0.7` cannot be shown with 4 test groups, even if every answer is right; that takes 9" in (
        ended.err
    )


def test_an_overlap_of_the_stated_number_is_allowed(workspace: Workspace, customspec: Command) -> None:
    workspace.rows("test.jsonl", [*colours(12, 200), *colours(2)])
    spec = workspace.spec(TWO)
    assert "CS412 2 test rows are also in `train`" in customspec("validate", spec).err
    assert customspec("plan", spec, "--set", "data.allow_overlap=2").code == 0
    assert "exact number of test rows that are also in `train`: 2; found 3" in (
        customspec("plan", spec, "--set", "data.allow_overlap=3").err
    )


def test_what_a_candidates_own_prompt_asks_counts_and_a_prompt_that_nobody_uses_does_not(
    workspace: Workspace, customspec: Command
) -> None:
    for name, start in (("train", 0), ("validation", 100), ("test", 0)):
        workspace.rows(f"{name}.jsonl", [{**row, "number": start + 500} for row in colours(8, start)])
    workspace.rows("test.jsonl", [{**row, "number": 900 + index} for index, row in enumerate(colours(8))])
    by_number = 'prompt: {user: "{{ number }}", answer: "{{ label }}", choices: from_data}'
    by_text = 'prompt: {user: "{{ text }}", answer: "{{ label }}", choices: from_data}'
    own = 'techniques: [{{zero_shot: {{}}, prompt: {{user: "{}"}}}}]'
    told = "8 test rows are also in `train`"
    assert told in customspec("validate", workspace.spec(own.format("{{ text }}"), prompt=by_number)).err
    assert customspec("validate", workspace.spec(own.format("{{ number }}"), prompt=by_text)).code == 0


def test_rows_that_differ_in_a_column_that_the_prompt_does_not_show_are_the_same(
    workspace: Workspace, customspec: Command
) -> None:
    for name, start in (("train", 0), ("validation", 100), ("test", 200)):
        workspace.rows(f"{name}.jsonl", [{**row, "source": name} for row in colours(12, start)])
    shown = [{**row, "source": "elsewhere"} for row in colours(1)]
    workspace.rows("test.jsonl", [*({**row, "source": "test"} for row in colours(12, 200)), *shown])
    assert "1 test row is also in `train`: test.jsonl:13 is train.jsonl:1" in (
        customspec("validate", workspace.spec(TWO)).err
    )
    both = 'prompt: {user: "{{ text }} ({{ source }})", answer: "{{ label }}", choices: from_data}'
    assert customspec("validate", workspace.spec(TWO, prompt=both)).code == 0


def test_rows_that_ask_the_same_and_answer_otherwise_are_told(workspace: Workspace, customspec: Command) -> None:
    again = [{**row, "text": f" {row['text'].upper()} "} for row in colours(6)]
    other = [{**row, "label": "cold" if row["label"] == "warm" else "warm"} for row in again[:4]]
    workspace.rows("train.jsonl", [*colours(12), *again[4:], *other])
    spec = workspace.spec("techniques: [zero_shot]")
    note = "in `train`, 4 rows answer otherwise than an earlier row that asks the same: train.jsonl:15 than train.jsonl"
    for command in ("validate", "plan"):
        out = customspec(command, spec).out
        assert f"note: {note}:1, train.jsonl:16 than train.jsonl:2, train.jsonl:17 than train.jsonl:3 and 1 more" in out
    # by what the answer's template makes of them they are alike
    alike = 'prompt: {user: "{{ text }}", answer: "{{ label | length }}"}'
    assert "otherwise" not in customspec("plan", workspace.spec("techniques: [zero_shot]", prompt=alike)).out
    turns = [[{"role": "user", "content": "red"}, {"role": "assistant", "content": word}] for word in ("warm", "cold")]
    workspace.rows("train.jsonl", [{"talk": turn} for turn in [*turns, turns[0]]])
    for name, word in (("validation", "blue"), ("test", "green")):
        talk = [{"role": "user", "content": word}, {"role": "assistant", "content": "cold"}]
        workspace.rows(f"{name}.jsonl", [{"talk": talk}])
    chat = workspace.spec("techniques: [zero_shot]", prompt="prompt: {messages: talk}")
    told = customspec("plan", chat).out
    assert "in `train`, 1 row answers otherwise than an earlier row that asks the same: train.jsonl:2 than" in told


# ------------------------------------------------------------------------------------------------------ what a run says


def test_the_claim_is_the_exact_test_of_the_chosen_candidates_test_rows(
    workspace: Workspace, customspec: Command
) -> None:
    document = run(customspec, workspace.spec(TWO, "goal: {metric: accuracy, at_least: 0.1}", "strategy: ladder"))
    decision = document["decision"]
    rows = right(workspace, document, decision["chosen_key"], "test")
    exact = binomtest(sum(rows), len(rows), alternative="greater").proportion_ci(0.95, method="exact").low
    claim = decision["claim"]
    assert (claim["n"], claim["confidence"], claim["method"]) == (12, 0.95, "Clopper-Pearson")
    assert claim["value"] == pytest.approx(sum(rows) / 12)
    assert claim["bound"] == pytest.approx(exact)
    assert decision["goal_met"] == claim["shown"] == (exact >= 0.1)
    assert decision["ending"] == ("shown" if claim["shown"] else "not_shown")


def test_other_claims_on_the_same_test_rows_are_counted(workspace: Workspace, customspec: Command) -> None:
    def decision(user: str, *more: str) -> Any:
        prompt = f'prompt: {{user: "{user}", answer: "{{{{ label }}}}", choices: from_data}}'
        lines = ("techniques: [zero_shot]", "goal: {metric: accuracy, at_least: 0.1}")
        return run(customspec, workspace.spec(*lines, prompt=prompt), *more)["decision"]

    assert decision("{{ text }}")["earlier_claims"] == 0
    assert decision("{{ text }}")["earlier_claims"] == 0  # the same claim, printed again
    second = decision("Colour: {{ text }}")
    assert (second["earlier_claims"], "1 other claim was made" in second["reasons"][-1]) == (1, True)
    assert "2 other claims were made" in decision("{{ text }}?")["reasons"][-1]
    unclaimed = run(customspec, workspace.spec("techniques: [zero_shot]"))["decision"]
    assert unclaimed["earlier_claims"] is None
    workspace.rows("test.jsonl", colours(12, 500))
    assert decision("{{ text }}!")["earlier_claims"] == 0


def test_every_pair_is_compared_on_both_splits_and_the_roles_are_told(
    workspace: Workspace, customspec: Command
) -> None:
    document = run(customspec, workspace.spec("techniques: [zero_shot, one_shot, {few_shot: {shots: 3}}]"))
    pairs = document["decision"]["pairs"]
    assert [pair["split"] for pair in pairs] == ["validation"] * 3 + ["test"] * 3
    assert {(pair["split"], pair["role"]) for pair in pairs} == {("validation", "choosing"), ("test", "descriptive")}
    for pair in pairs:
        first, second = (right(workspace, document, pair[side], pair["split"]) for side in ("first", "second"))
        only_first = sum(a and not b for a, b in zip(first, second, strict=True))
        only_second = sum(b and not a for a, b in zip(first, second, strict=True))
        assert pair["difference"] == pytest.approx((only_first - only_second) / 12)
        discordant = only_first + only_second
        assert pair["p"] == pytest.approx(binomtest(only_first, discordant).pvalue if discordant else 1.0)
        assert pair["p"] <= pair["p_holm"] <= 1


def test_without_a_goal_and_with_few_rows_the_answer_is_undecided(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(TWO)
    decision = run(customspec, spec)["decision"]
    assert (decision["goal_met"], decision["ending"]) == (None, "undecided")
    assert decision["chosen"] is not None
    assert decision["loss"]["n"] == 12
    wide = run(customspec, spec, "--set", "margin=0.99")["decision"]
    assert (wide["ending"], wide["chosen"]) == ("within_margin", "zero_shot")


def test_another_confidence_or_margin_decides_again_and_evaluates_nothing(
    workspace: Workspace, customspec: Command
) -> None:
    spec = workspace.spec(TWO)
    run(customspec, spec)
    for change in ("confidence=0.8", "margin=0.1"):
        again = run(customspec, spec, "--set", change)
        assert {id for id, step in again["steps"].items() if step["status"] == "done"} == {"decide"}


def test_groups_are_resampled_and_permuted_as_one(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(TWO, "goal: {metric: accuracy, at_least: 0.1}")
    grouped(workspace, 2)
    decision = run(customspec, spec)["decision"]
    assert decision["claim"] is None or "bootstrap" in decision["claim"]["method"]
    assert {pair["test"] for pair in decision["pairs"]} == {"exact randomization"}  # of six groups


def test_seeds_are_told_apart_from_rows(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [zero_shot, {lora: {r: 2, max_steps: 2}, seeds: [0, 1, 2]}]")
    document = run(customspec, spec)
    spread = document["decision"]["seeds"]
    values = [c["metrics"]["test"]["accuracy"]["value"] for c in document["candidates"] if c["id"] == "lora"]
    assert list(spread) == ["lora"]
    assert spread["lora"]["test"]["values"] == values
    assert {pair["first"] for pair in document["decision"]["pairs"]} == {"zero_shot@0"}  # one lora stands: its first
    assert "lora, 3 seeds on the test rows: " in customspec("run", spec).out


def test_the_screen_begins_with_the_answer(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(TWO, "goal: {metric: accuracy, at_least: 0.1}")
    document = run(customspec, spec)
    out = customspec("run", spec).out
    assert f"\nanswer: {document['decision']['answer']}\n" in out
    assert "  - against " in out


def test_macro_f1_is_compared_by_whole_sets(workspace: Workspace, customspec: Command) -> None:
    decision = run(customspec, workspace.spec(TWO, "metrics: [macro_f1]"))["decision"]
    assert all("randomization" in pair["test"] for pair in decision["pairs"])
    assert decision["loss"]["bound"] > 0
