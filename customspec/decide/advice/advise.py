"""The rules applied: what each rung is worth, and what the data lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from customspec.decide.advice.data_rules import DATA_RULES, DataRule
from customspec.decide.advice.rules import RULES
from customspec.hookspecs.advice import Facts, Rule, Rung, Verdict

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule that spoke, with its numbers filled in."""

    rule: str
    says: Verdict
    because: str
    source: str


@dataclass(frozen=True, slots=True)
class Advised:
    """A rung with its advice: `skip` where a rule says so, else `try`; the reasons of rules that say `mind` are
    cautions."""

    key: str
    technique: str
    reasons: tuple[Reason, ...]

    @property
    def verdict(self) -> Verdict:
        return "skip" if any(reason.says == "skip" for reason in self.reasons) else "try"

    def to_json(self) -> dict[str, Any]:
        reasons = [{name: getattr(reason, name) for name in Reason.__slots__} for reason in self.reasons]
        return {"key": self.key, "technique": self.technique, "advice": self.verdict, "reasons": reasons}


@dataclass(frozen=True, slots=True)
class DataFinding:
    """A data rule that found something: how many rows, as a sentence, and the places of the first of them."""

    rule: str
    count: int
    sentence: str
    rows: tuple[str, ...]
    advice: str
    source: str

    def to_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "count": self.count,
            "told": self.sentence,
            "rows": list(self.rows),
            "advice": self.advice,
            "source": self.source,
        }


def advise_rung(facts: Facts, rung: Rung, own: Sequence[Rule] = ()) -> Advised:
    """Every rule that applies, those of the technique's `own` before those of its family, skips first."""
    reasons = [_reason(rule, facts, rung) for rule in (*own, *RULES) if rule.applies(facts, rung)]
    return Advised(rung.key, rung.technique, tuple(sorted(reasons, key=lambda reason: reason.says != "skip")))


def look_at_rows(facts: Facts, rules: Sequence[DataRule] = DATA_RULES) -> tuple[DataFinding, ...]:
    """Every finding on the data."""
    return tuple(
        DataFinding(rule.name, found.count, found.sentence, found.rows, rule.advice, rule.source)
        for rule in rules
        for found in rule.find(facts)
    )


def _reason(rule: Rule, facts: Facts, rung: Rung) -> Reason:
    filled = rule.because.format(facts=facts, rung=rung, memory=_gib(rung.memory_bytes), there=_gib(facts.memory_bytes))
    return Reason(rule.name, rule.says, filled, rule.source)


def _gib(number: int | None) -> str:
    return "-" if number is None else f"{number / GIB:.1f} GiB"
