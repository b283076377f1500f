"""Bad input: each spec in `problems/` against the exact text that `customspec validate` prints for it.

After a change of wording: `WRITE_PROBLEMS=1 pytest tests/test_problems.py` writes the texts anew. Read the diff.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from support import Ended, Workspace, colours

PROBLEMS = Path(__file__).with_name("problems")
SPECS = sorted(PROBLEMS.glob("*/*.yaml"))
PAIRS = {"syntax": 19, "schema": 60, "semantics": 73, "data": 53, "model": 19}
REWRITE = "WRITE_PROBLEMS=1 pytest tests/test_problems.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path, shared_headers: Path) -> Workspace:
    """Good data and a good model, and beside them all that can be wrong with either."""
    space = Workspace(tmp_path_factory.mktemp("problems"))
    (space.root / ".customspec").mkdir(mode=0o700)
    (space.root / ".customspec" / "headers").symlink_to(shared_headers)
    (space.root / "model").symlink_to(tiny_folder)
    for name, count, start in (("train", 24, 0), ("validation", 12, 100), ("test", 12, 200), ("small", 6, 300)):
        space.rows(f"{name}.jsonl", colours(count, start))
    faulty_rows(space)
    faulty_files(space)
    faulty_models(space, tiny_folder)
    return space


def faulty_rows(space: Workspace) -> None:
    """Files that can be read, with rows that do not fit."""
    good = colours(6, 400)
    space.rows("single.jsonl", good[:1])
    space.rows("no_label.jsonl", [{"text": row["text"]} for row in good])
    space.rows("uneven.jsonl", [*good, {"text": "number 9 is red", "lable": "warm"}])
    space.rows("two_kinds.jsonl", [*good, {"text": 9, "label": "warm"}])
    space.rows("other_label.jsonl", [*good, {"text": "number 9 is lime", "label": "colt"}])
    space.rows("empty_answer.jsonl", [*good, {"text": "number 9 is red", "label": " "}])
    space.rows("null_answer.jsonl", [*good, {"text": "number 9 is red", "label": None}])
    space.rows("long_answer.jsonl", [*good, {"text": "number 9 is red", "label": "warm " * 100}])
    space.rows("one_class.jsonl", [row for row in colours(24) if row["label"] == "warm"])
    space.rows("one_class_test.jsonl", [row for row in colours(12, 200) if row["label"] == "warm"])
    space.rows("grouped.jsonl", [{**row, "customer": "a"} for row in good])
    space.rows("grouped_test.jsonl", [{**row, "customer": "b"} for row in colours(6, 500)])
    talk = [{"role": "user", "content": "red"}, {"role": "assistant", "content": "warm"}]
    space.rows("chat_test.jsonl", [{"talk": [{"role": "user", "content": "teal"}, talk[1]]}])
    space.rows("train_as_talk.jsonl", [{"talk": row["text"]} for row in good])
    space.rows("chat_unknown_role.jsonl", [{"talk": talk}, {"talk": [{"role": "human", "content": "red"}, talk[1]]}])
    space.rows("chat_no_answer.jsonl", [{"talk": talk}, {"talk": talk[:1]}])
    space.rows("chat_empty_turn.jsonl", [{"talk": talk}, {"talk": [talk[0], {"role": "assistant", "content": " "}]}])
    seen = [{"text": f"  Number {i}   is {row['text'].split()[-1].upper()}"} for i, row in enumerate(colours(5))]
    space.rows("seen.jsonl", [*colours(3, 200), *({**row, "label": "warm"} for row in seen)])
    space.rows("seen_again.jsonl", [*colours(3, 500), {"text": "number 201 is blue", "label": "cold"}, *colours(1)])
    space.rows("long.jsonl", [*good, {"text": "number 9 is red " * 100, "label": "warm"}])


def faulty_files(space: Workspace) -> None:
    """Files that cannot be read."""
    row = json.dumps(colours(1)[0])
    space.write("empty.jsonl", "")
    space.write("header_only.csv", "text,label\n")
    space.write("truncated.jsonl", f'{row}\n{row}\n{{"text": "number 3 is te')
    space.write("json_list.jsonl", f"[{row},\n{row}]\n")
    space.write("latin1.jsonl", f"{row}\n")
    (space.root / "latin1.jsonl").write_bytes(f'{row}\n{{"text": "caf\xe9", "label": "warm"}}\n'.encode("latin-1"))
    space.write("folder/part-1.jsonl", f"{row}\n")
    space.write("train.txt", f"{row}\n")
    space.write("train.pkl", f"{row}\n")
    space.write("ragged.csv", "text,label\nnumber 1 is red,warm\nnumber 2, which is blue,cold\n")


def faulty_models(space: Workspace, good: Path) -> None:
    """Copies of the good model, each without or with one thing."""

    def copy(name: str, *without: str) -> Path:
        target = space.root / "models" / name
        shutil.copytree(good, target, ignore=shutil.ignore_patterns(*without))
        return target

    copy("no_config", "config.json")
    copy("no_weights", "*.safetensors")
    (copy("pickle_only", "*.safetensors") / "pytorch_model.bin").write_bytes(b"\x80\x04")
    (copy("not_safetensors") / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    header = json.dumps({"lm_head.weight": {"dtype": "F32", "shape": [300, 32], "data_offsets": [0, 38_400]}}).encode()
    (copy("truncated") / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(20_000))
    index = {"weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}
    (copy("missing_shard", "*.safetensors") / "model.safetensors.index.json").write_text(json.dumps(index))
    config = json.loads((good / "config.json").read_text()) | {"architectures": ["BertModel"], "model_type": "bert"}
    (copy("encoder") / "config.json").write_text(json.dumps(config))
    space.write("models/text.gguf", "a model, one day\n")
    space.write("site/tiny_models/__init__.py", "")
    space.write("site/tiny_models/tiny.Q8.gguf", "a model, one day\n")


def listing(root: Path) -> dict[str, int]:
    """Every file but those of `.customspec`, with its size."""
    files = (path for path in root.rglob("*") if path.is_file() and ".customspec" not in path.parts)
    return {str(path.relative_to(root)): path.stat().st_size for path in files}


@pytest.mark.parametrize("bad", SPECS, ids=lambda bad: f"{bad.parent.name}-{bad.stem}")
def test_a_bad_spec_ends_with_exactly_this_text(
    bad: Path, folder: Workspace, customspec: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.root)
    monkeypatch.syspath_prepend(folder.root / "site")
    Path("spec.yaml").write_bytes(bad.read_bytes())
    before = listing(folder.root)
    ended = customspec("validate", "spec.yaml")
    assert listing(folder.root) == before
    found = f"exit {ended.code}\n{ended.err}"
    if "WRITE_PROBLEMS" in os.environ:
        bad.with_suffix(".txt").write_text(found, encoding="utf-8")
    assert found == bad.with_suffix(".txt").read_text(encoding="utf-8"), f"if this is better: {REWRITE}"
    assert ended.code in {2, 4}
    assert ended.out == ""
    assert "Traceback" not in ended.err


def test_every_spec_has_its_text_and_none_was_lost() -> None:
    texts = sorted(PROBLEMS.glob("*/*.txt"))
    assert [text.with_suffix(".yaml") for text in texts] == SPECS
    assert {stage: sum(spec.parent.name == stage for spec in SPECS) for stage in PAIRS} == PAIRS
    assert len(SPECS) == sum(PAIRS.values())
