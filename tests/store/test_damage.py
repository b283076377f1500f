from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from published import KEY, OTHER, WEIGHTS, Publish

from customspec.errors import RefusedError
from customspec.inputs.checksummed import write_checksummed
from customspec.inputs.digests import sha256_file
from customspec.plan import Result
from customspec.store import Store, link_tree, objects
from customspec.store.upkeep import find_faults


def unlocked(path: Path) -> Path:
    path.chmod(0o644)
    return path


def flip(path: Path, offset: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << bit
    unlocked(path).write_bytes(content)


def flipped(offset: int) -> Callable[[Path], None]:
    return lambda folder: flip(folder / "files" / "model" / "weights.safetensors", offset, bit=offset % 8)


def cut(folder: Path) -> None:
    os.truncate(unlocked(folder / "files" / "model" / "weights.safetensors"), len(WEIGHTS) // 2)


def zero_tail(folder: Path) -> None:
    path = folder / "files" / "model" / "weights.safetensors"
    unlocked(path).write_bytes(WEIGHTS[:4096] + bytes(len(WEIGHTS) - 4096))


def emptied(folder: Path) -> None:
    os.truncate(unlocked(folder / "files" / "notes.txt"), 0)


def lost(folder: Path) -> None:
    (folder / "files" / "notes.txt").unlink()


def added(folder: Path) -> None:
    (folder / "files" / "adapter_model.bin").write_bytes(b"read me instead")


def linked(folder: Path) -> None:
    path = folder / "files" / "notes.txt"
    shutil.copy(path, folder / "copy")
    path.unlink()
    path.symlink_to(folder / "copy")


def piped(folder: Path) -> None:
    (folder / "files" / "notes.txt").unlink()
    os.mkfifo(folder / "files" / "notes.txt")


def without_files(folder: Path) -> None:
    shutil.rmtree(folder / "files")


def without_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def half_a_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    os.truncate(unlocked(path), path.stat().st_size // 2)


def piped_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")


def linked_manifest(folder: Path) -> None:
    shutil.copy(folder / "manifest.json", folder / "copy")
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").symlink_to(folder / "copy")


def sealed_again(value: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        write_checksummed(folder / "manifest.json", value)

    return damage


DAMAGES = [flipped(0), flipped(1), flipped(65_535), flipped(65_536), flipped(len(WEIGHTS) - 1), cut, zero_tail]
DAMAGES += [emptied, lost, added, linked, piped, without_files, without_manifest, half_a_manifest]
DAMAGES += [piped_manifest, linked_manifest]
NO_FILES: tuple[Any, ...] = (5, {}, [5], [{}])
OTHERS: tuple[Any, ...] = ([], {}, 5, None, {"key": KEY}, {"key": KEY, "step": "a", "values": {}})
OTHERS += tuple({"key": KEY, "step": "a", "values": {}, "files": files} for files in NO_FILES)
DAMAGES += map(sealed_again, OTHERS)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_object_is_set_aside_and_can_be_made_again(
    store: Store, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture, publish: Publish
) -> None:
    made = publish(store, KEY)
    whole = publish(store, OTHER)
    damage(made.folder.parent)
    with caplog.at_level(logging.WARNING, "customspec"):
        assert store.get(KEY) is None
    [record] = caplog.records
    assert "damaged" in record.getMessage()
    assert not store.has(KEY)
    assert len(list((store.root / "quarantine").iterdir())) == 1
    assert publish(store, KEY) == made == store.get(KEY)
    assert store.get(OTHER) == whole


@pytest.mark.parametrize("damage", DAMAGES)
def test_all_damage_is_found(store: Store, damage: Callable[[Path], None], publish: Publish) -> None:
    damage(publish(store, KEY).folder.parent)
    assert [fault.kind for fault in find_faults(store)] == ["damaged object"]


def test_the_warning_names_the_file_and_where_the_object_lies_now(
    store: Store, caplog: pytest.LogCaptureFixture, publish: Publish
) -> None:
    flipped(7)(publish(store, KEY).folder.parent)
    store.get(KEY)
    [aside] = (store.root / "quarantine").iterdir()
    assert "model/weights.safetensors has changed" in caplog.text
    assert str(aside) in caplog.text


def test_no_flipped_bit_of_the_manifest_changes_a_result(store: Store, tmp_path: Path, publish: Publish) -> None:
    made = publish(store, KEY)
    content = (made.folder.parent / "manifest.json").read_bytes()
    for offset in range(len(content)):
        again = Store(tmp_path / "flipped" / str(offset))
        link_tree(store.root / "objects", again.root / "objects")
        manifest = again.root / "objects" / KEY[:2] / KEY / "manifest.json"
        manifest.unlink()
        manifest.write_bytes(content)
        flip(manifest, offset, bit=offset % 8)
        assert again.get(KEY) is None


def test_an_object_without_files_needs_its_empty_folder(store: Store) -> None:
    with store.publishing(KEY, "decide") as draft:
        made = draft.publish({"chosen": "lora"})
    assert store.get(KEY) == made
    made.folder.rmdir()
    assert store.get(KEY) is None


def test_an_object_under_another_key_is_damage(store: Store, publish: Publish) -> None:
    made = publish(store, KEY)
    wrong = store.root / "objects" / OTHER[:2] / OTHER
    shutil.copytree(made.folder.parent, wrong)
    assert not store.has(OTHER)
    assert store.get(OTHER) is None
    assert store.get(KEY) == made


def test_a_file_in_an_objects_place_is_set_aside_too(store: Store, publish: Publish) -> None:
    made = publish(store, KEY)
    shutil.rmtree(made.folder.parent)
    made.folder.parent.write_bytes(b"")
    assert publish(store, KEY) == made == store.get(KEY)


def test_damage_that_cannot_be_set_aside_is_refused(store: Store, publish: Publish) -> None:
    lost(publish(store, KEY).folder.parent)
    (store.root / "quarantine").write_bytes(b"in the way")
    with pytest.raises(RefusedError, match=r"notes.txt is missing.*cannot be set aside"):
        store.get(KEY)


def test_a_damaged_object_found_while_publishing_gives_way_to_the_new_one(store: Store, publish: Publish) -> None:
    lost(publish(store, KEY, {"by": "old"}).folder.parent)
    assert publish(store, KEY, {"by": "new"}).values == {"by": "new"}
    assert store.get(KEY) == Result(
        "train:lora@0", KEY, {"by": "new"}, store.root / "objects" / KEY[:2] / KEY / "files"
    )


def test_a_file_that_has_grown_to_terabytes_is_damage_and_is_not_read(
    store: Store, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = publish(store, KEY).folder / "notes.txt"
    os.truncate(unlocked(file), 1 << 40)

    def read(path: Path) -> str:
        assert path.stat().st_size < 1 << 30
        return sha256_file(path)

    monkeypatch.setattr(objects, "sha256_file", read)
    assert store.get(KEY) is None
