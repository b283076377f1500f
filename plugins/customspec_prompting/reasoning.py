"""What chain of thought and self-consistency share: reasoning before the answer, and finding the answer in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

from customspec.hookspecs import Reading, Refusal, Rule, Selector
from customspec.patterns import compiled
from customspec.prompts import Example, Message, messages
from customspec.spec import Text, UnfitError
from customspec_prompting.demonstrations import DemonstrationOptions, refusal, selector

NEW_TOKENS = 256  # for reasoning whose length no training row tells


def _compiled(pattern: str) -> Any:
    return compiled(pattern, called="pattern", case_sensitive=False)


def _one_group(pattern: str) -> str:
    groups = _compiled(pattern).groups
    if groups != 1:
        hint = "put round brackets around the answer, as in '([0-9]+)'; a bracket that is no group begins `(?:`"
        raise UnfitError(f"`pattern` needs exactly one group, the answer; it has {groups}", hint)
    return pattern


class ReasoningOptions(DemonstrationOptions):
    """The reasoning, and where in it the answer stands."""

    rationale: Text | None = None
    """Column of the training rows with the reasoning that leads to the answer. Absent: no demonstrations; the query
    ends with the trigger."""
    trigger: Text = "Let's think step by step."
    """Sentence that asks for reasoning where there are no demonstrations (Kojima et al. 2022)."""
    marker: Text = "The answer is"
    """Words before the answer. Demonstrations end with them, the answer and a full stop."""
    pattern: Annotated[Text, AfterValidator(_one_group)] | None = None
    """Regular expression in RE2's syntax whose only group is the answer; its last match counts, upper and lower case
    being alike. No look-around, no backreferences; `\\w`, `\\d` and `\\b` know ASCII only: write `\\p{L}`, `\\p{Nd}`.
    Absent: the rest of the line after the last `marker`, less one full stop."""

    @property
    def reads(self) -> Any:
        """The pattern in use, compiled."""
        if self.pattern is not None:
            return _compiled(self.pattern)
        # the greedy beginning finds the last marker; a colon after it is not part of the answer
        return re.compile(rf"(?s:.*){re.escape(self.marker)}\s*:?\s*([^\s:].*)", re.IGNORECASE)


class Reasoning:
    """The methods of both techniques, and what advice there is on them."""

    rules = (
        Rule(
            "reasoning_wants_size",
            "the base has fewer than 7 billion parameters",
            lambda facts, rung: facts.smaller_than(7),
            "skip",
            "reasoning in words helped models of about 100 billion parameters, and made small ones fluent and wrong; "
            "this base has {facts.parameters:,}",
            "Wei et al. 2022, Chain-of-Thought Prompting Elicits Reasoning; the border of 7 billion is ours",
        ),
        Rule(
            "reasoning_may_want_more_size",
            "the base has 7 to 100 billion parameters",
            lambda facts, rung: not facts.smaller_than(7) and facts.smaller_than(100),
            "mind",
            "reasoning in words was first seen to help at about 100 billion parameters; this base has "
            "{facts.parameters:,}, and only a run tells",
            "Wei et al. 2022, Chain-of-Thought Prompting Elicits Reasoning",
        ),
    )

    def shots(self, options: ReasoningOptions) -> int:
        return options.count if options.rationale else 0

    def select(self, options: ReasoningOptions, rows: Sequence[Example], seed: int) -> Selector:
        if options.rationale is None:
            return lambda query: ()
        return selector(options, _reasoned(options, rows), seed)

    def columns(self, options: ReasoningOptions) -> Mapping[str, str]:
        return {} if options.rationale is None else {"rationale": options.rationale}

    def files(self, options: ReasoningOptions) -> Mapping[str, str]:
        return {} if options.embeddings is None else {"embeddings": options.embeddings}

    def refusal(self, options: ReasoningOptions, rows: Sequence[Example]) -> Refusal | None:
        if options.rationale is None:
            chosen = sorted(options.model_fields_set & {"shots", "select", "rows", "embeddings"})
            message = "there are no demonstrations without a column of reasoning"
            return Refusal(message, option=chosen[0], hint="name the column: `rationale`") if chosen else None
        reasoned = _reasoned(options, rows)
        if len(reasoned) < options.count:
            message = f"{len(reasoned)} training rows have a text in `{options.rationale}`; {options.count} are needed"
            hint = f"take at most {len(reasoned)} shots" if reasoned else "name another column, or write its texts"
            return Refusal(message, option="rationale", hint=hint)
        return refusal(options, reasoned)

    def written(self, options: ReasoningOptions, example: Example) -> str:
        rationale = example.fields.get(options.rationale or "")
        ending = f"{options.marker} {example.answer}."
        if not isinstance(rationale, str) or not rationale.strip():
            return ending
        # no blank line: in plain text it would end the answer
        return re.sub(r"\n\s*\n", "\n", rationale.strip()) + "\n" + ending

    def messages(self, options: ReasoningOptions, query: Example, shots: Sequence[Example]) -> tuple[Message, ...]:
        *before, last = messages(query, shots)
        if options.rationale is None:
            asked = f'{last.content}\n\n{options.trigger} End with "{options.marker}" and the answer.'
            last = Message(last.role, asked)
        return (*before, last)

    def read(self, options: ReasoningOptions, outputs: Sequence[str], choices: Sequence[str] | None) -> Reading:
        pattern = options.reads
        answers = [answer for output in outputs if (answer := extracted(pattern, output, choices)) is not None]
        votes = Counter(answers)  # in the order of their first appearance, so that of equals the first is taken
        most = max(votes.values(), default=0)
        best = [answer for answer, count in votes.items() if count == most]
        return Reading(best[0] if best else "", votes, tie=len(best) > 1, unread=len(outputs) - len(answers))


def _reasoned(options: ReasoningOptions, rows: Sequence[Example]) -> list[Example]:
    column = options.rationale or ""
    return [row for row in rows if isinstance(text := row.fields.get(column), str) and text.strip()]


def extracted(pattern: Any, text: str, choices: Sequence[str] | None) -> str | None:
    """The answer in a text, or None; with `choices`, the choice that it names."""
    matches = list(pattern.finditer(text))
    found = _bare(matches[-1][1] or "") if matches else ""
    if not found:
        return None
    return found if choices is None else _named(found, choices)


def _bare(text: str) -> str:
    """The text without Markdown's marks around it, and without one full stop."""
    return text.strip().strip("*`").removesuffix(".").strip("*` ")


def _named(found: str, choices: Sequence[str]) -> str | None:
    said = found.casefold()
    for choice in choices:
        if said in {choice.casefold(), choice.casefold().removesuffix(".")}:
            return choice
    within = [choice for choice in choices if re.search(rf"(?<!\w){re.escape(choice.casefold())}(?!\w)", said)]
    # `late refund` names `late refund`, not `refund`
    longest = [choice for choice in within if not any(choice in other and choice != other for other in within)]
    return longest[0] if len(longest) == 1 else None
