"""The rule for the advice that a technique brings: each of its rules speaks in whole sentences, whatever the facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import get_args

from customspec.hookspecs import Facts, Rule, Rung, Technique
from customspec.hookspecs.advice import Verdict
from customspec.prompts import Example
from customspec.spec import Options
from customspec.testing.checks import require

SENTENCE = "Its own rules of advice hold or not for any facts, and say why and who found it."
GIB = 2**30


def advice(options: Options, technique: Technique, rules: Sequence[Rule]) -> None:
    """Tried on few rows and many, small bases and large, with choices and without, and while the base is not here."""
    for rule in rules:
        require(isinstance(rule, Rule), f"{rule!r} is no customspec.hookspecs.Rule")
        require(rule.says in get_args(Verdict), f"`{rule.name}` says {rule.says!r}, not one of {get_args(Verdict)}")
        for part in ("name", "when", "because", "source"):
            require(getattr(rule, part).strip(), f"the rule `{rule.name}` has no `{part}`")
        require(not rule.on, f"the rule `{rule.name}` is on {rule.on}; a technique's own are about itself")
        for facts in _facts(options, technique):
            if rule.applies(facts, facts.rungs[0]):
                rule.because.format(facts=facts, rung=facts.rungs[0])


def _facts(options: Options, technique: Technique) -> Iterator[Facts]:
    told = options.model_dump(mode="json")
    for rows, parameters, choices in product((0, 20, 2000), (None, 10**8, 7 * 10**10), (None, ("a", "b"))):
        known = None if parameters is None else 60
        rung = Rung("one@0", technique.name, technique.family, told, known, known, known and 2 * GIB)
        train = tuple(Example(f"train:{number}", None, f"question {number}", "a") for number in range(rows))
        yield Facts({"train": train}, {}, {}, choices, "accuracy", 1, (rung,), parameters, known, 4 * GIB)
