"""What a model's header tells, against the real model; and what is refused before a weight is read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedModel, T5Config
from transformers.pytorch_utils import Conv1D

from customspec.errors import Code, Exit
from customspec.header import Linear, ModelHeader
from customspec.inputs import headers
from customspec.inputs.digests import Digests
from customspec.inputs.headers import read_model
from customspec.inputs.models import ModelError, ModelFiles, find_model
from customspec.inputs.paths import Roots
from customspec.ml.headers import UNBOUNDED, main, read_header
from customspec.spec import BaseModelSpec
from support import make_model, make_tokenizer

GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama-untied": ("llama", {"num_key_value_heads": 2, "tie_word_embeddings": False}),
    "llama-tied": ("llama", {"tie_word_embeddings": True}),
    "gpt2": ("gpt2", GPT),
    "opt": ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    "opt-projected": ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 16}),
    "qwen2": ("qwen2", {"num_key_value_heads": 2}),
    "mamba": (
        "mamba",
        {"state_size": 4, "conv_kernel": 3, "expand": 2, "time_step_rank": 4, "max_position_embeddings": None},
    ),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function: the folder of a tiny model by its name; each is made once."""
    folders: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in folders:
            architecture, options = MODELS[name]
            folders[name] = make_model(tmp_path_factory.mktemp("models") / name, architecture, **options)
        return folders[name]

    return folder


Saved = Callable[[str], Path]


def real(folder: Path) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    return model


def files_of(folder: Path) -> ModelFiles:
    files = find_model(BaseModelSpec(path="."), Roots.of(folder), Digests(None))
    assert isinstance(files, ModelFiles)
    return files


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


# --- refused


def bert(folder: Path) -> Path:
    config = AutoConfig.for_model(
        "bert", vocab_size=300, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=32
    )
    AutoModel.from_config(config).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def change(file: Path, **entries: Any) -> None:
    content = {**json.loads(file.read_text()), **entries}
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def copy(folder: Path, source: Path) -> Path:
    folder.mkdir()
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.mark.parametrize("architectures", [["BertModel"], ["BertForMaskedLM"], ["BertLMHeadModel"], None])
def test_an_encoder_is_refused(tmp_path: Path, architectures: list[str] | None) -> None:
    folder = bert(tmp_path / "bert")
    change(folder / "config.json", architectures=architectures)
    with pytest.raises(ModelError, match="is no causal decoder; format 1 of the spec speaks of causal decoders only"):
        read_header(folder)


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    config = T5Config(vocab_size=300, d_model=16, d_ff=16, d_kv=4, num_layers=1, num_heads=2)
    config.architectures = ["T5ForConditionalGeneration"]
    config.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="T5ForConditionalGeneration is no causal decoder") as caught:
        read_header(tmp_path)
    assert (caught.value.code, caught.value.exit) == (Code.MODEL_KIND, Exit.ENVIRONMENT)


def test_a_bert_that_was_made_a_decoder_is_taken(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "decoder", "roberta", is_decoder=True)
    assert read_header(folder)[0].architecture == "RobertaForCausalLM"


def test_a_config_without_its_architecture_is_taken_for_what_it_is(tmp_path: Path, saved: Saved) -> None:
    folder = copy(tmp_path / "model", saved("llama-tied"))
    change(folder / "config.json", architectures=None)
    assert read_header(folder)[0].architecture == "LlamaForCausalLM"


def test_a_tokenizer_with_more_tokens_than_the_model_embeds_is_refused(tmp_path: Path) -> None:
    size = len(make_tokenizer())
    folder = make_model(tmp_path / "model", vocab_size=size - 1)
    with pytest.raises(ModelError, match=f"its tokenizer has {size} tokens, the model embeds {size - 1}"):
        read_header(folder)
    assert read_header(make_model(tmp_path / "exact", vocab_size=size))[0].vocabulary == size


def test_added_tokens_that_a_text_model_does_not_embed_are_left_out(tmp_path: Path) -> None:
    size = len(make_tokenizer())
    folder = make_model(tmp_path / "model", vocab_size=size)
    file = folder / "tokenizer.json"
    document = json.loads(file.read_text())
    image = {**document["added_tokens"][0], "id": size, "content": "<image>", "special": False}
    file.write_text(json.dumps({**document, "added_tokens": [*document["added_tokens"], image]}))
    known = read_model(files_of(folder), tmp_path / "cache")
    kept = json.loads((known.tokenizer / "tokenizer.json").read_text())["added_tokens"]
    assert [one["content"] for one in kept] == [one["content"] for one in document["added_tokens"]]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", "{", "config"),
        ("config.json", '{"model_type": "unheard_of"}', "unheard_of"),
        ("config.json", "{}", "model_type"),
        ("tokenizer.json", None, "no usable tokenizer"),
    ],
)
def test_a_broken_folder_is_refused_with_a_sentence(
    tmp_path: Path, saved: Saved, file: str, content: str | None, message: str
) -> None:
    folder = copy(tmp_path / "model", saved("llama-tied"))
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    with pytest.raises(ModelError, match=message) as caught:
        read_header(folder)
    assert caught.value.code == Code.MODEL_UNUSABLE
    assert "\n" not in str(caught.value)


def test_a_tokenizer_that_names_no_end_is_refused(tmp_path: Path, saved: Saved) -> None:
    folder = copy(tmp_path / "model", saved("llama-tied"))
    change(folder / "tokenizer_config.json", eos_token=None)
    with pytest.raises(ModelError, match="names no end-of-sequence token"):
        read_header(folder)


# --- code in a model's folder


def hostile(folder: Path, source: Path, marker: Path, model_type: str) -> Path:
    """The model with code of its own beside it, named wherever transformers looks for code."""
    copy(folder, source)
    classes = ("HostileConfig", "HostileModel", "HostileTokenizer")
    code = [f"class {name}: pass" for name in classes]
    (folder / "hostile.py").write_text("\n".join([f"open({str(marker)!r}, 'w').close()", *code]))
    named = {"AutoConfig": "hostile.HostileConfig", "AutoModelForCausalLM": "hostile.HostileModel"}
    change(folder / "config.json", auto_map=named, model_type=model_type)
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "hostile.HostileTokenizer"]})
    return folder


def test_a_known_model_with_code_beside_it_is_read_without_running_it(tmp_path: Path, saved: Saved) -> None:
    folder = hostile(tmp_path / "model", saved("llama-tied"), tmp_path / "marker", "llama")
    assert read_header(folder)[0].architecture == "LlamaForCausalLM"
    assert not (tmp_path / "marker").exists()


def test_a_model_that_is_only_code_is_refused_without_running_it(tmp_path: Path, saved: Saved) -> None:
    folder = hostile(tmp_path / "model", saved("llama-tied"), tmp_path / "marker", "hostile")
    with pytest.raises(ModelError):
        read_header(folder)
    assert not (tmp_path / "marker").exists()
    sys.path.insert(0, str(folder))  # the code would have left its mark
    try:
        __import__("hostile")
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("hostile", None)
    assert (tmp_path / "marker").exists()


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
