"""From a spec to its plan: what the plan holds, what its fingerprints depend on, what the command line changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from plans import FOUR, changed, compiled, fingerprints, plan_of, steps_of

from customspec.errors import SpecError
from customspec.plan import Plan, Resources
from customspec.registry import discover
from support import Workspace, colours, make_model


def ids(plan: Plan) -> list[str]:
    return [candidate.id for candidate in plan.candidates]


# ------------------------------------------------------------------------------------------------------- a valid spec


def test_a_valid_spec_becomes_a_plan_in_which_each_step_comes_after_what_it_needs(workspace: Workspace) -> None:
    plan = plan_of(workspace.spec(FOUR))
    assert [step.id for step in plan.steps] == [
        "model",
        "data",
        "evaluate:zero_shot@0:validation",
        "evaluate:zero_shot@0:test",
        "evaluate:few_shot@0:validation",
        "evaluate:few_shot@0:test",
        "train:lora@0",
        "evaluate:lora@0:validation",
        "evaluate:lora@0:test",
        "train:full@0",
        "evaluate:full@0:validation",
        "evaluate:full@0:test",
        "decide",
    ]
    seen: set[str] = set()
    for step in plan.steps:
        assert seen.issuperset(step.needs)
        seen.add(step.id)
    assert plan.step("evaluate:lora@0:test").needs == ("model", "data", "train:lora@0")
    assert plan.metrics == ("accuracy", "macro_f1")


def test_the_plan_is_plain_json_and_comes_back_equal(workspace: Workspace) -> None:
    plan = plan_of(workspace.spec(FOUR, "goal: {metric: accuracy, at_least: 0.7}", "strategy: ladder"))
    text = json.dumps(plan.to_json(), allow_nan=False)
    again = Plan.from_json(json.loads(text))
    assert json.dumps(again.to_json(), allow_nan=False) == text
    assert again.digest == plan.digest
    assert again.candidates == plan.candidates
    assert [step.gate for step in again.steps] == [step.gate for step in plan.steps]
    assert again == plan


def test_a_step_asks_for_the_memory_that_its_candidate_is_estimated_at(workspace: Workspace) -> None:
    plan = plan_of(workspace.spec("techniques: [zero_shot, lora]"))
    estimates = {one.key: int(one.estimate["peak_memory_bytes"] or 0) for one in plan.candidates}
    own = [step for step in plan.steps if step.candidate is not None]
    assert {step.id: step.resources for step in own} == {
        step.id: Resources(1, estimates[step.candidate or ""]) for step in own
    }
    assert min(estimates.values()) > 0


def test_the_recipe_fills_what_the_spec_leaves_open(workspace: Workspace) -> None:
    plan = plan_of(workspace.spec("techniques: [{lora: {r: 2, learning_rate: 0.5}}]"))
    options = plan.step("train:lora@0").params["technique"]["options"]
    assert options["r"] == 2
    assert options["learning_rate"] == 0.5
    assert options["lora_alpha"] == 4
    assert options["num_train_epochs"] == 10.0


def test_steps_in_place_of_epochs_are_not_joined_by_the_recipes_epochs(workspace: Workspace) -> None:
    options = plan_of(workspace.spec("techniques: [{lora: {max_steps: 5}}]")).step("train:lora@0").params
    assert options["technique"]["options"]["max_steps"] == 5
    assert options["technique"]["options"]["num_train_epochs"] is None


def test_each_seed_is_a_candidate_and_the_first_decides(workspace: Workspace) -> None:
    plan = plan_of(workspace.spec("techniques: [zero_shot, {lora: {r: 2}, seeds: [7, 8]}]", "seeds: [3]"))
    assert [candidate.key for candidate in plan.candidates] == ["zero_shot@3", "lora@7", "lora@8"]
    assert plan.step("decide").params["order"] == ["zero_shot@3", "lora@7"]


def test_without_techniques_the_installed_part_of_the_default_ladder_is_planned_in_its_order(
    workspace: Workspace,
) -> None:
    workspace.rows("train.jsonl", colours(60))
    installed = discover().names("technique")
    ladder = ["zero_shot", "one_shot", "few_shot", "prompt_tuning", "p_tuning", "prefix_tuning", "lora", "full"]
    plan = plan_of(workspace.spec("strategy: ladder", "goal: {metric: accuracy, at_least: 0.7}"))
    assert ids(plan) == [name for name in ladder if name in installed]
    assert {"zero_shot", "lora", "full"} <= set(ids(plan))


# -------------------------------------------------------------------------------------------------------- the problems


def test_problems_of_all_kinds_are_reported_at_once_in_the_files_order(workspace: Workspace) -> None:
    spec = workspace.write(
        "spec.yaml",
        "customspec: 1\n"
        "name: Colours\n"
        "base_model: {path: model, hub: a/b}\n"
        "data: {train: train.jsonl, test: test.jsonl, groop: x}\n"
        'prompt: {user: "{{ text }}", answer: "{{ label }}"}\n'
        "techniques: [lroa, {lora: {lr: 1}}, {few_shot: {shots: 0}}]\n"
        "seeds: 0\n",
    )
    with pytest.raises(SpecError) as caught:
        compiled(spec)
    assert [(p.code.value, p.location.line, p.location.column) for p in caught.value.problems] == [
        ("CS204", 2, 7),
        ("CS204", 3, 14),
        ("CS201", 4, 46),
        ("CS410", 4, 53),
        ("CS301", 6, 14),
        ("CS201", 6, 28),
        ("CS204", 6, 56),
        ("CS203", 7, 8),
    ]


def test_problems_of_data_model_and_prompt_are_reported_at_once(workspace: Workspace) -> None:
    spec = workspace.write(
        "spec.yaml",
        "customspec: 1\n"
        "name: colours\n"
        "base_model: {path: elsewhere}\n"
        "data: {train: train.jsonl, test: test.jsonl}\n"
        'prompt: {user: "{{ texts }}", answer: "{{ lable }}", choices: from_data}\n'
        "techniques: [{few_shot: {shots: 99}}]\n"
        "metrics: [comet]\n",
    )
    with pytest.raises(SpecError) as caught:
        compiled(spec)
    assert [p.code.value for p in caught.value.problems] == ["CS501", "CS308", "CS308", "CS407", "CS304"]


# ---------------------------------------------------------------------------------------------------------- the ladder


def test_own_candidates_are_climbed_from_cheap_to_expensive(workspace: Workspace) -> None:
    techniques = (
        "techniques: [full, {lora: {r: 8}}, {few_shot: {shots: 4}}, {id: small, lora: {r: 2}}, zero_shot, "
        "{id: longer, lora: {r: 2, num_train_epochs: 30}}, one_shot]"
    )
    plan = plan_of(workspace.spec(techniques, "strategy: ladder", "goal: {metric: accuracy, at_least: 0.7}"))
    assert ids(plan) == ["zero_shot", "one_shot", "few_shot", "small", "longer", "lora", "full"]


def test_a_comparison_keeps_the_written_order_and_has_no_gates(workspace: Workspace) -> None:
    plan = plan_of(workspace.spec("techniques: [full, zero_shot]", "goal: {metric: accuracy, at_least: 0.9}"))
    assert ids(plan) == ["full", "zero_shot"]
    assert [step.gate for step in plan.steps] == [None] * len(plan.steps)


def test_a_rung_waits_for_the_validation_of_all_rungs_below(workspace: Workspace) -> None:
    goal = "goal: {metric: accuracy, at_least: 0.7}"
    plan = plan_of(workspace.spec("techniques: [zero_shot, one_shot, {lora: {r: 2}}]", "strategy: ladder", goal))
    assert plan.step("evaluate:zero_shot@0:validation").gate is None
    gate = plan.step("train:lora@0").gate
    assert gate is not None
    assert gate.after == ("evaluate:zero_shot@0:validation", "evaluate:one_shot@0:validation")
    assert (gate.metric, gate.at_least, gate.at_most) == ("accuracy", 0.7, None)


# ---------------------------------------------------------------------------------------------------- the command line


def test_only_keeps_the_named_candidates_and_their_fingerprints(workspace: Workspace) -> None:
    spec = workspace.spec(FOUR)
    everything, some = plan_of(spec), plan_of(spec, only=("lora", "zero_shot"))
    assert ids(some) == ["zero_shot", "lora"]
    kept = fingerprints(some)
    assert {
        id: fingerprint for id, fingerprint in fingerprints(everything).items() if id in kept and id != "decide"
    } == {id: fingerprint for id, fingerprint in kept.items() if id != "decide"}


def test_only_with_an_unknown_id_names_those_there_are(workspace: Workspace) -> None:
    with pytest.raises(SpecError) as caught:
        compiled(workspace.spec(FOUR), only=("lroa",))
    (problem,) = caught.value.problems
    assert problem.message == "no candidate `lroa`; there are: few_shot, full, lora, zero_shot"
    assert problem.location.line == 10


def test_a_limit_cuts_the_evaluated_rows_and_trains_the_same(workspace: Workspace) -> None:
    spec = workspace.spec(FOUR)
    before, after = plan_of(spec), plan_of(spec, limit=5)
    assert {step.params["limit"] for step in after.steps if step.kind == "evaluate"} == {5}
    assert changed(before, after) == {step.id for step in before.steps if step.kind in {"evaluate", "decide"}}


def test_a_maximum_of_steps_changes_training_and_what_follows(workspace: Workspace) -> None:
    spec = workspace.spec(FOUR)
    before, after = plan_of(spec), plan_of(spec, max_steps=3)
    assert after.step("train:lora@0").params["max_steps"] == 3
    assert changed(before, after) == steps_of(["lora@0", "full@0"], before) | {"decide"}


# ------------------------------------------------------------------------------------------------------ the parameters

LORAS: Mapping[str, Mapping[str, Any]] = {
    "all linear maps": {"r": 3},
    "some linear maps": {"r": 2, "target_modules": ["q_proj", "down_proj"]},
    "all of gpt2": {"r": 3},
    "one of gpt2": {"r": 5, "target_modules": ["c_attn"]},
}


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its linear maps are Conv1D, whose weights lie the other way round."""
    shape: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}
    return make_model(tmp_path_factory.mktemp("models") / "gpt2", "gpt2", **shape)


@pytest.mark.parametrize("case", LORAS)
def test_the_planned_number_of_trained_parameters_is_that_of_pefts_own_lora(
    case: str, workspace: Workspace, gpt2: Path
) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    options = {"target_modules": "all-linear", **LORAS[case]}
    (workspace.root / "gpt2").symlink_to(gpt2)
    name = "gpt2" if "gpt2" in case else "model"
    spec = workspace.spec(f"techniques: [{{lora: {json.dumps(dict(LORAS[case]))}, base_model: {{path: {name}}}}}]")
    (candidate,) = plan_of(spec).candidates
    base = AutoModelForCausalLM.from_pretrained(workspace.root / name)
    total = sum(parameter.numel() for parameter in base.parameters())
    tuned = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", fan_in_fan_out=name == "gpt2", **options))
    assert candidate.trainable_parameters == tuned.get_nb_trainable_parameters()[0]
    assert candidate.total_parameters == total


@pytest.mark.parametrize("name", ["model", "gpt2"])
def test_the_planned_number_of_parameters_of_full_fine_tuning_is_that_of_the_model(
    name: str, workspace: Workspace, gpt2: Path
) -> None:
    from transformers import AutoModelForCausalLM

    (workspace.root / "gpt2").symlink_to(gpt2)
    (candidate,) = plan_of(workspace.spec(f"techniques: [{{full: {{}}, base_model: {{path: {name}}}}}]")).candidates
    parameters = AutoModelForCausalLM.from_pretrained(workspace.root / name).parameters()
    assert candidate.trainable_parameters == sum(parameter.numel() for parameter in parameters)
    assert candidate.total_parameters == candidate.trainable_parameters


def test_a_prompting_candidate_trains_nothing(workspace: Workspace) -> None:
    (candidate,) = plan_of(workspace.spec("techniques: [zero_shot]")).candidates
    assert candidate.trainable_parameters == 0


# ------------------------------------------------------------------------------------- what is on a hub and not here


def test_a_model_that_is_not_here_is_unresolved_and_no_error(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    text = workspace.spec("techniques: [zero_shot, {lora: {r: 2}}]").read_text()
    spec = workspace.write("spec.yaml", text.replace("{path: model}", "{hub: nobody/nothing-at-all}"))
    done = compiled(spec)
    assert done.unresolved == ("nobody/nothing-at-all@main",)
    assert [candidate.trainable_parameters for candidate in done.plan.candidates] == [0, None]


@pytest.mark.parametrize("technique", ["zero_shot", "few_shot: {shots: 4}", "lora: {r: 2}"])
def test_data_that_is_not_here_is_unresolved_and_no_error(technique: str, workspace: Workspace) -> None:
    text = workspace.spec(f"techniques: [{{{technique}}}]" if ":" in technique else f"techniques: [{technique}]")
    hub = "train: {hub: nobody/no-rows-at-all, split: train}"
    spec = workspace.write("spec.yaml", text.read_text().replace("train: train.jsonl", hub))
    done = compiled(spec)
    assert done.unresolved == ("nobody/no-rows-at-all",)
    assert done.data.rows is None
