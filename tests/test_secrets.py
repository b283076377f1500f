"""Secrets reach no message, log, plan, store or result; nothing that others wrote reaches a terminal raw."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from customspec.errors import Code, Location, Problem, StepError, holds_secret, redact
from customspec.report.logs import SafeFormatter
from support import Ended, Workspace

Run = Callable[..., Ended]
TOKEN = "hf_" + "AbCdEfGh" * 4

SECRETS = [
    TOKEN,
    "sk-proj-abcdefghijklmnopqrstuvwx",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "AKIAABCDEFGHIJKLMNOP",
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    "xoxb-1234567890-abcdef",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_token_is_hidden_by_its_form(secret: str) -> None:
    text = f"401 for {secret} at the hub"
    assert holds_secret(text)
    assert secret not in redact(text)
    assert len(redact(text)) == len(text)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("https://me:swordfish@host/x", "swordfish"),
        ("GET https://host/x?token=swordfish&a=1", "swordfish"),
        ("https://s3/x?X-Amz-Signature=0123abcd&b", "0123abcd"),
        ("Authorization: Bearer swordfish1", "swordfish1"),
    ],
)
def test_what_an_address_carries_is_hidden(text: str, hidden: str) -> None:
    assert hidden not in redact(text)


@pytest.mark.parametrize(
    "text", ["hf_hub_download", "sk-learn", "task-based", "a token of love", "sha256:" + "ab" * 32]
)
def test_plain_words_stay(text: str) -> None:
    assert redact(text) == text
    assert not holds_secret(text)


def test_a_secret_of_the_environment_is_hidden_whatever_its_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "swordfish-42")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false-but-long")
    assert redact("it said swordfish-42 and false-but-long") == "it said ************ and false-but-long"


def test_no_error_or_problem_can_hold_one() -> None:
    assert TOKEN not in str(StepError(f"the hub refused {TOKEN}"))
    problem = Problem(Code.MODEL_MISSING, f"no {TOKEN}", Location("a", 1, 1), hint=f"not {TOKEN}")
    assert TOKEN not in problem.message + str(problem.hint)


def test_a_log_line_holds_neither_secrets_nor_what_moves_a_cursor() -> None:
    try:
        raise ValueError(f"\x1b[2J {TOKEN}\r\u202e")
    except ValueError:
        record = logging.LogRecord("customspec", logging.ERROR, "", 1, "%s\nfailed", ("\x07",), None)
        record.exc_info = sys.exc_info()
    text = SafeFormatter("%(message)s").format(record)
    assert TOKEN not in text
    assert all(line.isprintable() for line in text.split("\n"))
    assert "Traceback" in text


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_token_of_the_environment_is_nowhere_after_a_run_that_fails(
    workspace: Workspace,
    customspec: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    from customspec.inputs import models

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    refused = tmp_path_factory.mktemp("elsewhere") / "fetcher"  # in place of the process that asks the hub
    reason = f"401 Client Error for https://user:{TOKEN}@huggingface.co/api?token={TOKEN}"
    refused.write_text(f"#!/bin/sh\ncat > /dev/null\necho '\"{reason}\"'\nexit 1\n")
    refused.chmod(0o755)
    monkeypatch.setattr("customspec.runners.fetching.sys", SimpleNamespace(executable=str(refused)))
    text = workspace.spec("techniques: [zero_shot]").read_text().replace("{path: model}", "{hub: owner/tiny}")
    (workspace.root / ".customspec" / "headers").unlink()
    ended = customspec("run", workspace.write("spec.yaml", text))
    assert ended.code == 4
    assert "401 Client Error" in ended.err
    assert TOKEN not in ended.err + ended.out
    assert TOKEN.encode() not in contents(workspace.root)
    assert models.cached_snapshot("owner/tiny", None) is None


def test_a_failed_step_tells_its_reason_without_the_token(
    workspace: Workspace, customspec: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"\x1b]0;owned\x07 https://huggingface.co?token={TOKEN}")

    monkeypatch.setattr("customspec.runners.kinds.evaluate.load_candidate", broken)
    ended = customspec("run", workspace.spec("techniques: [zero_shot]"), "--json")
    assert ended.code == 1
    assert "RuntimeError" in ended.out
    assert TOKEN not in ended.out + ended.err
    assert "\x1b" not in ended.out + ended.err
    runs = contents(workspace.root / ".customspec" / "runs")
    assert b"RuntimeError" in runs
    assert TOKEN.encode() not in runs
    assert b"\x1b" not in runs


def test_a_secret_in_a_spec_is_refused_and_not_shown(workspace: Workspace, customspec: Run) -> None:
    spec = workspace.spec(f"description: my token is {TOKEN}", "techniques: [zero_shot]")
    for arguments in (("validate", spec), ("validate", spec, "--json"), ("plan", spec), ("run", spec)):
        ended = customspec(*arguments)
        assert ended.code == 2
        assert "CS208" in ended.err + ended.out
        assert TOKEN not in ended.err + ended.out


def test_libraries_are_told_to_send_nothing(customspec: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY", raising=False)
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    customspec("schema")
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == os.environ["DO_NOT_TRACK"] == "1"


@pytest.mark.parametrize("command", ["validate", "plan", "lock"])
def test_no_name_of_a_file_reaches_the_terminal_raw(workspace: Workspace, customspec: Run, command: str) -> None:
    name = "a\x1b[31m\u202e.jsonl"
    shutil.copy(workspace.root / "train.jsonl", workspace.root / name)
    text = workspace.spec("techniques: [zero_shot]").read_text()
    text = text.replace("validation: validation.jsonl", 'validation: "a\\x1b[31m\\u202e.jsonl"')
    ended = customspec(command, workspace.write("s\x1b[31m.yaml", text))
    assert "\x1b" not in ended.out + ended.err
    assert "\u202e" not in ended.out + ended.err
