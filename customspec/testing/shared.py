"""The rules for every technique: how it names and describes itself, its options, and how quickly it is imported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from customspec.hookspecs import Advises, Refusal
from customspec.registry import MEMBERS
from customspec.spec import RESERVED, Options, PromptingOptions, TrainingOptions
from customspec.testing.advice import SENTENCE, advice
from customspec.testing.checks import Check, require
from customspec.testing.options import options_checks
from customspec.testing.subject import Subject

NAME = re.compile(r"[a-z][a-z0-9_]*")
BASES: Mapping[str, type[Options]] = {"prompting": PromptingOptions, "tuning": TrainingOptions}


def shared_checks(subject: Subject) -> Iterator[Check]:
    """The rules of both families."""
    yield Check(
        "members", "It has every member of its family, and a name that a spec can hold.", lambda: _members(subject)
    )
    yield Check("summary", "Its summary is one paragraph: when to use it, and its source.", lambda: _summary(subject))
    technique = subject.technique
    yield from options_checks(
        lambda: technique.options, lambda: BASES[technique.family], lambda: subject.options, lambda: subject.fresh
    )
    if isinstance(technique, Advises):
        yield Check("advice", SENTENCE, lambda: advice(subject.options, technique, technique.rules))
    yield Check("light_import", "Importing its module loads no heavy library.", lambda: _light(subject))


def _members(subject: Subject) -> None:
    technique = subject.technique
    family = getattr(technique, "family", None)
    require(family in BASES, f"`family` is {family!r}; it must be `prompting` or `tuning`")
    missing = [name for name in MEMBERS[str(family)] if getattr(technique, name, None) is None]
    require(not missing, f"it lacks {', '.join(missing)}")
    name = technique.name
    require(NAME.fullmatch(name), f"the name `{name}` must be lower-case letters, digits and `_`")
    require(name not in RESERVED, f"the name `{name}` is a reserved key of a spec's entries")


def _summary(subject: Subject) -> None:
    summary = subject.technique.summary
    require(isinstance(summary, str) and summary.strip(), "`summary` is empty")
    require("\n\n" not in summary, "`summary` has more than one paragraph")
    require(summary == summary.strip() and summary.endswith("."), "`summary` must be whole sentences, without margins")


def _light(subject: Subject) -> None:
    loaded = subject.fresh[0].imported
    require(not loaded, f"importing {subject.module} loads {', '.join(loaded)}; import them inside the methods")


def well_said(refusal: Refusal, options: type[Options]) -> None:
    """A refusal says something, and blames an option that there is, if any. Raises RuleError."""
    require(refusal.message.strip(), "the refusal says nothing")
    named = refusal.option is None or refusal.option in options.model_fields
    require(named, f"the refusal blames `{refusal.option}`, which is none of the options")
