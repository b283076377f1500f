"""`doctor` and `gc`, as whole commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mistakes import BROKEN_PLUGINS, make_folder

from customspec.store import Checkpoints, Store
from support import Ended, Workspace

Run = Callable[..., Ended]
KEY = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    with store.publishing(KEY, "data") as draft:
        (draft.folder / "rows.jsonl").write_text("{}\n")
        draft.publish({})
    return store


def damage(store: Store) -> None:
    path = store.root / "objects" / KEY[:2] / KEY / "files" / "rows.jsonl"
    path.chmod(0o644)
    path.write_text("[]\n")


def statuses(ended: Ended, part: str) -> list[str]:
    return [finding["status"] for finding in ended.json["findings"] if finding["part"] == part]


@pytest.mark.parametrize("option", [("gc", "--keep-days"), ("run", "spec.yaml", "--checkpoint-minutes")])
@pytest.mark.parametrize("amount", ["nan", "inf", "-1"])
def test_an_amount_is_a_number(customspec: Run, option: tuple[str, ...], amount: str) -> None:
    ended = customspec(*option, amount)
    assert ended.code == 2
    assert "Invalid value for" in ended.err


def test_a_healthy_store_is_fine(store: Store, customspec: Run) -> None:
    ended = customspec("doctor", "--store", store.root)
    assert ended.code == 0, ended.out
    assert "1 result in" in ended.out


@pytest.mark.parametrize("name", ["objects", "memo", "tmp"])
def test_what_is_no_folder_in_a_folders_place_is_told_and_set_aside(store: Store, customspec: Run, name: str) -> None:
    (store.root / name).rename(store.root / "moved") if (store.root / name).is_dir() else None
    (store.root / name).write_text("mine")
    ended = customspec("doctor", "--store", store.root)
    assert ended.code == 5
    assert f"no folder: {name} (the store keeps a folder of this name)" in ended.out
    assert customspec("doctor", "--store", store.root, "--repair").code == 0
    assert (store.root / f"{name}.aside").read_text() == "mine"
    assert customspec("doctor", "--store", store.root).code == 0
    with store.publishing("cd" * 32, "data") as draft:
        draft.publish({})
    assert store.get("cd" * 32) is not None


@pytest.mark.parametrize("what", ["file", "link"])
def test_a_store_that_is_no_folder_is_told(tmp_path: Path, customspec: Run, what: str) -> None:
    place = tmp_path / "store"
    place.write_text("mine") if what == "file" else place.symlink_to("nowhere")
    ended = customspec("doctor", "--store", place)
    assert ended.code == 4
    assert f"{place} is no folder" in ended.out


def test_damage_is_told_and_repaired(store: Store, customspec: Run) -> None:
    damage(store)
    ended = customspec("doctor", "--store", store.root)
    assert ended.code == 5
    assert f"damaged object: objects/ab/{KEY} (rows.jsonl has changed)" in ended.out
    assert statuses(customspec("doctor", "--store", store.root, "--repair", "--json"), "store") == ["mended", "fine"]
    assert customspec("doctor", "--store", store.root).code == 0
    assert store.get(KEY) is None


def test_damage_beside_the_results_is_told_and_removed(store: Store, customspec: Run) -> None:
    checkpoints = Checkpoints(store.root, "ef" * 32, "train:lora@0")
    for number in (5, 10):
        checkpoints.write(number, lambda folder: {"size": (folder / "weights").write_bytes(b"x" * 100)})
    weights = store.root / "checkpoints" / ("ef" * 32) / "00000010" / "files" / "weights"
    weights.chmod(0o644)
    weights.write_bytes(b"x" * 99 + b"y")
    store.memo("kept").put("null", None)
    store.memo("kept").put("changed", 1)
    garbage = {
        "memo/kept/changed.json": '{"digest":"0","value":1}',
        "digests.json": "[",
        "headers/model/header.json": "{}",
    }
    for name, text in garbage.items():
        (store.root / name).parent.mkdir(exist_ok=True, parents=True)
        (store.root / name).write_text(text)
    ended = customspec("doctor", "--store", store.root)
    assert ended.code == 5
    found = [line.split("  damaged  ")[1] for line in ended.out.splitlines() if "  damaged  " in line]
    assert found == [
        f"damaged checkpoint: checkpoints/{'ef' * 32}/00000010 (weights has changed)",
        "damaged memo: headers/model (what was kept of a model has changed)",
        "damaged memo: digests.json (it is not as it was written)",
        "damaged memo: memo/kept/changed.json (it is not as it was written)",
    ]
    assert customspec("doctor", "--store", store.root, "--repair").code == 0
    assert statuses(customspec("doctor", "--store", store.root, "--json"), "store") == ["fine"]
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.number == 5
    assert (store.root / "memo" / "kept" / "null.json").is_file()


def test_without_a_store_nothing_is_made(tmp_path: Path, customspec: Run) -> None:
    for command in ("doctor", "gc"):
        assert customspec(command, "--store", tmp_path / "none").code == 0
    assert not (tmp_path / "none").exists()


def test_every_broken_plugin_is_named(
    tmp_path: Path, tiny_folder: Path, customspec: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(Workspace(tmp_path), tiny_folder)
    monkeypatch.syspath_prepend(tmp_path / "plugins")
    ended = customspec("doctor", "--store", tmp_path / "none", "--json")
    assert ended.code == 4
    wrong = [f["text"] for f in ended.json["findings"] if (f["part"], f["status"]) == ("plugins", "wrong")]
    for entry in set(BROKEN_PLUGINS) - {"shouting"}:
        assert any(entry.rpartition(".")[2].replace("_", "-") in text for text in wrong), entry
    assert any("claims-one 1.0 and claims-two 1.0" in text for text in wrong)


def test_a_wrong_configuration_is_told(tmp_path: Path, customspec: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "customspec").mkdir()
    (tmp_path / "customspec" / "config.yaml").write_text("alow_roots: []\n")
    ended = customspec("doctor", "--store", tmp_path / "none", "--json")
    assert (ended.code, statuses(ended, "configuration")) == (4, ["wrong"])


def test_gc_tells_what_it_would_remove_before_it_does(store: Store, customspec: Run) -> None:
    arguments = ("gc", "--store", store.root, "--keep-days", "0", "--json")
    for flags, left in ((("--dry-run",), True), ((), False)):
        ended = customspec(*arguments, *flags)
        assert ended.code == 0
        [removed] = ended.json["removed"]
        assert (removed["step"], Path(removed["path"]).name) == ("data", KEY)
        assert store.has(KEY) is left
    assert customspec(*arguments).json["removed"] == []


def test_a_run_after_a_cleaning_makes_its_results_again(workspace: Workspace, customspec: Run) -> None:
    spec, store = workspace.spec("techniques: [zero_shot]"), workspace.root / ".customspec"
    first = customspec("run", spec, "--json")
    assert customspec("gc", "--store", store).out == "removed 0 results, 0.0 MiB\n"
    assert customspec("gc", "--store", store, "--keep-days", "0").code == 0
    assert not list((store / "objects").glob("*/*"))
    again = customspec("run", spec, "--json")
    assert again.json["candidates"][0]["metrics"] == first.json["candidates"][0]["metrics"]
    assert (store / "runs" / "colours-0001" / "results.json").is_file()
