"""The conformance kit: a new plugin keeps every rule, and changed in one place it breaks one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from breaches import FIELD, LLAMA, METHOD, METHODS, MORE, OPTIONS, PROMPTING

from customspec.cli.commands.plugin_new import new
from customspec.hookspecs import Extra, Technique
from customspec.testing import ConformanceError, Outcome, TinyModels, check_technique, checks_of
from customspec.testing.tuning import RULES

Make = Callable[..., Technique]
EACH = {rule.__name__ for rule in RULES}


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """A function: the technique that `plugin new` writes, with one piece of its text replaced by another.

    `methods`: a prompting technique with all the methods that it may have beside.
    """
    monkeypatch.syspath_prepend(tmp_path)

    def make(family: str, old: str = "", replacement: str = "", *, methods: bool = False) -> Technique:
        new.callback("changed", family, tmp_path / "project")  # type: ignore[misc]
        source = (tmp_path / "project/src/customspec_changed/technique.py").read_text()
        if methods:
            source = source.replace(FIELD, OPTIONS + FIELD).replace("    def shots(", METHODS + "    def shots(")
        assert old in source
        (tmp_path / "changed_technique.py").write_text((source.replace(old, replacement) if old else source) + MORE)
        module = importlib.import_module("changed_technique")
        return cast(Technique, module.customspec_techniques()[0])

    yield make
    sys.modules.pop("changed_technique", None)


def outcome(technique: Technique, name: str, models: TinyModels, architecture: str = "llama") -> Outcome:
    checks = checks_of(technique, architectures=(architecture,), models=models)
    (found,) = [check for check in checks if str(check) == name]
    return found.outcome()


@pytest.mark.parametrize("family", ["prompting", "tuning"])
def test_what_plugin_new_writes_breaks_no_rule(changed: Make, models: TinyModels, family: str) -> None:
    check_technique(changed(family), architectures=("llama", "gpt2"), models=models)


@pytest.mark.parametrize(("rule", "old", "replacement", "problem"), PROMPTING)
def test_a_prompting_technique_that_breaks_a_rule_is_told(
    changed: Make, models: TinyModels, rule: str, old: str, replacement: str, problem: str
) -> None:
    found = outcome(changed("prompting", old, replacement), rule, models)
    assert (found.status, problem in str(found.problem)) == ("wrong", True), found.problem


def test_a_technique_with_every_method_breaks_no_rule(changed: Make) -> None:
    check_technique(changed("prompting", methods=True))


@pytest.mark.parametrize(("rule", "old", "replacement", "problem"), METHOD)
def test_a_method_that_breaks_a_rule_is_told(
    changed: Make, models: TinyModels, rule: str, old: str, replacement: str, problem: str
) -> None:
    found = outcome(changed("prompting", old, replacement, methods=True), rule, models)
    assert (found.status, problem in str(found.problem)) == ("wrong", True), found.problem


def test_rows_that_an_extra_is_missing_for_are_no_fault(changed: Make, models: TinyModels) -> None:
    technique = changed(
        "prompting", 'option="shots") if len(rows) < options.shots else None', 'extra="gone")', methods=True
    )
    found = outcome(technique, "takes_rows", models)
    assert (found.status, found.problem) == ("skipped", "too few rows: pip install 'customspec[gone]'")
    assert outcome(technique, "read", models).status == "skipped"


@pytest.mark.parametrize("family", ["prompting", "tuning"])
def test_a_technique_whose_extra_is_missing_is_skipped(changed: Make, models: TinyModels, family: str) -> None:
    technique = changed(family)
    cast(Any, technique).extra = Extra(("no_such_module",), "acme[words]")
    problem = f"technique `{technique.name}` needs no_such_module, which is not installed: pip install 'acme[words]'"
    found = {check.name: check.outcome() for check in checks_of(technique, architectures=("llama",), models=models)}
    assert found["members"].status == "ok"
    rules = ("options_as_json", "determinism")
    assert [(found[name].status, found[name].problem) for name in rules] == [("skipped", problem)] * 2
    assert not [name for name, one in found.items() if one.status == "wrong"]


@pytest.mark.parametrize(("rule", "old", "replacement", "problem"), LLAMA)
def test_a_tuning_technique_that_breaks_a_rule_is_told(
    changed: Make, models: TinyModels, rule: str, old: str, replacement: str, problem: str
) -> None:
    name = f"{rule}[llama]" if rule in EACH else rule
    found = outcome(changed("tuning", old, replacement), name, models)
    assert (found.status, problem in str(found.problem)) == ("wrong", True), found.problem


def test_a_refusal_that_blames_what_is_no_option_is_told(changed: Make, models: TinyModels) -> None:
    technique = changed("tuning", '"target_modules", index)', '"targets", index)')
    found = outcome(technique, "refuses_or_learns[gpt2]", models, "gpt2")
    assert found.problem == "the refusal blames `targets`, which is none of the options"


@pytest.mark.parametrize(
    ("family", "tried"), [("prompting", [*PROMPTING, *METHOD]), ("tuning", [*PROMPTING[:13], *LLAMA])]
)
def test_for_every_rule_there_is_a_plugin_that_breaks_it(
    changed: Make, models: TinyModels, family: str, tried: Sequence[tuple[str, str, str, str]]
) -> None:
    technique = changed(family, methods=family == "prompting")
    cast(Any, technique).rules = ()
    rules = {check.name.partition("[")[0] for check in checks_of(technique, models=models)}
    assert rules == {rule for rule, *_ in tried}


def test_rules_without_anything_to_look_at_are_skipped(changed: Make, models: TinyModels) -> None:
    technique = changed("tuning")
    assert outcome(technique, "refuses_or_learns[gpt2]", models, "gpt2").status == "ok"
    found = outcome(technique, "parameter_count[gpt2]", models, "gpt2")
    assert (found.status, found.problem) == ("skipped", "refused: GPT2LMHeadModel has no linear module `q_proj`")


def test_all_broken_rules_are_told_at_once(changed: Make) -> None:
    technique = changed("prompting", " if row.id != query.id][: options.shots]", "][:1]")
    with pytest.raises(ConformanceError) as raised:
        check_technique(technique)
    assert [outcome.name for outcome in raised.value.broken] == ["shots", "never_its_own", "few_rows"]
    assert str(raised.value).startswith("technique `changed` breaks 3 rules of the contract:\n  shots: ")


def test_options_that_the_technique_does_not_have_are_named(changed: Make) -> None:
    with pytest.raises(ConformanceError, match="are not valid; give the check others"):
        check_technique(changed("prompting"), {"shotz": 3})
