"""Whether a prompt's templates name columns, and columns that are there."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence, Set

from customspec.compiler.problems import Problems
from customspec.compiler.template_faults import unquoted
from customspec.errors import Code
from customspec.inputs.splits import SPLITS, Splits
from customspec.prompts import Fillable, is_plain, reference
from customspec.source import KeyPath
from customspec.suggest import closest


def check_names_columns(
    templates: Mapping[str, Fillable | None], places: Mapping[str, KeyPath], problems: Problems
) -> None:
    """A question or an answer without a column is the same for every row: `{text}` was meant as `{{ text }}`."""
    for part in ("user", "answer"):
        template = templates[part]
        if template is not None and not template.variables:
            message = f"`{part}` names no column: it would be the same for every row"
            problems.add(Code.TEMPLATE_VARIABLE, places[part], message, hint="a column is written {{ NAME }}")


def check_answer_hidden(
    templates: Mapping[str, Fillable | None], places: Mapping[str, KeyPath], problems: Problems
) -> None:
    """A question that prints the very column that is the answer gives it away."""
    answer = templates["answer"]
    if answer is None or len(answer.variables) != 1 or answer.variables != answer.printed:
        return
    (column,) = answer.printed
    for part in ("system", "user"):
        template = templates[part]
        if template is not None and column in template.printed:
            message = f"`{part}` shows `{column}`, which is the answer: the model would be told it"
            problems.add(Code.ANSWER_SHOWN, places[part], message, hint="remove it", word=column)


def check_columns(named: Set[str], at: KeyPath, rows: Splits, problems: Problems, source: str | None = None) -> bool:
    """Whether every split has the columns; each that is missing is reported once. `source` is the template that names
    them; without one they stand by themselves."""
    missing: dict[str, str] = {}
    for name in SPLITS:
        part = rows.named(name)
        for variable in sorted(named - part[0].fields.keys()) if part else ():
            missing.setdefault(variable, name)
    for variable, name in missing.items():
        message = f"`{variable}` is not a column of the {name} rows"
        hint = _column_meant(variable, sorted(rows.named(name)[0].fields), source)
        problems.add(Code.TEMPLATE_VARIABLE, at, message, hint=hint, word=variable)
    return not missing


def _column_meant(variable: str, columns: Sequence[str], source: str | None) -> str:
    """The column that was probably meant, as it is written there, and those that there are."""
    if source is not None and (written := unquoted(source, columns, variable)):
        return written
    if len(columns) == 1 and (other := next((one for one in ";\t|" if one in columns[0]), None)):
        return f"the one column is `{columns[0]}`: save the file with commas instead of `{other}`"
    nearest = closest(variable, columns, {}) if len(columns) > 1 else None
    listed = f"columns: {', '.join(columns)}"
    if nearest is not None:
        return f"did you mean {f'`{nearest}`' if source is None or is_plain(nearest) else reference(nearest)}? {listed}"
    if source is not None and (member := _member(variable, columns, source)) is not None:
        return f"write {reference(member)}"
    odd = None if source is None else _holding(variable, columns)
    return listed if odd is None else f"{listed}; write {reference(odd)} for `{odd}`"


def _member(variable: str, columns: Collection[str], source: str) -> str | None:
    """The column that is asked of a whole row, such as `row['text']` or `row.text`."""
    asked = rf"(?<![\w.]){re.escape(variable)}(?:\[\s*(['\"])(?P<item>.+?)\1\s*\]|\.(?P<name>\w+))"
    named = (found["item"] or found["name"] for found in re.finditer(asked, source))
    return next((one for one in named if one in columns), None)


def _holding(variable: str, columns: Collection[str]) -> str | None:
    """The one column that no template can say as it is, and that has the variable among its words."""
    found = [one for one in columns if not is_plain(one) and variable.casefold() in re.findall(r"\w+", one.casefold())]
    return found[0] if len(found) == 1 else None
