"""Base models in the local cache of the hub, and fetched into it."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants
from model_folders import TOKENIZER, Find, fill, found, sharded, whole

from customspec.errors import Code
from customspec.inputs.models import ModelError, Unresolved, cached_snapshot, fetch_snapshot

COMMIT = "0123456789abcdef0123456789abcdef01234567"


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
