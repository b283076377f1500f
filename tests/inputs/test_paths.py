from __future__ import annotations

import os
from pathlib import Path

import pytest

from customspec.inputs.paths import PathError, Roots, check_tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A spec's folder, and beside it what it has no business with."""
    folder = tmp_path / "spec"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "rows.jsonl").write_text("{}\n")
    for name in ("elsewhere", "spec-evil"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.jsonl").write_text("{}\n")
    return folder


@pytest.mark.parametrize("written", ["data/rows.jsonl", "./data//rows.jsonl", "data/../data/rows.jsonl", "nothing/yet"])
def test_a_path_below_the_spec_is_found(folder: Path, written: str) -> None:
    assert Roots.of(folder).locate(written) == (folder / os.path.normpath(written)).resolve()


@pytest.mark.parametrize("written", ["/etc/passwd", "../elsewhere/rows.jsonl", "../spec-evil/rows.jsonl", "data/../.."])
def test_a_path_that_leads_out_is_refused_whether_it_is_there_or_not(folder: Path, written: str) -> None:
    with pytest.raises(PathError):
        Roots.of(folder).locate(written)
    with pytest.raises(PathError):
        Roots.of(folder).locate(written + "/not/there")


def test_an_absolute_path_needs_an_allowed_folder_even_below_the_spec(folder: Path) -> None:
    inside = str(folder / "data" / "rows.jsonl")
    with pytest.raises(PathError, match="is absolute"):
        Roots.of(folder).locate(inside)
    assert Roots.of(folder, (folder,)).locate(inside) == Path(inside).resolve()


@pytest.mark.parametrize("link", ["data/link", "folder/rows.jsonl", "hop"])
def test_a_link_is_followed_to_its_end(folder: Path, link: str) -> None:
    (folder / "data" / "link").symlink_to("../../elsewhere/rows.jsonl")
    (folder / "folder").symlink_to(folder.parent / "elsewhere")
    (folder / "hop").symlink_to("data/link")
    with pytest.raises(PathError, match="is a link that leads out"):
        Roots.of(folder).locate(link)
    allowed = Roots.of(folder, (folder.parent / "elsewhere",))
    assert allowed.locate(link) == (folder.parent / "elsewhere" / "rows.jsonl").resolve()


def test_a_link_inside_the_folder_is_fine(folder: Path) -> None:
    (folder / "rows.jsonl").symlink_to("data/rows.jsonl")
    assert Roots.of(folder).locate("rows.jsonl") == (folder / "data" / "rows.jsonl").resolve()


@pytest.mark.parametrize("written", ["loop", "a\0b", "x" * 5000])
def test_what_cannot_be_looked_up_stays_inside(folder: Path, written: str) -> None:
    (folder / "loop").symlink_to("loop")
    assert Roots.of(folder).locate(written).is_relative_to(folder.resolve())


def test_an_allowed_folder_does_not_allow_its_neighbours(folder: Path) -> None:
    with pytest.raises(PathError):
        Roots.of(folder, (folder.parent / "spec",)).locate("../spec-evil/rows.jsonl")


def test_below_a_folder_no_link_leads_out_and_nothing_is_a_pipe(folder: Path) -> None:
    roots = Roots.of(folder)
    assert check_tree(folder / "data", roots) == folder / "data"
    (folder / "data" / "config.json").symlink_to("/etc/hostname")
    with pytest.raises(PathError, match=r"config\.json is a link that leads out"):
        check_tree(folder / "data", roots)
    (folder / "data" / "config.json").unlink()
    os.mkfifo(folder / "data" / "config.json")
    with pytest.raises(PathError, match="not a regular file"):
        check_tree(folder / "data", roots)
