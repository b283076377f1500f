"""What the registry answers: what is on offer, by family and name, and what it refuses to hand out."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from customspec import hookspecs
from customspec.errors import PluginError
from customspec.registry import TOGETHER
from customspec.testing import TinyModels, check_technique
from support import example

Install = Callable[..., None]


def test_nothing_is_imported_to_list_what_is_on_offer(install: Install) -> None:
    from customspec.registry import discover

    install("acme-echo", "echo", "raise RuntimeError('imported')")
    registry = discover()
    assert "echo" in registry.names("technique")
    assert str(registry.offer("technique", "echo")) == "acme-echo 1.0"
    assert "acme_echo" not in sys.modules


def test_the_registry_answers_for_the_family_that_is_asked_for() -> None:
    from customspec.registry import discover

    registry = discover()
    assert registry.prompting("zero_shot").name == "zero_shot"
    assert registry.tuning("lora").name == "lora"
    with pytest.raises(PluginError, match="`lora` is of the family tuning, not prompting"):
        registry.prompting("lora")
    with pytest.raises(PluginError, match="`zero_shot` is of the family prompting, not tuning"):
        registry.tuning("zero_shot")


@pytest.mark.parametrize(
    ("name", "architectures"), [("first_rows", ()), ("best_draw", ()), ("last_layers", ("gpt2", "mamba"))]
)
def test_the_documented_techniques_keep_the_contract(
    install: Install, models: TinyModels, name: str, architectures: tuple[str, ...]
) -> None:
    from customspec.registry import discover

    install("acme-documented", name, example(name))
    check_technique(discover().technique(name), architectures=architectures, models=models)


def test_half_of_what_counts_together_is_refused(install: Install) -> None:
    from customspec.registry import discover

    half = "    def parts(self, options, answers):\n        return None\n\n    def score("
    install("acme-brief", "metric.brief", example("brief").replace("    def score(", half))
    with pytest.raises(PluginError, match=r"acme-brief 1\.0: metric `brief` lacks of_totals"):
        discover().metric("brief")


def test_all_optional_members_that_count_together_are_known() -> None:
    found = {
        tuple(name for name in vars(one) if not name.startswith("_"))
        for one in vars(hookspecs).values()
        if getattr(one, "_is_runtime_protocol", False)
    }
    assert {frozenset(names) for names in found if len(names) > 1} == {
        frozenset(names) for family in TOGETHER.values() for names in family
    }


def test_a_metric_with_options_of_no_kind_and_a_watcher_that_lacks_a_method_are_refused(install: Install) -> None:
    from customspec.registry import discover

    install("acme-brief", "metric.brief", example("brief").replace("options = BriefOptions", "options = dict"))
    with pytest.raises(PluginError, match=r"acme-brief 1\.0: `brief`\.options must be a subclass of Options"):
        discover().metric("brief")
    source = """
        from customspec.hookspecs import hookimpl

        class Deaf:
            name, summary = "deaf", "Hears nothing."

        @hookimpl
        def customspec_watchers():
            return [Deaf()]
    """
    install("acme-deaf", "watcher.deaf", source)
    missing = "run_started, started, progress, finished, run_finished"
    with pytest.raises(PluginError, match=rf"acme-deaf 1\.0: watcher `deaf` lacks {missing}"):
        discover().watcher("deaf")
