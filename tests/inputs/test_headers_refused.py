"""Models that are refused before a weight is read, and code beside a model, which is never run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from saved_models import Saved, bert, change, copy, files_of
from transformers import T5Config

from customspec.errors import Code, Exit
from customspec.inputs.headers import read_model
from customspec.inputs.models import ModelError
from customspec.ml.headers import read_header
from support import make_model, make_tokenizer


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
