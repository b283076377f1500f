"""What is wrong with a template, in a sentence, at the word that it is about."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from customspec.prompts import (
    AnyTemplate,
    Example,
    Fillable,
    PromptTemplate,
    Row,
    TemplateError,
    is_plain,
    reference,
)
from customspec.suggest import closest, did_you_mean

UNCLOSED = re.compile(r"innermost block that needs to be closed is '(\w+)'")
NAMED = re.compile(
    r"(?:filter|test) named '(\w+)'|unknown tag '(\w+)'|unexpected char '(.)' at|has no attribute '(\w+)'"
    r"|access to attribute '(\w+)'"
)
UNKNOWN = re.compile(r"(filter|test) named '(\w+)'")
LOST_END = re.compile(r"unknown tag '(else|elif|end\w+)'")
METHOD = re.compile(r"'str object' has no attribute '(\w+)'")
BLOCKS = {"else": "if", "elif": "if"}
LACKING = re.compile(r"^(?:sync_)?(?:do_)?(\w+)\(\) missing \d+ required positional arguments?: (.+)$")
NUMBERS_ONLY = re.compile(r"bad operand type for (\w+)\(\): '(\w+)'|type (\w+) doesn't define __(\w+)__ method")
OPERANDS = re.compile(r"unsupported operand type\(s\) for (\S+): '(\w+)' and '(\w+)'")
NO_NUMBER = re.compile(r"could not convert string to float: '(.*)'$", re.DOTALL)
COUNTED = ("linecount", "slices")
QUOTED = re.compile(r"'(\w+)'")
WRITTEN = "a column is written {{ NAME }}, a condition {% if NAME %} … {% endif %}"
REMEDIES = (
    (re.compile("access to attribute|access to `_"), "take a value itself, or its items: {{ NAME.ITEM }}"),
    (re.compile(r"operator `\*\*`"), "multiply by `*`"),
    (re.compile("load another template"), "write its text here"),
    (re.compile("takes the name of a column"), "for instance {{ column('NAME') }}"),
    (re.compile("nested too deeply"), "take the inner blocks or brackets apart by {% set NAME = … %}"),
    (UNKNOWN, "they are Jinja2's own, such as upper, lower, trim, replace and join"),
    (re.compile("unknown tag"), "tags are Jinja2's own: if, for, set, macro, filter, raw"),
    (NUMBERS_ONLY, "make a number of it first: {{ NAME | float }}"),
    (NO_NUMBER, "make a number of it first, which is 0 where it is none: {{ NAME | float }}"),
    (
        re.compile("can only concatenate|" + OPERANDS.pattern),
        "texts are joined by {{ A ~ B }}; {{ NAME | float }} is a number",
    ),
    (re.compile("by zero"), "write what stands there when the divisor is 0: {{ A / B if B else 0 }}"),
)
NUMBER = "a number"
KINDS = {"str": "text", "int": NUMBER, "float": NUMBER, "bool": "a boolean", "list": "a list", "dict": "an object"}
OPERATORS = {"&": "and", "|": "or", "!": "not", "?": "{{ a if b else c }}"}


def sentence(fault: TemplateError) -> str:
    """Jinja's message in our spelling."""
    if unclosed := UNCLOSED.search(str(fault)):
        return f"`{{% {unclosed[1]} %}}` is never closed"
    if lost := LOST_END.search(str(fault)):
        return f"`{{% {lost[1]} %}}` stands outside of a block that it could belong to"
    if (lacking := LACKING.search(str(fault))) is not None:
        return f"`{lacking[1]}` needs {lacking[2]}".replace("'", "`")
    if (refused := NUMBERS_ONLY.search(str(fault))) is not None:
        return f"`{refused[1] or refused[4]}` takes a number, and was given {_kind(refused[2] or refused[3])}"
    if (operands := OPERANDS.search(str(fault))) is not None:
        return f"`{operands[1]}` does not go with {_kind(operands[2])} and {_kind(operands[3])}"
    if (no_number := NO_NUMBER.search(str(fault))) is not None:
        return f"`{no_number[1]}` is no number"
    text = re.sub(r" at \d+$", "", str(fault).removesuffix("."))
    text = (
        text.replace("'end of template'", "end of template")
        .replace("'end of print statement'", "`}}`")
        .replace("'end of statement block'", "`%}`")
    )
    text = re.sub(r"'(\w+) object'|'(\w+)' object", lambda found: KINDS.get(found[1] or found[2], found[0]), text)
    text = re.sub(r"'([^']*)'", r"`\1`", text)
    return text[:1].lower() + text[1:]


def _kind(name: str) -> str:
    return KINDS.get(name, f"`{name}`")


def word(fault: TemplateError, source: str) -> str | None:
    """The part of the template that the message is about, where that is certain."""
    if unclosed := UNCLOSED.search(str(fault)):
        tags = re.findall(rf"{{%[-+]?\s*{unclosed[1]}\b", source)
        return tags[0] if len(tags) == 1 else None
    named = NAMED.search(str(fault))
    return next(filter(None, named.groups()), None) if named else fault.word


def unquoted(source: str, columns: Collection[str], variable: str | None = None) -> str | None:
    """How to write a column whose name is none that a template can say as it is, where one stands there; with a
    `variable`, only where that is a part of its name."""
    inside = re.findall(r"{{-?([^{}]*?)-?}}", source)
    written = {part.strip() for inner in inside for part in (inner, inner.partition("|")[0])}
    column = next((one for one in columns if one in written and not is_plain(one) and _has(one, variable)), None)
    return None if column is None else f"write {reference(column)}"


def _has(column: str, variable: str | None) -> bool:
    return variable is None or variable in re.findall(r"\w+", column)


def guess(fault: TemplateError) -> str:
    """What to write instead: the filter, test or method that was probably meant, where one is near."""
    return _known(fault) or WRITTEN


def filled_otherwise(fault: TemplateError, fields: Mapping[str, Any]) -> str:
    """What to write instead where a row cannot be filled in; where nothing is near, what the row's columns are."""
    kinds = (f"`{name}` is {KINDS.get(type(value).__name__, 'null')}" for name, value in sorted(fields.items()))
    return _known(fault) or f"in that row {', '.join(kinds)}"


def _known(fault: TemplateError) -> str | None:
    return _near(fault) or next((hint for pattern, hint in REMEDIES if pattern.search(str(fault))), None)


def _near(fault: TemplateError) -> str | None:
    from jinja2.filters import FILTERS
    from jinja2.tests import TESTS

    from customspec.templates import UNREPEATABLE

    if unknown := UNKNOWN.search(str(fault)):
        if unknown[1] == "filter" and unknown[2] in UNREPEATABLE:
            return f"`{unknown[2]}` is left out, since a run must be repeatable; remove it"
        there = FILTERS.keys() - UNREPEATABLE if unknown[1] == "filter" else TESTS.keys()
        return did_you_mean(closest(unknown[2], sorted(there), {}))
    public = (name for name in dir(str) if not name.startswith("_"))  # the others are refused
    if (method := METHOD.search(str(fault))) and (nearest := closest(method[1], public, {})):
        return did_you_mean(nearest)
    if unclosed := UNCLOSED.search(str(fault)):
        return f"add `{{% end{unclosed[1]} %}}`"
    if lost := LOST_END.search(str(fault)):
        block = BLOCKS.get(lost[1], lost[1].removeprefix("end"))
        return f"remove it, or begin its block before it: `{{% {block} … %}}`"
    if lacking := LACKING.search(str(fault)):
        arguments = ", ".join("2" if name in COUNTED else f"'{name.upper()}'" for name in QUOTED.findall(lacking[2]))
        return f"write {{{{ NAME | {lacking[1]}({arguments}) }}}}"
    operator = re.search("unexpected char '([&|!?])'", str(fault))
    return f"write `{OPERATORS[operator[1]]}`" if operator else None


def why_empty(answer: str, template: Fillable, row: Row) -> str | None:
    if not answer:
        return "the answer is empty"
    null = [name for name in sorted(template.variables) if row.fields[name] is None]
    # Jinja prints null as this word
    return f"the answer is empty: `{null[0]}` is null" if null and answer == "None" else None


def null_shown(template: AnyTemplate, example: Example, row: Row) -> tuple[str, str, str] | None:
    """The part of a prompt that shows a column that is null in the row, the column, and a hint: Jinja prints `None`."""
    if not isinstance(template, PromptTemplate):
        return None
    for part, text in (("system", example.system), ("user", example.user), ("answer", example.answer)):
        fill: Fillable | None = getattr(template, part)
        if fill is None or text is None or "None" not in text:
            continue
        for column in sorted(fill.printed):
            if row.fields[column] is None and _shows(fill, column, text, row):
                instead = reference(column).replace(" }}", " or '' }}")
                return part, column, f"write that row's value, remove the row, or write {instead}"
    return None


def _shows(fill: Fillable, column: str, text: str, row: Row) -> bool:
    """Whether the null is what says `None`: the word may be the row's own, and the column behind a condition."""
    try:
        return fill.render({**row.fields, column: ""}).count("None") < text.count("None")
    except TemplateError:
        return False
