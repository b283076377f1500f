"""Installed plugins that cannot be used: real distributions on disk, beside customspec's own."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from customspec.hookspecs import Answer
from support import Ended, example

Command = Callable[..., Ended]
Install = Callable[..., None]

GOOD = """
    from customspec.hookspecs import hookimpl
    from customspec.spec import PromptingOptions

    class Echo:
        name, family, summary, options = "NAME", "prompting", "Shows the query alone.", PromptingOptions

        def shots(self, options):
            return 0

        def select(self, options, rows, seed):
            return lambda query: ()

    @hookimpl
    def customspec_techniques():
        return [Echo()]
"""


def first(ended: Ended) -> str:
    """The problem's line, its excerpt left out."""
    assert "Traceback" not in ended.err
    return ended.err.splitlines()[0]


def test_an_installed_technique_is_used_like_the_built_in_ones(install: Install, validate: Command) -> None:
    install("acme-echo", "echo", GOOD.replace("NAME", "echo"))
    assert validate("techniques: [echo, zero_shot]") == Ended(0, "spec.yaml: valid\n", "")


def test_two_distributions_that_offer_one_technique_are_both_named(install: Install, validate: Command) -> None:
    install("acme-lora", "lora", "raise RuntimeError('a clash is seen before anything is imported')")
    ended = validate("techniques:", "  - zero_shot", "  - lora: {r: 2}")
    assert ended.code == 4
    found = first(ended)
    assert found.startswith("spec.yaml:12:5: CS602 technique `lora` is offered by ")
    assert "acme-lora 1.0" in found
    assert "customspec 0." in found
    assert found.endswith("; uninstall one of them")


def test_two_distributions_that_offer_one_metric_are_both_named(install: Install, validate: Command) -> None:
    install("acme-accuracy", "metric.accuracy", "")
    ended = validate("techniques: [zero_shot]", "metrics: [accuracy]")
    assert ended.code == 4
    found = first(ended)
    assert found.startswith("spec.yaml:11:11: CS602 metric `accuracy` is offered by ")
    assert "acme-accuracy 1.0" in found


def test_a_clash_within_the_default_ladder_is_an_environment_problem(install: Install, validate: Command) -> None:
    install("acme-lora", "lora", "")
    ended = validate()
    assert ended.code == 4
    assert "acme-lora 1.0" in first(ended)


BROKEN = {
    "raises on import": (
        "raise RuntimeError('no licence found')",
        "CS601 plugin acme-echo 1.0 cannot be imported (acme_echo): RuntimeError: no licence found",
    ),
    "lacks a dependency": (
        "import no_such_module_at_all",
        "CS601 plugin acme-echo 1.0 cannot be imported (acme_echo): "
        "ModuleNotFoundError: No module named 'no_such_module_at_all'",
    ),
    "ends the process": (
        "raise SystemExit(7)",
        "CS601 plugin acme-echo 1.0 cannot be imported (acme_echo): SystemExit: 7",
    ),
    "another contract": (
        "CUSTOMSPEC_CONTRACT = 2",
        "CS603 plugin acme-echo 1.0 needs contract 2; this customspec speaks 1",
    ),
    "a hook that offers nothing": (
        """
        from customspec.hookspecs import hookimpl

        @hookimpl
        def customspec_techniques():
            return []
        """,
        "CS601 plugin acme-echo 1.0 promises technique `echo` but its hook offers 0 of it",
    ),
    "no hook": ("", "CS601 plugin acme-echo 1.0 promises technique `echo` but its hook offers 0 of it"),
    "a hook that fails": (
        """
        from customspec.hookspecs import hookimpl

        @hookimpl
        def customspec_techniques():
            return 1 / 0
        """,
        "CS601 plugin acme-echo 1.0 is broken: ZeroDivisionError: division by zero",
    ),
    "a technique by another name": (
        GOOD.replace("NAME", "ohce"),
        "CS601 plugin acme-echo 1.0 promises technique `echo` but its hook offers 0 of it",
    ),
    "a method is missing": (
        GOOD.replace("NAME", "echo").replace("def select", "def choose"),
        "CS601 plugin acme-echo 1.0: technique `echo` lacks select",
    ),
    "options of no kind": (
        GOOD.replace("NAME", "echo").replace(", PromptingOptions", ", dict"),
        "CS601 plugin acme-echo 1.0: `echo`.options must be a subclass of PromptingOptions",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_named_with_version_and_cause_where_it_is_used(
    install: Install, validate: Command, source: str, message: str
) -> None:
    install("acme-echo", "echo", source)
    ended = validate("techniques:", "  - zero_shot", "  - echo")
    assert first(ended) == f"spec.yaml:12:5: {message}"
    assert ended.code == 4
    assert ended.err.endswith("1 problem in spec.yaml\n")


def test_a_broken_metric_is_named_where_it_is_used(install: Install, validate: Command) -> None:
    install("acme-taste", "metric.taste", "raise RuntimeError('no tongue')")
    ended = validate("techniques: [zero_shot]", "goal: {metric: taste, at_least: 0.5}")
    cause = "plugin acme-taste 1.0 cannot be imported (acme_taste): RuntimeError: no tongue"
    assert first(ended) == f"spec.yaml:11:16: CS601 {cause}"
    assert ended.code == 4


@pytest.mark.parametrize("source", [source for source, _ in BROKEN.values()], ids=BROKEN)
def test_a_spec_that_does_not_need_the_broken_plugin_is_valid(install: Install, validate: Command, source: str) -> None:
    install("acme-echo", "echo", source)
    assert validate("techniques: [zero_shot, {lora: {r: 2}}]") == Ended(0, "spec.yaml: valid\n", "")


def test_a_spec_that_does_not_need_a_clash_is_valid(install: Install, validate: Command) -> None:
    install("acme-lora", "lora", "")
    assert validate("techniques: [zero_shot]") == Ended(0, "spec.yaml: valid\n", "")


def test_a_mistake_in_the_spec_outranks_a_broken_plugin(install: Install, validate: Command) -> None:
    install("acme-echo", "echo", "raise RuntimeError('no licence found')")
    ended = validate("techniques: [echo, lroa]")
    assert [line.split(": ")[1][:5] for line in ended.err.splitlines() if line.startswith("spec.yaml:")] == [
        "CS601",
        "CS301",
    ]
    assert ended.code == 2


CHECKED = """
    from pydantic import Field, field_validator, model_validator
    from customspec.hookspecs import hookimpl
    from customspec.spec import PromptingOptions

    class EchoOptions(PromptingOptions):
        width: int = Field(8, multiple_of=8)
        mark: str = Field("-", max_length=3)
        low: int = 0
        high: int = 9

        @field_validator("low")
        @classmethod
        def _even(cls, value):
            assert value % 2 == 0, "an odd start is not supported"
            return value

        @model_validator(mode="after")
        def _ordered(self):
            if self.low > self.high:
                raise ValueError("`low` must not exceed `high`")
            return self
""" + GOOD.partition("import PromptingOptions\n")[2].replace("NAME", "echo").replace(
    'alone.", PromptingOptions', 'alone.", EchoOptions'
)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("width: 12", "11:19: CS204 `width` must be a multiple of 8; found 12"),
        ("mark: '----'", '11:18: CS204 `mark` must be text of at most 3 characters; found text "----"'),
        ("low: 3", "11:17: CS204 an odd start is not supported"),
        ("low: 12", "11:12: CS204 `low` must not exceed `high`"),
        ("low: 4, high: 2", "11:20: CS204 `low` must not exceed `high`"),
    ],
)
def test_a_plugins_own_checks_are_told_at_the_option(
    install: Install, validate: Command, options: str, problem: str
) -> None:
    install("acme-echo", "echo", CHECKED)
    ended = validate("techniques:", f"  - echo: {{{options}}}")
    assert first(ended) == f"spec.yaml:{problem}"
    assert ended.code == 2


MISSING = 'Extra(("no_such_module",), "acme-echo[all]")'


def test_what_a_technique_needs_and_is_not_there_is_told_with_what_brings_it(
    install: Install, validate: Command, customspec: Command
) -> None:
    needing = GOOD.replace("NAME", "echo").replace("    def shots", f"    extra = {MISSING}\n\n        def shots", 1)
    install("acme-echo", "echo", needing.replace("import hookimpl", "import Extra, hookimpl"))
    ended = validate("techniques: [echo, zero_shot]")
    needed = "technique `echo` needs no_such_module, which is not installed: pip install 'acme-echo[all]'"
    assert (ended.code, first(ended)) == (4, f"spec.yaml:10:14: CS702 {needed}")
    assert f"\n\nunusable: {needed}\n" in customspec("techniques", "echo").out
    assert validate("techniques: [zero_shot]").code == 0


@pytest.mark.parametrize(("extra", "brings"), [(MISSING, "acme-echo[all]"), ('"retrieval"', "customspec[retrieval]")])
def test_a_refusal_names_what_would_mend_it_once_installed(
    install: Install, validate: Command, extra: str, brings: str
) -> None:
    refusal = f"def refusal(self, options, rows): return Refusal('too bare', extra={extra})"
    refusing = GOOD.replace("NAME", "echo").replace("    def shots", f"    {refusal}\n\n        def shots", 1)
    install("acme-echo", "echo", refusing.replace("import hookimpl", "import Extra, Refusal, hookimpl"))
    ended = validate("techniques: [echo]")
    assert (ended.code, first(ended)) == (4, "spec.yaml:10:14: CS702 technique `echo`: too bare")
    assert f"pip install '{brings}'" in ended.err


def test_the_documented_technique_is_valid(install: Install, validate: Command) -> None:
    install("acme-first", "first_rows", example("first_rows"))
    assert validate("techniques: [{first_rows: {count: 3}}]") == Ended(0, "spec.yaml: valid\n", "")


def test_the_documented_metric_is_valid_and_its_options_are_checked(install: Install, validate: Command) -> None:
    from customspec.registry import discover

    install("acme-brief", "metric.brief", example("brief"))
    metric = discover().metric("brief")
    answers = [Answer("so it is", "yes"), Answer("it", "no")]
    assert metric.score(SimpleNamespace(words=2), answers) == 0.5
    ended = validate("techniques: [zero_shot]", "metrics: [{brief: {word: 3}}]")
    assert first(ended) == "spec.yaml:11:12: CS305 metric `brief` is for generation, but the prompt has `choices`"
    assert "spec.yaml:11:20: CS201 unknown key `word` in metric `brief`" in ended.err
    assert "did you mean `words`?" in ended.err
