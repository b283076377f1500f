"""What a lock says as text: read back as it was written, and told for what it is where it is none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customspec.cli.lock_text import lock_text
from customspec.source import parse
from support import Ended, Workspace

Run = Callable[..., Ended]


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20)


TRAPS = st.sampled_from(
    [
        "1e-4",
        "089",
        "0o17",
        "0x1F",
        "1_000",
        "1:30",
        "yes",
        "~",
        "null",
        ".5",
        "+.inf",
        "<<",
        "=",
        "a\u2028b",
        "- a",
    ]
)


TREES = st.dictionaries(TEXT | TRAPS, TEXT | TRAPS | st.floats(allow_nan=False), max_size=3)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(TEXT | TRAPS, TREES, min_size=1, max_size=3))
def test_a_lock_is_read_back_as_it_was_written(tree: dict[str, Any]) -> None:
    text = lock_text(tree)
    assert parse(text, "customspec.lock").data == tree
    assert text.splitlines() == text.removesuffix("\n").split("\n")


@pytest.mark.parametrize("folder", ["1e-4", "089", "0o17", "a\u2028b"])
def test_a_name_that_looks_like_a_number_is_locked_as_text(own: Workspace, customspec: Run, folder: str) -> None:
    (own.root / "model").rename(own.root / folder)
    text = own.spec("techniques: [zero_shot]").read_text()
    spec = own.write("0x10.yaml", text.replace("{path: model}", f"{{path: {json.dumps(folder)}}}"))
    assert customspec("lock", spec).code == 0
    assert customspec("lock", spec).code == 0
    ended = customspec("run", spec, "--locked")
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("name", "told"),
    [("caf\udce9.yaml", "is not UTF-8, and no plan can hold it"), ("a\x01b.yaml", "no lock can hold this")],
)
def test_a_spec_whose_name_no_lock_can_hold_is_told_so(
    workspace: Workspace, customspec: Run, name: str, told: str
) -> None:
    spec = workspace.spec("techniques: [zero_shot]").rename(workspace.root / name)
    ended = customspec("lock", spec)
    assert ended.code == 2, ended.err
    assert told in ended.err
    assert not (workspace.root / "customspec.lock").exists()


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02\x03\x04\x05\x06", None, "fifo"])
def test_what_lies_in_a_locks_place_is_not_called_a_spec(
    workspace: Workspace, customspec: Run, content: bytes | str | None
) -> None:
    lock = workspace.root / "customspec.lock"
    if isinstance(content, bytes):
        lock.write_bytes(content)
    elif content is None:
        lock.mkdir()
    else:
        os.mkfifo(lock)
    ended = customspec("run", workspace.spec("techniques: [zero_shot]"), "--locked")
    assert ended.code == 2
    assert "customspec.lock:1:1: CS1" in ended.err
    assert "the spec" not in ended.err
    assert "there is no lock" not in ended.err


@pytest.mark.parametrize(
    "text", ["lock: 99\nspecs: {}\n", "lock: 2\n", "lock: 2\nspecs: {spec.yaml: {}}\n", "a: [\n", ""]
)
def test_what_is_no_lock_is_told_so(workspace: Workspace, customspec: Run, text: str) -> None:
    workspace.write("customspec.lock", text)
    ended = customspec("run", workspace.spec("techniques: [zero_shot]"), "--locked")
    assert ended.code == 2
    assert "Traceback" not in ended.err


def test_a_lock_that_is_a_link_out_of_its_folder_is_neither_read_nor_written_through(
    workspace: Workspace, tmp_path_factory: pytest.TempPathFactory, customspec: Run
) -> None:
    secret = tmp_path_factory.mktemp("secret") / "notes"
    secret.write_text("password: swordfish\n")
    (workspace.root / "customspec.lock").symlink_to(secret)
    spec = workspace.spec("techniques: [zero_shot]")
    for arguments in (("lock", spec), ("run", spec, "--locked")):
        ended = customspec(*arguments)
        assert ended.code == 2
        assert "swordfish" not in ended.err
    assert secret.read_text() == "password: swordfish\n"
