"""A technique under test, with the options it is tried with and the module that offers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast
from unittest import SkipTest

from customspec.errors import PluginError
from customspec.hookspecs import PromptingTechnique, Refusal, Refuses, Technique, TuningTechnique
from customspec.prompts import Example
from customspec.registry import check_extra, discover
from customspec.spec import Options
from customspec.testing.fresh import Fresh, ask_anew
from customspec.testing.options import options_of
from customspec.testing.rows import columns_of, examples

SPARE = 12  # training rows beyond those that demonstrations need


@dataclass(frozen=True)
class Subject:
    """A technique under test. `given`: the options as a person would write them; most techniques need none."""

    technique: Technique
    given: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def options(self) -> Options:
        """Raises RuleError for options that are not the technique's, SkipTest where what it needs is not installed."""
        try:
            check_extra("technique", self.technique)
        except PluginError as missing:
            raise SkipTest(str(missing)) from missing
        return options_of(self.technique.options, self.given)

    @property
    def prompting(self) -> PromptingTechnique:
        return cast(PromptingTechnique, self.technique)

    @property
    def tuning(self) -> TuningTechnique:
        return cast(TuningTechnique, self.technique)

    @cached_property
    def module(self) -> str:
        """The module whose hook offers it: its entry point's, or the one that its class stands in."""
        return module_of("technique", self.technique.name, self.technique)

    @cached_property
    def rows(self) -> int:
        """Training rows to try a prompting technique on: more than its demonstrations need."""
        return self.prompting.shots(self.options) + SPARE

    def training(self, count: int | None = None) -> tuple[Example, ...]:
        """Training rows with the columns that a prompting technique asks for; None: as many as it is tried on."""
        columns = columns_of(self.technique, self.options)
        return examples(self.rows if count is None else count, columns=columns)

    def refuses(self, rows: Sequence[Example]) -> Refusal | None:
        """A prompting technique's refusal of these training rows, or None."""
        return self.technique.refusal(self.options, rows) if isinstance(self.technique, Refuses) else None

    @cached_property
    def question(self) -> Mapping[str, Any]:
        """What a fresh process is asked."""
        options = self.options.model_dump(mode="json")
        asked = {"module": self.module, "kind": "technique", "name": self.technique.name}
        return {**asked, "options": options}

    @cached_property
    def fresh(self) -> tuple[Fresh, Fresh]:
        """What two fresh processes answer, under the hash seeds 1 and 2."""
        asked = {**self.question, **({"rows": self.rows} if self.technique.family == "prompting" else {})}
        return ask_anew(asked, 1), ask_anew(asked, 2)


def module_of(kind: str, name: str, offered: object) -> str:
    """The module that an installed entry point names, else that of the object's class."""
    found = next((claims for key, claims in discover().offers.items() if key == (kind, name)), ())
    own = type(offered).__module__
    modules = [offer.entry.module for offer in found]
    return modules[0] if modules and own not in modules else own
