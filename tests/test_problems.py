"""Bad input: each spec in `problems/` against the exact text that `customspec validate` prints for it.

After a change of wording: `WRITE_PROBLEMS=1 pytest tests/test_problems.py` writes the texts anew. Read the diff.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from mistakes import make_folder

from support import Ended, Workspace

PROBLEMS = Path(__file__).with_name("problems")
SPECS = sorted(PROBLEMS.glob("*/*.yaml"))
PAIRS = {
    "syntax": 58,
    "schema": 128,
    "semantics": 125,
    "data": 80,
    "model": 68,
    "plugin": 9,
    "security": 30,
    "together": 22,
}
REWRITE = "WRITE_PROBLEMS=1 pytest tests/test_problems.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path, shared_headers: Path) -> Workspace:
    """Good data and a good model, and beside them all that can be wrong with either."""
    space = Workspace(tmp_path_factory.mktemp("problems"))
    (space.root / ".customspec").mkdir(mode=0o700)
    (space.root / ".customspec" / "headers").symlink_to(shared_headers)
    make_folder(space, tiny_folder)
    return space


def listing(root: Path) -> dict[str, int]:
    """Every file, with its size, but those of `.customspec` and what Python compiled of an imported plugin."""
    aside = {".customspec", "__pycache__"}
    files = (path for path in root.rglob("*") if path.is_file() and aside.isdisjoint(path.parts))
    return {str(path.relative_to(root)): path.stat().st_size for path in files}


@pytest.mark.parametrize("bad", SPECS, ids=lambda bad: f"{bad.parent.name}-{bad.stem}")
def test_a_bad_spec_ends_with_exactly_this_text(
    bad: Path, folder: Workspace, customspec: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.root)
    monkeypatch.syspath_prepend(folder.root / "site")
    if bad.parent.name == "plugin":
        monkeypatch.syspath_prepend(folder.root / "plugins")
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


def test_every_problem_of_every_text_says_what_to_do() -> None:
    texts = {text: text.read_text(encoding="utf-8") for text in sorted(PROBLEMS.glob("*/*.txt"))}
    blocks = [(text.stem, block) for text, found in texts.items() for block in found.split("\n\n")]
    problems = [(name, block) for name, block in blocks if re.search(r"^\S.*:\d+:\d+: CS\d{3} ", block, re.MULTILINE)]
    assert len(problems) > 600
    assert [name for name, block in problems if not re.search(r"^ +?= \S", block, re.MULTILINE)] == []


def test_every_spec_has_its_text_and_none_was_lost() -> None:
    texts = sorted(PROBLEMS.glob("*/*.txt"))
    assert [text.with_suffix(".yaml") for text in texts] == SPECS
    assert {stage: sum(spec.parent.name == stage for spec in SPECS) for stage in PAIRS} == PAIRS
    assert len(SPECS) == sum(PAIRS.values())


def test_the_known_ways_to_go_wrong_are_all_listed_with_pairs_that_exist() -> None:
    rows = re.findall(r"^\| ([A-Z]\d\d) \| .+ \| (.+) \|$", (PROBLEMS / "README.md").read_text(), re.MULTILINE)
    assert len(dict(rows)) == len(rows) == 141
    named = {pair for _, where in rows for pair in re.findall(rf"`((?:{'|'.join(PAIRS)})/\w+)`", where)}
    assert named <= {f"{spec.parent.name}/{spec.stem}" for spec in SPECS}
