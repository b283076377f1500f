from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from published import KEY, WEIGHTS, Publish

from customspec.store import Store, link_tree


def test_a_memo_is_read_back_and_what_is_damaged_is_absent(store: Store) -> None:
    memo = store.memo("header")
    memo.put("sha256:abc", {"layers": 2})
    assert memo.get("sha256:abc") == {"layers": 2}
    assert memo.get("sha256:def") is None
    [path] = (store.root / "memo" / "header").iterdir()
    assert path.name == "sha256:abc.json"
    path.write_bytes(path.read_bytes().replace(b'"layers":2', b'"layers":3'))
    assert memo.get("sha256:abc") is None
    memo.put("sha256:abc", {"layers": 4})
    assert memo.get("sha256:abc") == {"layers": 4}


def test_a_memo_that_cannot_be_kept_costs_nothing(store: Store) -> None:
    store.root.write_bytes(b"no folder")
    store.memo("header").put("key", 1)
    assert store.memo("header").get("key") is None


def test_an_object_is_linked_into_a_folder_and_linking_again_replaces(
    store: Store, tmp_path: Path, publish: Publish
) -> None:
    made, target = publish(store, KEY), tmp_path / "run" / "candidates" / "lora@0"
    target.mkdir(parents=True)
    (target / "notes.txt").write_text("older", encoding="utf-8")
    (target / "mine.txt").write_text("kept", encoding="utf-8")
    for _ in range(2):
        link_tree(made.folder, target)
    weights = Path("model", "weights.safetensors")
    assert (target / weights).samefile(made.folder / weights)
    assert (target / "notes.txt").read_text() == "fine\n"
    assert (target / "mine.txt").read_text() == "kept"
    assert store.get(KEY) == made


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a second file system")
def test_an_object_is_copied_to_another_file_system(store: Store, publish: Publish) -> None:
    made, target = publish(store, KEY), Path("/dev/shm", f"customspec-{os.getpid()}")
    if target.parent.stat().st_dev == store.root.stat().st_dev:
        pytest.skip("one file system")
    try:
        link_tree(made.folder, target)
        copy = target / "model" / "weights.safetensors"
        assert copy.read_bytes() == WEIGHTS
        assert stat.S_IMODE(copy.stat().st_mode) == 0o444
    finally:
        shutil.rmtree(target)


def test_importing_the_store_pulls_no_heavy_library() -> None:
    code = "import sys, customspec.store; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "customspec.store" in modules
    assert not {"torch", "transformers", "peft", "numpy", "asyncio"} & set(modules)
