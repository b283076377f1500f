"""`customspec plugin check`: which plugins are meant, what is printed, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import Ended

Command = Callable[..., Ended]
SHOUT = """
from customspec.hookspecs import hookimpl
from customspec.spec import PromptingOptions


class ShoutOptions(PromptingOptions):
    rows: int = 1
    "Rows shown."


class Shout:
    name, family, summary, options = "shout", "prompting", "Shows the first rows.", ShoutOptions

    def shots(self, options):
        return options.rows

    def select(self, options, rows, seed):
        return lambda query: [row for row in rows if QUERY][: options.rows]


@hookimpl
def customspec_techniques():
    return [Shout()]
"""
GOOD, SELFISH = SHOUT.replace("QUERY", "row.id != query.id"), SHOUT.replace("QUERY", "True")
RULES = [
    *("members", "summary", "options_schema", "options_as_json", "fingerprint", "light_import"),
    *("shots", "training_rows", "never_its_own", "few_rows", "blind", "determinism", "any_process"),
]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A function: the distribution acme-shout 2.0 with this module, on the path."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(source: str) -> None:
        info = tmp_path / "acme_shout-2.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-shout\nVersion: 2.0\n")
        (info / "entry_points.txt").write_text("[customspec]\nshout = acme_shout\n")
        (tmp_path / "acme_shout.py").write_text(source)

    yield put
    sys.modules.pop("acme_shout", None)


@pytest.mark.parametrize("name", [[], ["shout"], ["acme-shout"], ["acme_shout"], ["shout", "acme-shout"]])
def test_a_plugin_that_keeps_the_contract_is_told_rule_by_rule(
    install: Callable[[str], None], customspec: Command, name: list[str]
) -> None:
    install(GOOD)
    ended = customspec("plugin", "check", *name)
    lines = ["technique shout (acme-shout 2.0)", *(f"  ok     {rule}" for rule in RULES)]
    assert (ended.code, ended.out.splitlines(), ended.err) == (0, lines, "")


def test_a_broken_rule_is_told_with_what_was_found(install: Callable[[str], None], customspec: Command) -> None:
    install(SELFISH)
    ended = customspec("plugin", "check", "shout")
    assert ended.code == 1
    problem = "train:1 is shown to itself under seed 0; compare the `id`s"
    assert [line for line in ended.out.splitlines() if "WRONG" in line] == [f"  WRONG  never_its_own: {problem}"]
    as_json = customspec("plugin", "check", "shout", "--json")
    assert as_json.code == 1
    (plugin,) = as_json.json
    assert (plugin["kind"], plugin["name"], plugin["distribution"], plugin["version"], plugin["problem"]) == (
        "technique", "shout", "acme-shout", "2.0", None,
    )  # fmt: skip
    assert [check["name"] for check in plugin["checks"]] == RULES
    assert [check["problem"] for check in plugin["checks"] if check["status"] == "wrong"] == [problem]


def test_a_plugin_that_cannot_be_imported_is_an_environment_problem(
    install: Callable[[str], None], customspec: Command
) -> None:
    install("raise RuntimeError('no licence found')")
    ended = customspec("plugin", "check")
    assert ended.code == 4
    cause = "plugin acme-shout 2.0 cannot be imported (acme_shout): RuntimeError: no licence found"
    assert ended.out == f"technique shout (acme-shout 2.0)\n  WRONG  {cause}\n"


def test_options_can_be_set(install: Callable[[str], None], customspec: Command) -> None:
    install(GOOD)
    assert customspec("plugin", "check", "shout", "--set", "rows=3").code == 0
    ended = customspec("plugin", "check", "shout", "--set", "rows=three")
    assert ended.code == 1
    assert 'the options {"rows": "three"} are not valid' in ended.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shot"], "no installed plugin is, or offers, `shot`; did you mean `shout`?"),
        (["xyzzy"], "`xyzzy`; a plugin is found by its entry points, once it is installed"),
        (["shout", "--set", "rows"], "--set needs OPTION=VALUE, found rows"),
        (["shout", "--architecture", "vax"], "'vax' is not one of"),
    ],
)
def test_a_wrong_call_is_told(
    install: Callable[[str], None], customspec: Command, arguments: list[str], message: str
) -> None:
    install(GOOD)
    ended = customspec("plugin", "check", *arguments)
    assert ended.code == 2
    assert message in ended.err


def test_without_another_plugin_there_is_nothing_to_check(customspec: Command) -> None:
    ended = customspec("plugin", "check")
    assert ended.code == 2
    assert "no plugin but customspec's own is installed" in ended.err


def test_a_metric_is_named_with_its_prefix(customspec: Command) -> None:
    ended = customspec("plugin", "check", "metric.accuracy")
    assert ended.code == 0
    assert ended.out.startswith("metric accuracy (customspec 0.")


def test_a_metric_that_needs_an_option_is_given_it(customspec: Command) -> None:
    ended = customspec("plugin", "check", "metric.regex")
    assert ended.code == 1
    assert "the options {} are not valid; give the check others" in ended.out
    assert customspec("plugin", "check", "metric.regex", "--set", "pattern='[a-z]+'").code == 0


def test_a_watcher_is_checked_without_being_called(customspec: Command) -> None:
    ended = customspec("plugin", "check", "watcher.tensorboard", "--json")
    assert ended.code == 0
    assert [check["name"] for check in ended.json[0]["checks"]] == ["members", "light_import"]
