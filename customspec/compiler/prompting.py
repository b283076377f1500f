"""Each candidate's prompt over the rows: templates read, columns checked, every row rendered, answers among choices."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import Any

from customspec.compiler.columns import check_answer_hidden, check_columns, check_names_columns
from customspec.compiler.problems import Problems
from customspec.compiler.template_faults import filled_otherwise, guess, null_shown, sentence, unquoted, why_empty, word
from customspec.compiler.validation import validate
from customspec.errors import Code
from customspec.inputs.packed import pack_examples
from customspec.inputs.splits import SPLITS, Splits
from customspec.prompts import (
    AnyTemplate,
    ConversationTemplate,
    Example,
    Fillable,
    PromptTemplate,
    Row,
    TemplateError,
)
from customspec.sandbox.templates import Known, Sandboxed, TemplateLimitError, TogetherLimitError
from customspec.source import KeyPath
from customspec.spec import Prompt, PromptPatch
from customspec.suggest import closest, did_you_mean

PARTS = ("system", "user", "answer")
LESS = "repeat and loop over less: a template is filled once for every row"
TURNS = 'for instance [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]'
AT_ONCE = 5000  # rows that are rendered together


@dataclass(frozen=True)
class Rendered:
    """One prompt over all rows. `examples` is empty while the data is not there."""

    prompt: Prompt
    template: AnyTemplate
    examples: Mapping[str, Sequence[Example]]
    choices: tuple[str, ...] | None


def laid_over(prompt: Prompt, patch: PromptPatch) -> dict[str, Any]:
    """The candidate's own parts laid over the spec's, not yet a prompt; templates and a chat column replace each
    other."""
    own, kept = patch.model_dump(exclude_none=True), prompt.model_dump(exclude_none=True)
    replaced = PARTS if patch.messages is not None else ("messages",) if own.keys() & set(PARTS) else ()
    return {**{part: value for part, value in kept.items() if part not in replaced}, **own}


def merged(prompt: Prompt, patch: PromptPatch | None, at: KeyPath, problems: Problems) -> Prompt | None:
    """The candidate's prompt: the spec's, where it has no part of its own."""
    return prompt if patch is None else validate(Prompt, laid_over(prompt, patch), problems, (*at, "prompt"))


def render_all(
    prompt: Prompt,
    rows: Splits | None,
    problems: Problems,
    *,
    patch: PromptPatch | None = None,
    at: KeyPath = (),
    known: Known | None = None,
    lacking: Set[str] = frozenset(),
) -> Rendered | None:
    """Every row through the prompt, a candidate's own `patch` laid over it; `at` is the entry where that stands;
    `lacking` are the splits of which rows are missing. None, with problems added, when something is wrong."""
    whole = None if patch is not None and problems.doubts("prompt") else merged(prompt, patch, at, problems)
    if whole is None:
        return None
    places = {part: _place(part, patch, at) for part in (*PARTS, "choices", "messages")}
    template = _read(whole, places, rows, problems, known)
    if template is None or rows is None:
        return None if template is None else Rendered(whole, template, {}, None)
    examples: dict[str, Sequence[Example]] = {}
    for name in SPLITS:
        rendered = _render(template, rows.named(name), places, problems)
        if rendered is None:
            return None
        examples[name] = rendered
    if whole.choices == "from_data" and "train" in lacking:
        return None  # an answer may be among theirs
    if whole.choices is not None and isinstance(template, PromptTemplate) and not template.answer.variables:
        return None  # one answer for every row is told already
    choices = _choices(whole, examples, rows, places["choices"], problems)
    missing = whole.choices is not None and choices is None
    return None if missing else Rendered(whole, template, examples, choices)


def _read(
    prompt: Prompt, places: Mapping[str, KeyPath], rows: Splits | None, problems: Problems, known: Known | None
) -> AnyTemplate | None:
    """The prompt's templates, once every column that they name is known to be there; None, with problems added,
    otherwise."""
    if prompt.messages is not None and problems.doubts("prompt.messages"):
        return None
    if prompt.messages is not None:
        is_there = rows is None or check_columns({prompt.messages}, places["messages"], rows, problems)
        return ConversationTemplate(prompt.messages) if is_there else None
    columns = () if rows is None else next((part[0].fields for part in map(rows.named, SPLITS) if part), {})
    sources = {part: None if problems.doubts(f"prompt.{part}") else getattr(prompt, part) for part in PARTS}
    templates = {part: _template(source, places[part], problems, known, columns) for part, source in sources.items()}
    if rows is not None:
        check_names_columns(templates, places, problems)
        check_answer_hidden(templates, places, problems)
        named = {part: template.variables for part, template in templates.items() if template is not None}
        there = [check_columns(named[part], places[part], rows, problems, sources[part]) for part in named]
        if not all(there):
            return None
    if templates["user"] is None or templates["answer"] is None:
        return None
    return PromptTemplate(templates["user"], templates["answer"], templates["system"])


def _place(part: str, patch: PromptPatch | None, at: KeyPath) -> KeyPath:
    own = patch is not None and getattr(patch, part) is not None
    return (*at, "prompt", part) if own else ("prompt", part)


def _template(
    source: str | None, at: KeyPath, problems: Problems, known: Known | None, columns: Collection[str]
) -> Fillable | None:
    if source is None:
        return None
    try:
        return Sandboxed(source, known=known)
    except TemplateLimitError as limit:
        _refuse(limit, at, problems)
        return None
    except TemplateError as fault:
        message = f"template error: {sentence(fault)}"
        hint = unquoted(source, columns) or guess(fault)
        problems.add(Code.TEMPLATE_SYNTAX, at, message, hint=hint, word=word(fault, source), line=fault.line)
        return None


def _refuse(limit: TemplateLimitError, at: KeyPath, problems: Problems) -> None:
    """Raises SpecError where others have used up the time of all: what comes behind would be refused alike."""
    problems.add(Code.TEMPLATE_LIMIT, at, f"this template is refused: {limit}", hint=LESS)
    if isinstance(limit, TogetherLimitError):
        problems.stop_if_any()


def _render(
    template: AnyTemplate, rows: Sequence[Row], places: Mapping[str, KeyPath], problems: Problems
) -> Sequence[Example] | None:
    before = len(problems)
    parts = (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE))
    rendered = takewhile(bool, (_render_some(template, part, places, problems) for part in parts))
    examples = pack_examples(chain.from_iterable(rendered), rows)
    return None if len(problems) > before else examples


def _render_some(
    template: AnyTemplate, rows: Sequence[Row], places: Mapping[str, KeyPath], problems: Problems
) -> list[Example]:
    """These rows as examples; none when something is wrong with one."""
    try:
        examples = template.render_all(rows)
    except TemplateLimitError as limit:
        _refuse(limit, places[limit.part or "user"], problems)
        return []
    except TemplateError as fault:
        _cannot_fill(fault, template, rows[fault.row or 0], places, problems)
        return []
    for row, example in zip(rows, examples, strict=True):
        if isinstance(template, PromptTemplate) and (empty := why_empty(example.answer, template.answer, row)):
            message, hint = f"{row.place}: {empty}", "write that row's answer, or remove the row"
            problems.add(Code.ANSWER_EMPTY, places["answer"], message, hint=hint)
            return []
        if null := null_shown(template, example, row):
            part, column, hint = null
            message = f"{row.place}: `{column}` is null, which would be shown as `None`"
            problems.add(Code.TEMPLATE_RENDER, places[part], message, hint=hint, word=column)
            return []
    return examples


def _cannot_fill(
    fault: TemplateError, template: AnyTemplate, row: Row, places: Mapping[str, KeyPath], problems: Problems
) -> None:
    if isinstance(template, ConversationTemplate):
        problems.add(Code.DATA_ROW, places["messages"], f"{row.place}: {fault}", hint=TURNS)
        return
    part = fault.part or "user"
    message = f"{row.place}: the template cannot be filled: {sentence(fault)}"
    named = word(fault, getattr(template, part).source)
    hint = filled_otherwise(fault, row.fields)
    problems.add(Code.TEMPLATE_RENDER, places[part], message, hint=hint, word=named)


def _choices(
    prompt: Prompt,
    examples: Mapping[str, Sequence[Example]],
    rows: Splits,
    at: KeyPath,
    problems: Problems,
) -> tuple[str, ...] | None:
    """The answers to choose among; None where the prompt has none, and, with a problem added, where they are wrong."""
    if prompt.choices is None:
        return None
    source = next((name for name in SPLITS if examples[name]), "test")
    if prompt.choices == "from_data":
        choices = tuple(sorted({example.answer for example in examples[source]}))
        few, known = f"every answer of the {source} rows is `{choices[0]}`", f"the answers of the {source} rows"
    else:
        choices = tuple(choice.strip() for choice in prompt.choices)
        few, known = "`choices` holds one answer", "`choices`"
    earliest = {choice: index for index, choice in reversed([*enumerate(choices)])}
    twice = next((index for index, choice in enumerate(choices) if earliest[choice] != index), None)
    if twice is not None:
        message = f"`{choices[twice]}` is already among the choices"
        problems.add(Code.WRONG_VALUE, (*at, twice), message, hint="remove one of the two")
    elif len(choices) == 1:
        more = "add rows with other answers" if prompt.choices == "from_data" else "add the other answers"
        hint = f"{more}, or remove `choices`: the model then writes its answer"
        problems.add(Code.WRONG_VALUE, at, f"{few}: there is nothing to choose", hint=hint)
    elif (other := _first_other_answer(examples, choices)) is not None:
        split, indices = other
        first, count = indices[0], f"{len(indices)} such {split} row{'s' if len(indices) > 1 else ''}"
        answer = examples[split][first].answer
        message = f"{rows.named(split)[first].place}: the answer `{answer}` is not among {known} ({count})"
        nearest = closest(answer, choices, {})
        others = "training rows with that answer" if prompt.choices == "from_data" else "it to `choices`"
        meant = did_you_mean(nearest, f"add {others}, or mend the row")
        problems.add(Code.ANSWER_NOT_A_CHOICE, at, message, hint=meant)
    else:
        return choices
    return None


def _first_other_answer(
    examples: Mapping[str, Sequence[Example]], choices: Sequence[str]
) -> tuple[str, list[int]] | None:
    """The first split with answers that are no choice, and the indices of these rows."""
    known = frozenset(choices)
    for name in SPLITS:
        found = [index for index, example in enumerate(examples[name]) if example.answer not in known]
        if found:
            return name, found
    return None
