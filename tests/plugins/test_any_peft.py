"""The technique that takes any method of PEFT by name: planned without torch, trained, and wrong options told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from plans import plan_of

from customspec.errors import PluginError
from customspec.inputs.consulting import consult
from support import Ended, Workspace

Command = Callable[..., Ended]


@pytest.mark.parametrize(
    ("written", "trained"),
    [
        ("{method: FOURIERFT, config: {n_frequency: 10, target_modules: [q_proj, v_proj]}}", 2 * 2 * 10),
        ("{method: LORA, config: {r: 3, target_modules: [q_proj]}}", 2 * 3 * (32 + 32)),
        ("{method: LN_TUNING, config: {target_modules: [input_layernorm]}}", 2 * 32),
    ],
)
def test_the_plan_counts_what_a_method_trains(workspace: Workspace, written: str, trained: int) -> None:
    [candidate] = plan_of(workspace.spec(f"techniques: [{{peft: {written}}}]")).candidates
    assert candidate.trainable_parameters == trained


def test_a_method_is_trained_and_its_adapter_is_plain_peft(workspace: Workspace, customspec: Command) -> None:
    method = "{method: FOURIERFT, config: {n_frequency: 10, target_modules: [q_proj]}, max_steps: 2}"
    ended = customspec("run", workspace.spec(f"techniques: [{{peft: {method}}}]"), "--json")
    assert ended.code == 0, ended.err
    [candidate] = ended.json["candidates"]
    assert (candidate["status"], candidate["cost"]["trainable_parameters"]) == ("done", 20)
    folder = workspace.run_folder(ended.json) / candidate["artifact"]
    assert '"peft_type": "FOURIERFT"' in (folder / "adapter_config.json").read_text()


@pytest.mark.parametrize(
    ("written", "place", "message"),
    [
        ("{method: FOURIERTF}", "10:30", "has no method `FOURIERTF`"),
        ("{method: FOURIERFT, config: {n_frequencies: 3}}", "10:50", "FOURIERFT has no option `n_frequencies`"),
        ("{method: VERA, config: {r: -1}}", "10:44", "VERA cannot be put on this model"),
        ("{method: LORA, config: {target_modules: [nowhere]}}", "10:44", "LORA cannot be put on this model"),
        ("{method: LORA, config: {megatron_config: {a: 1}, megatron_core: os}}", "10:45", "`megatron_config` names a"),
        ("{method: LORA, config: {corda_config: {cache_file: x.pt}}}", "10:45", "LORA: `cache_file` names a file"),
        ("{method: PROMPT_TUNING, config: {tokenizer_name_or_path: a/b}}", "10:54", "`tokenizer_name_or_path` names"),
        (
            r'{method: LORA, config: {target_modules: "((\\w+\\.?)+)+!"}}',
            "10:45",
            r"`((\w+\.?)+)+!` might take",
        ),
        (
            f"{{method: LORA, config: {{layer_replication: {[[0, 2]] * 200}}}}}",
            "10:45",
            "`layer_replication` is",
        ),
        ("{method: XLORA, config: {adapters: {one: ../x}}}", "10:46", "`adapters` names a file, a model or code"),
    ],
)
def test_what_peft_does_not_know_is_told_at_its_place(
    workspace: Workspace, customspec: Command, written: str, place: str, message: str
) -> None:
    ended = customspec("validate", workspace.spec(f"techniques: [{{peft: {written}}}]"))
    assert ended.code == 2
    assert message in ended.err
    assert f"spec.yaml:{place}" in ended.err


@pytest.mark.parametrize(
    "config", [{"prompt_tuning_init_state_dict_path": "x"}, {"adapters": {}}, {"lora_ga_config": [{"cache_file": "x"}]}]
)
def test_no_plan_gives_peft_the_name_of_a_file(config: dict[str, object]) -> None:
    from customspec_tuning.ml.methods import configuration

    with pytest.raises(ValueError, match="names a file, a model or code, which no spec may do"):
        configuration("LORA", config)


def test_a_question_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from customspec.inputs import consulting

    monkeypatch.setattr(consulting, "CPU", 1)
    deep = {"model_type": "llama", "num_hidden_layers": 10**5}
    with pytest.raises(PluginError, match="technique `peft` gave no answer: it asks for too much time or memory"):
        consult("peft", "customspec 0", {"method": "LORA", "config": {}, "model": deep}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_answer_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question = {"method": "NONE", "config": {}, "model": {}}
    first = consult("peft", "customspec 0", question, tmp_path)
    assert "has no method `NONE`" in first["message"]
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert consult("peft", "customspec 0", question, tmp_path) == first
    assert len(list(tmp_path.iterdir())) == 1


def test_a_technique_that_fails_to_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"customspec 9: technique `peft` gave no answer: .*TypeError"):
        consult("peft", "customspec 9", {"unheard": 1}, tmp_path)
    assert not list(tmp_path.iterdir())
