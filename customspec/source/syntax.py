"""What a YAML syntax error means to the person who wrote the file.

PyYAML tells what it could not read and where it noticed. The cause is often elsewhere, and always in other words:
each rule below knows one mistake, and answers with the place to look at and what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from customspec.errors import Code, Location, Problem
from customspec.source.layout import Key, key_on, lone_word_above, sibling_of
from customspec.source.text import SourceText

# Possessive, and to the end where a quote is not closed: linear for any text.
_QUOTED = re.compile(r"\"(?:\\[\s\S]|[^\"\\])*+(?:\"|\Z)|(?<!\w)'[^'\n]*+'?")
_QUOTED_OR_BRACKET = re.compile(rf"{_QUOTED.pattern}|(?<=\s)#[^\n]*|[\[\]{{}}]")
_TEMPLATE = re.compile(r"(?:^|[:,\[{-])\s*(\{[{%#])")
_VALUE_END = re.compile(r"[ \t]*(?:[\r\n,:#}\]]|$)")
_FIRST_WORD = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|[^\s#]+")
_FOUND = re.compile(r"but (?:found|got) '(.+)'$")
_SLASHES = re.compile(r"\s*//")
_TEMPLATE_ENDS = {"{{": "}}", "{%": "%}", "{#": "#}"}
_CLOSERS = {"{": "}", "[": "]"}
_TOKENS = {"<scalar>": "text", "<stream end>": "end of the file", "<block mapping start>": "key", "?": "key"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """A syntax error in PyYAML's words; places are indices into the text."""

    source: SourceText
    problem: str
    index: int
    context: str
    opening: int
    """Where that began which PyYAML was reading."""
    quote: tuple[int, int] | None
    """Start and end of the quoted text that was read last."""

    @classmethod
    def of(cls, error: yaml.MarkedYAMLError, source: SourceText, quote: tuple[int, int] | None) -> Trouble:
        index = error.problem_mark.index if error.problem_mark else 0
        opening = error.context_mark.index if error.context_mark else index
        return cls(source, error.problem or "", index, error.context or "", opening, quote)

    @property
    def text(self) -> str:
        return self.source.text

    @property
    def character(self) -> str:
        return self.text[self.index : self.index + 1]

    @property
    def line(self) -> int:
        return self.source.place(self.index).line

    def at(self, index: int, message: str, hint: str, code: Code = Code.YAML_SYNTAX) -> Problem:
        return self.source.problem(code, message, index, hint)


def explain(trouble: Trouble) -> Problem:
    """The problem behind a syntax error, by the first rule that recognizes it."""
    return next((problem for rule in _RULES if (problem := rule(trouble))), _unexpected(trouble))


def unquoted_template(source: SourceText, index: int) -> Problem:
    """Jinja without quotes, which starts at `index`, is a mapping to YAML."""
    opening = source.text[index : index + 2]
    hint = f'quote the template: "{opening} … {_TEMPLATE_ENDS[opening]}"'
    return source.problem(Code.YAML_SYNTAX, f"`{opening}` starts a YAML mapping here", index, hint)


def _tab(trouble: Trouble) -> Problem | None:
    if not trouble.problem.startswith("found character") or trouble.character != "\t":
        return None
    line, column = trouble.source.lines[trouble.line - 1], trouble.source.place(trouble.index).column
    if line[: column - 1].strip():
        return trouble.at(trouble.index, "tab character between values", "replace the tab with a space")
    message = "tab character in indentation; YAML allows only spaces"
    return trouble.at(trouble.index, message, "replace the tab with 2 spaces")


def _unclosed_quote(trouble: Trouble) -> Problem | None:
    if trouble.context != "while scanning a quoted scalar":
        return None
    mark = trouble.text[trouble.opening]
    return trouble.at(trouble.opening, f"the text opened by {mark} here is never closed", f"add a closing {mark}")


def _run_on_quote(trouble: Trouble) -> Problem | None:
    """An unclosed quote ends at the next one's opening, lines below, with text right behind it."""
    if trouble.quote is None:
        return None
    start, end = trouble.quote
    last_line = trouble.source.place(end).line
    if trouble.source.place(start).line == last_line or _VALUE_END.match(trouble.text, end):
        return None
    mark = trouble.text[start]
    message = f"the text opened by {mark} here runs on to line {last_line}"
    return trouble.at(start, message, f"add the closing {mark} where it should end")


def _escape(trouble: Trouble) -> Problem | None:
    if trouble.context != "while scanning a double-quoted scalar":
        return None
    backslash = trouble.text.rindex("\\", 0, trouble.index)
    escape = trouble.text[backslash : backslash + 2]
    hint = "write `\\\\` for a backslash, or use single quotes"
    return trouble.at(backslash, f"`{escape}` is no escape that YAML knows", hint)


def _template(trouble: Trouble) -> Problem | None:
    in_flow = trouble.text[trouble.opening : trouble.opening + 1] in _CLOSERS
    for index in (trouble.opening, trouble.index) if in_flow else (trouble.index,):
        place = trouble.source.place(index)
        line = _QUOTED.sub(lambda quoted: " " * len(quoted.group()), trouble.source.lines[place.line - 1])
        if found := _TEMPLATE.search(line):
            start = index - (place.column - 1) + found.start(1)
            return unquoted_template(trouble.source, start)
    return None


def _after_quote(trouble: Trouble) -> Problem | None:
    if trouble.quote is None or not trouble.problem.startswith("expected"):
        return None
    if trouble.quote[1] > trouble.index or trouble.text[trouble.quote[1] : trouble.index].strip(" "):
        return None
    hint = "put the whole value inside the quotes"
    return trouble.at(trouble.index, "text after the closing quote", hint)


def _missing_colon(trouble: Trouble) -> Problem | None:
    if trouble.problem != "could not find expected ':'":
        return None
    word = _FIRST_WORD.match(trouble.text, trouble.opening)
    return _colon_after(word.group()[:40] if word else "", trouble.source.place(trouble.opening))


def _colon_after(word: str, place: Location) -> Problem:
    if ":" in word:
        message, hint = f"expected a space after the colon of `{word}`", "write `key: value`"
    else:
        message, hint = f"expected `:` after `{word}`", f"write `{word}:`"
    return Problem(Code.YAML_SYNTAX, message, place, hint)


def _second_colon(trouble: Trouble) -> Problem | None:
    if trouble.problem != "mapping values are not allowed here":
        return None
    key = key_on(trouble.source, trouble.line)
    in_text = trouble.at(trouble.index, "`: ` within text that is not quoted", "quote the whole value")
    if key is None or key.end != trouble.source.place(trouble.index).column or " " in key.name:
        return in_text
    if word := lone_word_above(trouble.source, trouble.line):
        return _colon_after(word.name, word.place)
    return _misaligned(trouble, key) or in_text


def _misaligned(trouble: Trouble, key: Key) -> Problem | None:
    sibling = sibling_of(trouble.source, key)
    if sibling is None or sibling.place.column == key.place.column:
        return None
    message = f"`{key.name}` is indented {key.spaces}, `{sibling.name}` above it {sibling.spaces}"
    hint = f"align it with `{sibling.name}` ({sibling.place.line}:{sibling.place.column})"
    return Problem(Code.YAML_SYNTAX, message, key.place, hint)


def _block_end(trouble: Trouble) -> Problem | None:
    if not trouble.problem.startswith(("expected <block end>", "expected '<document start>'")):
        return None
    if trouble.character == "-":
        hint = "indent it under its key, or remove the `- `"
        return trouble.at(trouble.index, "a list item stands beside keys", hint)
    key = key_on(trouble.source, trouble.line)
    if key and (problem := _misaligned(trouble, key)):
        return problem
    if "document" in trouble.problem:
        return trouble.at(
            trouble.index,
            "text after the end of the document",
            "a spec is one document: remove it",
            Code.YAML_DOCUMENTS,
        )
    return None


def _brackets(trouble: Trouble) -> Problem | None:
    opening = trouble.text[trouble.opening : trouble.opening + 1]
    if not trouble.context.startswith("while parsing a flow") or opening not in _CLOSERS:
        return None
    closer = _CLOSERS[opening]
    if not _is_closed(trouble.text, trouble.opening):
        return trouble.at(trouble.opening, f"`{opening}` opened here is never closed", f"add `{closer}`")
    hint = "separate entries by a comma, and quote text that holds any of , : [ ] { }"
    return trouble.at(trouble.index, f"expected `,` or `{closer}` here", hint)


def _is_closed(text: str, start: int) -> bool:
    expected: list[str] = []
    for token in _QUOTED_OR_BRACKET.finditer(text, start):
        if token.group() in _CLOSERS:
            expected.append(_CLOSERS[token.group()])
        elif token.group() in "]}" and expected.pop() != token.group():
            return False
        if not expected:
            return True
    return False


def _slashes(trouble: Trouble) -> Problem | None:
    """A comment as in JavaScript is text to YAML, and what follows it stands in the wrong place."""
    for line in range(trouble.line, trouble.source.place(trouble.opening).line - 1, -1):
        if found := _SLASHES.match(trouble.source.lines[line - 1]):
            place = Location(trouble.source.file, line, found.end() - 1)
            return Problem(Code.YAML_SYNTAX, "`//` begins no comment in YAML", place, "write `#` instead")
    return None


def _list_behind_key(trouble: Trouble) -> Problem | None:
    if trouble.problem != "sequence entries are not allowed here":
        return None
    hint = "start the list on the next line, or write it as [a, b]"
    return trouble.at(trouble.index, "a list cannot start on the line of its key", hint)


def _block_text(trouble: Trouble) -> Problem | None:
    if trouble.context != "while scanning a block scalar":
        return None
    mark = trouble.text[trouble.opening]
    hint = f"start the text on the next line, indented; quote the value if `{mark}` is part of it"
    return trouble.at(trouble.opening, f"text behind `{mark}` on the same line", hint)


def _tag(trouble: Trouble) -> Problem | None:
    if not trouble.context.endswith(" a tag") and "tag handle" not in trouble.problem:
        return None
    hint = "remove it; quote the value if `!` is part of a text"
    return trouble.at(trouble.opening, "tags `!…` are not allowed", hint, Code.YAML_TAG)


def _reserved(trouble: Trouble) -> Problem | None:
    reading = ("while scanning an alias", "while scanning an anchor", "while scanning a directive")
    if trouble.context not in reading and not trouble.problem.startswith("found character"):
        return None
    index = trouble.opening if trouble.context in reading else trouble.index
    character = trouble.text[index : index + 1]
    if trouble.text.startswith("```", index):
        return trouble.at(index, "a Markdown fence is no YAML", "remove the lines of ``` around the spec")
    message = f"a value cannot start with {'a backquote' if character == '`' else f'`{character}`'}"
    return trouble.at(index, message, "quote the value if it is text")


def _unexpected(trouble: Trouble) -> Problem:
    found = _FOUND.search(trouble.problem)
    if found is None:
        hint = "quote the value that it stands in, or start over from `customspec init`"
        return trouble.at(trouble.index, f"this is not valid YAML: {trouble.problem}", hint)
    if found.group(1) == ":":
        message = "the key before this `:` is missing"
        return trouble.at(trouble.index, message, "write `key: value`", Code.YAML_KEY_NOT_TEXT)
    token = _TOKENS.get(found.group(1), f"`{found.group(1)}`")
    hint = "remove it, or quote the whole value that it belongs to"
    return trouble.at(trouble.index, f"unexpected {token} here", hint)


_RULES: tuple[Callable[[Trouble], Problem | None], ...] = (
    _tab,
    _unclosed_quote,
    _run_on_quote,
    _escape,
    _slashes,
    _template,
    _after_quote,
    _missing_colon,
    _second_colon,
    _block_end,
    _brackets,
    _list_behind_key,
    _block_text,
    _tag,
    _reserved,
)
