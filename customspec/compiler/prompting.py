"""Each candidate's prompt over the rows: templates read, columns checked, every row rendered, answers among choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from customspec.compiler.entries import Draft, prompting_of
from customspec.compiler.findings import Findings
from customspec.errors import Code
from customspec.inputs.splits import SPLITS, Splits
from customspec.prompts import Example, PromptTemplate, Row, Template, TemplateError
from customspec.source import KeyPath
from customspec.spec import Prompt, PromptPatch
from customspec.suggest import closest

PARTS = ("system", "user", "answer")


@dataclass(frozen=True)
class Rendered:
    """One prompt over all rows. `examples` is empty while the data is not there."""

    prompt: Prompt
    examples: Mapping[str, tuple[Example, ...]]
    choices: tuple[str, ...] | None


def merged(prompt: Prompt, patch: PromptPatch | None) -> Prompt:
    """The candidate's prompt: its own parts laid over the spec's."""
    return prompt if patch is None else prompt.model_copy(update=patch.model_dump(exclude_none=True))


def render_all(
    prompt: Prompt, patch: PromptPatch | None, at: KeyPath, rows: Splits | None, findings: Findings
) -> Rendered | None:
    """Every row through the merged prompt. `at` is the entry, where the patch stands. None when something is wrong."""
    whole = merged(prompt, patch)
    places = {part: _place(part, patch, at) for part in (*PARTS, "choices")}
    templates = {part: _template(getattr(whole, part), places[part], findings) for part in PARTS}
    if templates["user"] is None or templates["answer"] is None:
        return None
    if rows is None:
        return Rendered(whole, {}, None)
    if not all(_check_variables(templates[part], places[part], rows, findings) for part in PARTS):
        return None
    template = PromptTemplate(templates["user"], templates["answer"], templates["system"])
    examples = {name: _render(template, rows.named(name), places, findings) for name in SPLITS}
    if any(part is None for part in examples.values()):
        return None
    done = {name: part for name, part in examples.items() if part is not None}
    choices = _choices(whole, done, rows, places, findings)
    return None if whole.choices is not None and choices is None else Rendered(whole, done, choices)


def check_shots(draft: Draft, train: Sequence[Any], findings: Findings, *, has_train: bool) -> None:
    """A technique that needs rows has them, and enough of them."""
    if draft.tuning is not None and not has_train:
        name = draft.tuning.technique.name
        findings.add(Code.DATA_NEEDED, draft.main.at, f"`{name}` needs training rows: `data` has no `train`", key=True)
    chosen = prompting_of(draft)
    if chosen is None or draft.prompting is None:
        return
    technique, options = chosen
    # a training row is never its own demonstration, so tuning needs one more
    needed = technique.shots(options) and technique.shots(options) + (draft.tuning is not None)
    if needed and not has_train:
        message = f"`{technique.name}` needs training rows for its demonstrations: `data` has no `train`"
        findings.add(Code.DATA_NEEDED, draft.prompting.at, message, key=True)
    elif needed > len(train):
        message = f"`{technique.name}` needs {needed} training rows for its demonstrations; there are {len(train)}"
        path = (*draft.prompting.at, "shots")
        findings.add(Code.TOO_FEW_ROWS, path, message)


def _place(part: str, patch: PromptPatch | None, at: KeyPath) -> KeyPath:
    own = patch is not None and getattr(patch, part) is not None
    return (*at, "prompt", part) if own else ("prompt", part)


def _template(source: str | None, at: KeyPath, findings: Findings) -> Template | None:
    if source is None:
        return None
    try:
        return Template(source)
    except TemplateError as fault:
        findings.add(Code.TEMPLATE_SYNTAX, at, f"template error: {fault}", word=fault.word)
        return None


def _check_variables(template: Template | None, at: KeyPath, rows: Splits, findings: Findings) -> bool:
    if template is None:
        return True
    fine = True
    for name in SPLITS:
        part = rows.named(name)
        columns = sorted(part[0].fields) if part else []
        for missing in sorted(template.variables - set(columns)) if part else []:
            nearest = closest(missing, columns)
            listed = f"columns: {', '.join(columns)}"
            findings.add(
                Code.TEMPLATE_VARIABLE,
                at,
                f"`{missing}` is not a column of the {name} rows",
                hint=f"did you mean `{nearest}`? {listed}" if nearest else listed,
                word=missing,
            )
            return False
    return fine


def _render(
    template: PromptTemplate, rows: Sequence[Row], places: Mapping[str, KeyPath], findings: Findings
) -> tuple[Example, ...] | None:
    examples = []
    for row in rows:
        try:
            examples.append(template.render(row))
        except TemplateError as fault:
            findings.add(Code.TEMPLATE_RENDER, places["user"], f"{row.place}: the template cannot be filled: {fault}")
            return None
        if not examples[-1].answer:
            findings.add(Code.ANSWER_EMPTY, places["answer"], f"{row.place}: the answer is empty")
            return None
    return tuple(examples)


def _choices(
    prompt: Prompt,
    examples: Mapping[str, tuple[Example, ...]],
    rows: Splits,
    places: Mapping[str, KeyPath],
    findings: Findings,
) -> tuple[str, ...] | None:
    if prompt.choices is None:
        return None
    source = next((name for name in SPLITS if examples[name]), "test")
    if prompt.choices == "from_data":
        choices = tuple(sorted({example.answer for example in examples[source]}))
    else:
        choices = tuple(choice.strip() for choice in prompt.choices)
    if len(set(choices)) < max(2, len(choices)):
        what = "are not distinct" if len(choices) > 1 else "are fewer than two: there is nothing to choose"
        findings.add(Code.WRONG_VALUE, places["choices"], f"the choices {what}")
        return None
    return choices if _all_among(choices, prompt, examples, rows, places, findings) else None


def _all_among(
    choices: tuple[str, ...],
    prompt: Prompt,
    examples: Mapping[str, tuple[Example, ...]],
    rows: Splits,
    places: Mapping[str, KeyPath],
    findings: Findings,
) -> bool:
    known = set(choices)
    for name in SPLITS:
        strange = [(e, r) for e, r in zip(examples[name], rows.named(name), strict=True) if e.answer not in known]
        if strange:
            example, row = strange[0]
            whose = "of the training rows" if prompt.choices == "from_data" else "of `choices`"
            nearest = closest(example.answer, choices)
            findings.add(
                Code.ANSWER_NOT_A_CHOICE,
                places["choices"],
                f"{row.place}: the answer `{example.answer}` is none {whose} ({len(strange)} such {name} rows)",
                hint=f"did you mean `{nearest}`?" if nearest else None,
            )
            return False
    return True
