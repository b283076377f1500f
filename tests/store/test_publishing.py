from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from published import KEY, WEIGHTS, Publish, drafts, objects

from customspec.errors import StepError
from customspec.plan import Result
from customspec.store import Store, store_key


def test_a_published_result_is_read_back_as_it_was_returned(store: Store, publish: Publish) -> None:
    made = publish(store, KEY, {"accuracy": 0.5, "labels": ("a", "b"), "by_shots": {10: 1, 2: 0}, "none": None})
    assert made.values == {"accuracy": 0.5, "labels": ["a", "b"], "by_shots": {"10": 1, "2": 0}, "none": None}
    assert (made.folder / "model" / "weights.safetensors").read_bytes() == WEIGHTS
    assert store.get(KEY) == made == Result("train:lora@0", KEY, made.values, made.folder)
    assert store.has(KEY)
    assert drafts(store) == []


def test_the_manifest_tells_key_step_values_and_each_file_in_order(store: Store, publish: Publish) -> None:
    made = publish(store, KEY)
    manifest = json.loads((made.folder.parent / "manifest.json").read_bytes())["value"]
    assert set(manifest) == {"key", "step", "values", "files"}
    assert [(entry["path"], entry["size"]) for entry in manifest["files"]] == [
        ("empty", 0),
        ("model/weights.safetensors", len(WEIGHTS)),
        ("notes.txt", 5),
    ]
    assert made.folder.parent == store.root / "objects" / KEY[:2] / KEY


def test_published_files_are_read_only_and_the_store_is_private(store: Store, publish: Publish) -> None:
    made = publish(store, KEY)
    files = [path for path in made.folder.parent.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o444}
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which file a descriptor is")
def test_all_is_on_the_disk_before_the_object_has_its_place_and_the_place_itself_after(
    store: Store, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = [], os.fsync

    def recording(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(store.root))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    publish(store, KEY)
    draft = next(path.parent for path in synced if path.name == "manifest.json")
    assert draft.parent == Path("tmp")
    before = [path.relative_to(draft).as_posix() for path in synced if path.is_relative_to(draft)]
    content = {"files", "files/model", "files/model/weights.safetensors", "files/notes.txt", "files/empty"}
    assert set(before[:-2]) == content
    assert before[-2:] == ["manifest.json", "."]
    assert synced[len(before) :] == [Path("objects", KEY[:2]), Path("objects"), Path()]


def test_reading_creates_nothing(store: Store) -> None:
    assert store.get(KEY) is None
    assert not store.has(KEY)
    assert store.memo("header").get("x") is None
    assert not store.root.exists()


def test_a_relative_root_stays_where_it_was_when_the_working_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, publish: Publish
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store(Path("store"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert publish(store, KEY).folder.is_relative_to(tmp_path / "store")


def test_the_key_depends_on_the_fingerprint_and_on_each_part_of_the_environment() -> None:
    environment = {"device": "cpu", "torch": "2.13.0"}
    keys = [
        store_key("sha256:a", environment),
        store_key("sha256:b", environment),
        store_key("sha256:a", {**environment, "torch": "2.13.1"}),
        store_key("sha256:a", {"device": "cpu"}),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 and int(key, 16) for key in keys)
    assert store_key("sha256:a", dict(reversed(environment.items()))) == keys[0]


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "a\n", "é", "a" * 201])
def test_a_name_that_could_leave_its_folder_is_refused(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name"):
        store.get(name)
    with pytest.raises(ValueError, match="cannot name"), store.publishing(name, "step"):
        pass
    with pytest.raises(ValueError, match="cannot name"):
        store.new_run(name)
    with pytest.raises(ValueError, match="cannot name"):
        store.memo("header").put(name, 1)
    with pytest.raises(ValueError, match="cannot name"):
        store.memo(name)


def interrupted(store: Store) -> None:
    with store.publishing(KEY, "train") as draft:
        (draft.folder / "half").write_bytes(WEIGHTS)
        raise KeyboardInterrupt


def test_an_exception_publishes_nothing_and_leaves_no_draft(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(store)
    assert (objects(store), drafts(store), store.get(KEY)) == ([], [], None)


def test_a_draft_that_is_not_published_is_removed(store: Store) -> None:
    with store.publishing(KEY, "train") as draft:
        (draft.folder / "half").write_bytes(WEIGHTS)
    assert (objects(store), drafts(store)) == ([], [])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, {"a": 1, 2: 2}])
def test_values_that_are_not_plain_json_are_refused(store: Store, value: object) -> None:
    with pytest.raises(StepError, match=r"train.*not plain JSON"), store.publishing(KEY, "train") as draft:
        draft.publish({"value": value})
    assert (objects(store), drafts(store)) == ([], [])


def make_link(path: Path) -> None:
    path.symlink_to(path.parent)


@pytest.mark.parametrize("make", [make_link, os.mkfifo])
def test_what_is_neither_file_nor_folder_is_refused(store: Store, make: Callable[[Path], None]) -> None:
    with store.publishing(KEY, "train") as draft:
        make(draft.folder / "latest")
        with pytest.raises(StepError, match="latest is not a regular file"):
            draft.publish({})
    assert (objects(store), drafts(store)) == ([], [])
