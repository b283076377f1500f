"""A rule as a value: a name, a sentence, and what tries it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal
from unittest import SkipTest

from customspec.errors import Terminated


class RuleError(AssertionError):
    """A rule of the contract is broken: what was expected, and what was found."""


class ConformanceError(AssertionError):
    """Every rule that a plugin breaks."""

    def __init__(self, plugin: str, broken: tuple[Outcome, ...]) -> None:
        lines = [f"  {outcome.name}: {outcome.problem}\n    ({outcome.rule})" for outcome in broken]
        rules = "1 rule" if len(broken) == 1 else f"{len(broken)} rules"
        super().__init__("\n".join([f"{plugin} breaks {rules} of the contract:", *lines]))
        self.broken = broken


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rule fared. `problem`: what is wrong, or why there was nothing to look at."""

    name: str
    rule: str
    status: Literal["ok", "wrong", "skipped"]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One rule, tried when called: raises RuleError, or whatever the plugin raises, where it is broken.

    Raises `unittest.SkipTest` where there is nothing to look at; pytest and unittest know what that means.
    """

    name: str
    rule: str
    try_it: Callable[[], None]

    def __str__(self) -> str:
        return self.name

    def __call__(self) -> None:
        self.try_it()

    def outcome(self) -> Outcome:
        """The same as a value, never an exception."""
        try:
            self.try_it()
        except SkipTest as reason:
            return Outcome(self.name, self.rule, "skipped", str(reason))
        except RuleError as broken:
            return Outcome(self.name, self.rule, "wrong", str(broken))
        except (KeyboardInterrupt, Terminated):
            raise
        except BaseException as error:  # whatever a plugin raises is what is wrong with it
            return Outcome(self.name, self.rule, "wrong", f"raised {type(error).__name__}: {error}")
        return Outcome(self.name, self.rule, "ok")


def require(condition: object, problem: str) -> None:
    """Raises RuleError, saying `problem`, unless the condition holds."""
    if not condition:
        raise RuleError(problem)


def raise_broken(plugin: str, checks: Iterable[Check]) -> None:
    """Try every rule. Raises ConformanceError when any is broken."""
    broken = tuple(outcome for check in checks if (outcome := check.outcome()).status == "wrong")
    if broken:
        raise ConformanceError(plugin, broken)
