"""Which candidate is the answer, and why. Choices are made on validation rows, the one claim on test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Final, Literal

from customspec.decide.best import Loss, losses
from customspec.decide.claim import Claim, claim
from customspec.decide.costs import BreakEven, Spending, about, break_evens
from customspec.decide.gauge import Gauged, gauge, sentence_of
from customspec.decide.samples import Measure, Sample
from customspec.decide.wording import amount, at_least, at_most, bound, decimals, percent
from customspec.spec import Cost, Goal

Split = Literal["validation", "test"]
Ending = Literal["shown", "not_shown", "not_reached", "within_margin", "undecided", "only_one", "nothing"]
CHOICES: Final = frozenset[Ending]({"shown", "not_shown", "within_margin", "only_one"})
"""Endings that choose a candidate; the others name the nearest one, or none."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be decided. `candidates` is how many the plan could choose, those included that a ladder left out;
    `skipped` how many the budget ruled out before that."""

    measure: Measure
    goal: Goal | None
    strategy: Literal["compare", "ladder"]
    confidence: float
    margin: float
    candidates: int
    cost: Cost | None = None
    gauge: str | None = None
    """Key of the candidate that shows what is possible and is never chosen."""
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What one candidate reached on each split, and what it costs."""

    key: str
    id: str
    family: str
    validation: Sample | None
    test: Sample | None
    prompt_tokens: float
    artifact_bytes: int
    train_seconds: float
    spending: Spending = field(default_factory=Spending)
    base_parameters: int = 1

    @property
    def cost(self) -> tuple[float, ...]:
        """Cheap to expensive: prompting by tokens per request, then tuning by artifact and training time; where base
        models differ, a token costs as much as the model has parameters, and an artifact stands on its own model."""
        if self.family == "prompting":
            return 0, self.prompt_tokens * self.base_parameters
        return 1, self.base_parameters, self.artifact_bytes, self.train_seconds


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer in one sentence, what it rests on, and its reasons. `goal_met` is None without a goal."""

    ending: Ending
    answer: str
    goal_met: bool | None
    chosen: str | None = None
    chosen_key: str | None = None
    chosen_on: Split | None = None
    claim: Claim | None = None
    loss: Loss | None = None
    reasons: tuple[str, ...] = ()
    gauge: Gauged | None = None
    break_even: tuple[BreakEven, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "goal_met": self.goal_met,
            "chosen": self.chosen,
            "chosen_key": self.chosen_key,
            "chosen_on": self.chosen_on,
            "ending": self.ending,
            "answer": self.answer,
            "reasons": list(self.reasons),
            "claim": None if self.claim is None else self.claim.to_json(),
            "loss": None if self.loss is None else self.loss.to_json(),
            "gauge": None if self.gauge is None else self.gauge.to_json(),
            "break_even": [found.to_json() for found in self.break_even],
        }


@dataclass(frozen=True, slots=True)
class _Pool:
    """The candidates that can be weighed against one another: all on one split."""

    question: Question
    split: Split
    measured: Sequence[Standing]

    def sample(self, standing: Standing) -> Sample:
        found = standing.validation if self.split == "validation" else standing.test
        assert found is not None
        return found

    def value(self, standing: Standing) -> float:
        return self.sample(standing).value

    @property
    def seen(self) -> str | None:
        """`2 of 4`, where not all candidates were evaluated: the budget ruled some out, or they failed."""
        there, all_of_them = len(self.measured), self.question.candidates + self.question.skipped
        return f"{there} of {all_of_them}" if there < all_of_them else None

    @property
    def best(self) -> Standing:
        """The best estimate; among equals the cheapest."""
        sign = -1.0 if self.question.measure.higher_is_better else 1.0
        return min(self.measured, key=lambda standing: (sign * self.value(standing), standing.cost))


def decide(question: Question, standings: Sequence[Standing]) -> Decision:
    """The ladder's first rung, or the cheapest candidate, that reaches the goal; without a goal, the cheapest that is
    shown to be nearly the best. Where none is, the best estimate is named. What the gauge says is added."""
    split: Split = "validation" if any(standing.validation is not None for standing in standings) else "test"
    # one split for all: a test estimate is never weighed against others' validation estimates
    measured = [standing for standing in standings if getattr(standing, split) is not None]
    pool = _Pool(question, split, [standing for standing in measured if standing.key != question.gauge])
    return _with_costs(_with_gauge(_choice(pool), pool, measured), question, measured)


def _choice(pool: _Pool) -> Decision:
    goal = pool.question.goal
    if not pool.measured:
        return Decision("nothing", "no candidate was evaluated", None if goal is None else False)
    return _nearly_best(pool) if goal is None else _reaching(pool, goal)


def _with_gauge(decision: Decision, pool: _Pool, measured: Sequence[Standing]) -> Decision:
    question = pool.question
    found = next((standing for standing in measured if standing.key == question.gauge), None)
    if found is None:
        return decision
    said = gauge(found.key, pool.sample(found), question.measure, question.goal, question.confidence)
    sentences = [sentence_of(said, question.measure, question.goal, pool.split)]
    chosen = next((standing for standing in pool.measured if standing.key == decision.chosen_key), None)
    if chosen is not None and said.finding in {"reaches", "measured"}:
        beside = [f"{one.id} {decimals(pool.value(one))}, {_per_request(one, question)}" for one in (found, chosen)]
        sentences.append(f"side by side, {question.measure.name} and a request's cost: {'; '.join(beside)}")
    # what the gauge says of prompt, labels and data comes before all that was tried with them
    first = said.finding == "falls_far_short"
    reasons = (*sentences, *decision.reasons) if first else (*decision.reasons, *sentences)
    return replace(decision, gauge=said, reasons=reasons)


def _per_request(standing: Standing, question: Question) -> str:
    cost = f"{standing.prompt_tokens:.0f} prompt tokens and {1000 * standing.spending.per_request:.3g} ms"
    if question.cost is None:
        return cost
    return f"{cost}, {standing.spending.priced(question.cost)['per_request']:.2g} in money"


def _with_costs(decision: Decision, question: Question, measured: Sequence[Standing]) -> Decision:
    spendings = {standing.id: standing.spending for standing in measured}
    reasons = about(decision.chosen, spendings, question.cost) if decision.chosen is not None else ()
    return replace(decision, break_even=tuple(break_evens(spendings)), reasons=(*decision.reasons, *reasons))


def _reaching(pool: _Pool, goal: Goal) -> Decision:
    question = pool.question
    reaching = [standing for standing in pool.measured if goal.reached_by(pool.value(standing))]
    if not reaching:
        best = pool.best
        evaluated = f" that was evaluated, {pool.seen}," if pool.seen else ""
        answer = (
            f"no candidate{evaluated} reaches {question.measure.name} {bound(goal)} on the {pool.split} rows; "
            f"the nearest is {best.id} with {decimals(pool.value(best))}"
        )
        return Decision("not_reached", answer, False, best.id, best.key, pool.split, reasons=_caution(pool))
    ladder = question.strategy == "ladder"
    chosen = reaching[0] if ladder else min(reaching, key=lambda standing: standing.cost)
    reasons = (_why(pool, goal, chosen), *_short(pool, chosen), *_caution(pool))
    if chosen.test is None:
        answer = f"not shown that {chosen.id} meets the goal: the test rows were not evaluated"
        return Decision("not_shown", answer, False, chosen.id, chosen.key, pool.split, reasons=reasons)
    # where the test rows chose as well, each planned candidate was a chance to be lucky on them
    looks = question.candidates if pool.split == "test" else 1
    claimed = claim(chosen.test, question.measure, goal, question.confidence, looks=looks)
    return Decision(
        "shown" if claimed.shown else "not_shown",
        _claimed(chosen.id, question.measure, goal, claimed),
        claimed.shown,
        chosen.id,
        chosen.key,
        pool.split,
        claim=claimed,
        reasons=reasons,
    )


def _why(pool: _Pool, goal: Goal, chosen: Standing) -> str:
    what = "first rung" if pool.question.strategy == "ladder" else "cheapest candidate"
    name = pool.question.measure.name
    return f"{chosen.id} is the {what} whose {name} reaches {bound(goal)} on the {pool.split} rows: " + decimals(
        pool.value(chosen)
    )


def _short(pool: _Pool, chosen: Standing) -> tuple[str, ...]:
    cheaper = [other for other in pool.measured if other.cost < chosen.cost]
    short = [f"{other.id} {decimals(pool.value(other))}" for other in cheaper]
    return (f"cheaper candidates fall short: {', '.join(short)}",) if short else ()


def _claimed(id: str, measure: Measure, goal: Goal, claimed: Claim) -> str:
    found = f"{measure.name} {decimals(claimed.value)} on {claimed.n} test rows"
    if not isfinite(claimed.bound):
        few = f"{claimed.n} rows, so few or so much alike, do not tell how far from it the truth may lie"
        return f"not shown that {id} meets the goal of {bound(goal)}: {found}; {few}"
    limit = at_least(claimed.bound) if goal.at_least is not None else at_most(claimed.bound)
    roughly = "about " if "bootstrap" in claimed.method else ""  # right in the limit of many rows
    reach = f"{limit} with {roughly}{percent(claimed.confidence)} confidence"
    if claimed.shown:
        return f"{id} meets the goal of {bound(goal)}: {found}, {reach}"
    if claimed.rows_needed is not None:
        more = f"if that is its true value, {amount(claimed.rows_needed)} rows would show it four times in five"
    elif goal.reached_by(claimed.value):
        more = "no number of rows would show it"
    else:
        more = "that itself misses the goal"
    return f"not shown that {id} meets the goal of {bound(goal)}: {found}, {reach}; {more}"


def _nearly_best(pool: _Pool) -> Decision:
    question, best = pool.question, pool.best
    measure, margin = question.measure, f"{question.margin:g}"
    estimate = f"{measure.name} {decimals(pool.value(best))} on the {pool.split} rows"
    if len(pool.measured) == 1:
        evaluated = f" that was evaluated, {pool.seen}" if pool.seen else ""
        answer = f"{best.id} is the only candidate{evaluated}: {estimate}"
        return Decision("only_one", answer, None, best.id, best.key, pool.split)
    samples = {standing.key: pool.sample(standing) for standing in pool.measured}
    found: Mapping[str, Loss] = losses(samples, measure, question.margin, question.confidence)
    named = f"{best.id} has the best estimate, {estimate}"
    near = [standing for standing in pool.measured if found[standing.key].shown]
    if not near:
        lost = found[best.key]
        rows = "more" if lost.rows_needed is None else f"{amount(lost.rows_needed)} {pool.split}"
        answer = f"undecided: {rows} rows needed, there are {lost.n}; {named}"
        reason = f"no candidate is shown, with {percent(question.confidence)} confidence, to lose less than {margin}"
        reasons = (f"{reason} to the best", *_caution(pool))
        return Decision("undecided", answer, None, best.id, best.key, pool.split, loss=lost, reasons=reasons)
    chosen = min(near, key=lambda standing: standing.cost)
    lost = found[chosen.key]
    answer = (
        f"{chosen.id} is the cheapest candidate shown to lose less than {margin} to the best: "
        f"{measure.name} {decimals(pool.value(chosen))} on the {pool.split} rows"
    )
    limit = f"it loses {at_most(lost.bound)} with {percent(question.confidence)} confidence"
    reasons = (limit, *(() if chosen is best else (named,)), *_caution(pool))
    return Decision("within_margin", answer, None, chosen.id, chosen.key, pool.split, loss=lost, reasons=reasons)


def _caution(pool: _Pool) -> tuple[str, ...]:
    if pool.split == "validation" or len(pool.measured) == 1:
        return ()
    caution = "there are no validation rows: the test rows choose as well, so their estimates are optimistic"
    if pool.question.goal is None:
        return (caution,)
    return (f"{caution}, and the claim's confidence is shared among {pool.question.candidates} candidates",)
