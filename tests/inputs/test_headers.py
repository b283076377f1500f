"""What a model's header tells, against the real model, and how it is read once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from saved_models import MODELS, Saved, bert, change, copy, files_of
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from customspec.errors import Code, Exit
from customspec.header import Linear, ModelHeader
from customspec.inputs import headers
from customspec.inputs.headers import read_model
from customspec.inputs.models import ModelError, ModelFiles
from customspec.ml.headers import UNBOUNDED, main, read_header


def real(folder: Path) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_the_header_counts_the_parameters_of_the_real_model(saved: Saved, name: str) -> None:
    header, _ = read_header(saved(name))
    model = real(saved(name))
    assert header.total_parameters == sum(parameter.numel() for parameter in model.parameters())
    assert header.parameters == {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert header.architecture == type(model).__name__
    assert (header.vocabulary, header.hidden_size, header.layers) == (300, 32, 2)


@pytest.mark.parametrize("name", MODELS)
def test_the_linear_modules_are_those_of_the_real_model_without_its_head(saved: Saved, name: str) -> None:
    header, _ = read_header(saved(name))
    model = real(saved(name))
    modules = dict(model.named_modules())
    assert header.linears
    for linear in header.linears:
        module = modules[linear.name]
        width = torch.zeros(1, linear.inputs)
        assert module(width).shape == (1, linear.outputs)
    linear_modules = {n for n, module in modules.items() if isinstance(module, torch.nn.Linear | Conv1D)}
    heads = {n for n, module in modules.items() if module is model.get_output_embeddings()}
    assert {linear.name for linear in header.linears} == linear_modules - heads
    assert len(heads) == 1


def test_a_tied_head_counts_once(saved: Saved) -> None:
    tied, untied = (read_header(saved(name))[0] for name in ("llama-tied", "llama-untied"))
    assert "lm_head.weight" not in tied.parameters
    assert untied.parameters["lm_head.weight"] == (300, 32)


def test_gpt2s_transposed_weights_are_read_the_right_way_round(saved: Saved) -> None:
    header, _ = read_header(saved("gpt2"))
    assert Linear("transformer.h.0.attn.c_attn", 32, 96, transposed=True) in header.linears
    assert header.parameters["transformer.h.0.attn.c_attn.weight"] == (32, 96)


@pytest.mark.parametrize(("name", "context"), [("llama-tied", 512), ("gpt2", 512), ("opt", 512), ("mamba", UNBOUNDED)])
def test_the_context_is_what_the_model_holds(saved: Saved, name: str, context: int) -> None:
    assert read_header(saved(name))[0].context_length == context


def test_a_header_survives_json(saved: Saved) -> None:
    header, _ = read_header(saved("gpt2"))
    assert ModelHeader.from_json(json.loads(json.dumps(header.to_json()))) == header


# --- the helper process


def test_a_header_is_read_by_a_helper_once_and_remembered(
    tmp_path: Path, saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []
    run_helper = headers._run_helper

    def counted(files: ModelFiles, folder: Path) -> None:
        runs.append(files.label)
        run_helper(files, folder)

    monkeypatch.setattr(headers, "_run_helper", counted)
    files = files_of(saved("llama-untied"))
    first = read_model(files, tmp_path / "cache")
    assert first.header == read_header(saved("llama-untied"))[0]
    elsewhere = replace(files, path=tmp_path / "moved", label="moved")
    again = read_model(elsewhere, tmp_path / "cache")
    assert (again.header, again.tokenizer, again.files) == (first.header, first.tokenizer, elsewhere)
    assert runs == [files.label]
    names = {file.name for file in first.tokenizer.iterdir()}
    assert names == {"header.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == [first.tokenizer.name]


def test_what_the_helper_refuses_is_told_with_the_models_name_and_nothing_is_kept(tmp_path: Path) -> None:
    files = files_of(bert(tmp_path / "bert"))
    with pytest.raises(ModelError) as caught:
        read_model(replace(files, label="mine"), tmp_path / "cache")
    assert (
        str(caught.value) == "mine: BertModel is no causal decoder; format 1 of the spec speaks of causal decoders only"
    )
    assert (caught.value.code, caught.value.exit) == (Code.MODEL_KIND, Exit.ENVIRONMENT)
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_the_helper_stumbles_over_is_told(tmp_path: Path, saved: Saved) -> None:
    folder = copy(tmp_path / "model", saved("llama-tied"))
    files = replace(files_of(folder), label="mine")
    change(folder / "config.json", num_attention_heads="four")
    with pytest.raises(ModelError, match=r"^mine: Field 'num_attention_heads' expected int, got str") as caught:
        read_model(files, tmp_path / "cache")
    assert caught.value.code == Code.MODEL_UNUSABLE
    assert "\n" not in str(caught.value)


def test_of_two_processes_that_read_one_header_the_second_finds_the_firsts(
    tmp_path: Path, saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(saved("gpt2"))
    reading: list[Path] = []

    def slow(files: ModelFiles, folder: Path) -> None:
        if not reading:  # another process comes meanwhile, and is done first
            reading.append(folder)
            read_model(files, tmp_path / "cache")
        assert main(str(files.path), str(folder)) == 0

    monkeypatch.setattr(headers, "_run_helper", slow)
    assert read_model(files, tmp_path / "cache").header.architecture == "GPT2LMHeadModel"
    assert len(list((tmp_path / "cache").iterdir())) == 1
