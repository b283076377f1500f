"""A tokenizer that would hang or break is refused where it does no harm."""

from __future__ import annotations

import json
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest

from customspec.errors import Code, Exit
from customspec.inputs.chat_errors import ChatError
from customspec.inputs.headers import read_model
from customspec.inputs.models import ModelError, ModelFiles
from customspec.inputs.tokens import Chat
from customspec.ml.tokenizing import try_tokenizer
from support import make_tokenizer

PATTERN = {"type": "Split", "pattern": {"Regex": "(a|a|b|b)*$"}, "behavior": "Isolated", "invert": False}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A good tokenizer.json."""
    make_tokenizer(chat=False).save_pretrained(tmp_path)
    return tmp_path / "tokenizer.json"


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_a_good_one_is_taken(file: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_CPU)
    try_tokenizer(file)
    assert resource.getrlimit(resource.RLIMIT_CPU) == before


def test_one_that_multiplies_texts_is_refused(file: Path) -> None:
    part = {"type": "Replace", "pattern": {"String": "r"}, "content": "r" * 30}
    change(file, normalizer={"type": "Sequence", "normalizers": [part] * 5})
    with pytest.raises(ModelError, match="a text may become 24300000 times as long"):
        try_tokenizer(file)


def test_one_whose_pattern_never_ends_is_refused(file: Path) -> None:
    change(file, pre_tokenizer=PATTERN)
    with pytest.raises(ModelError, match="its tokenizer fails on a text of plain characters") as caught:
        try_tokenizer(file)
    assert caught.value.code == Code.MODEL_UNUSABLE


def test_one_that_breaks_where_tokens_become_text_is_refused(file: Path) -> None:
    change(file, decoder={"type": "Strip", "content": "a", "start": 10**9, "stop": 10**9})
    with pytest.raises(ModelError, match="its tokenizer fails on a text of plain characters"):
        try_tokenizer(file)
    special = json.loads((file.parent / "tokenizer_config.json").read_text())["eos_token"]
    letter = json.loads(file.read_text())["model"]["vocab"]["a"]
    with pytest.raises(ChatError, match="the model's tokenizer breaks on a text"):
        Chat(file.parent, None, {"eos_token": special}, special).pieces([letter])


def test_one_that_leaves_out_merges_at_random_is_refused(file: Path) -> None:
    change(file, model={**json.loads(file.read_text())["model"], "dropout": 0.1})
    with pytest.raises(ModelError, match="a text is never read twice alike"):
        try_tokenizer(file)


def test_a_break_on_a_later_text_is_told_in_a_sentence(file: Path) -> None:
    change(file, pre_tokenizer=PATTERN)
    special = json.loads((file.parent / "tokenizer_config.json").read_text())["eos_token"]
    chat = Chat(file.parent, None, {"eos_token": special}, special)
    with pytest.raises(ChatError, match="the model's tokenizer breaks on a text"):
        chat.encode("ab" * 100 + "!")


def test_of_a_model_it_is_told_when_its_header_is_read(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    change(folder / "tokenizer.json", pre_tokenizer=PATTERN)
    with pytest.raises(ModelError, match="mine: its tokenizer fails on a text of plain characters") as caught:
        read_model(ModelFiles("folder", folder, "mine", "sha256:1"), tmp_path / "cache")
    assert (caught.value.code, caught.value.exit) == (Code.MODEL_UNUSABLE, Exit.ENVIRONMENT)
