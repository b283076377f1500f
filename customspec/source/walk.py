"""One pass over the events of a YAML text: data, places and every problem that does not end the pass.

Events, not nodes: limits hold before anything is built, nothing is resolved by PyYAML's own (1.1) rules,
and the recursion here is as deep as the limit at most.
"""

from __future__ import annotations

import json
import re

import yaml

from customspec.errors import MOST_PROBLEMS, Code, Location, Problem, SpecError, too_many
from customspec.source.document import KeyPath, Mark
from customspec.source.scalars import NumberError, core_value
from customspec.source.syntax import Trouble, explain, unquoted_template
from customspec.source.text import SourceText

MAX_DEPTH = 64
MAX_SHOWN = 40  # characters of a key or value within a message

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_COMMA = re.compile(r"(?<![\w.])(-?\d+),\Z")
_TAG = re.compile(r"![^\s,\[\]{}]*")
_Start = yaml.CollectionStartEvent | yaml.ScalarEvent


class Walk:
    """Reads one text once; all that is public is complete when `document` has returned.

    `root` is the index at which the document's value starts.
    """

    def __init__(self, source: SourceText, most_values: int, shrink: str) -> None:
        self.marks: dict[KeyPath, Mark] = {}
        self.problems: list[Problem] = []
        self.root = 0
        self._source = source
        self._loader = yaml.SafeLoader(source.text)
        self._depth = 0
        self._nodes = 0
        self._most_nodes = most_values
        self._shrink = shrink
        self._quote: tuple[int, int] | None = None

    def document(self) -> object:
        """The value of the text's one document, None if it is empty. Raises SpecError where it cannot go on."""
        self._next()
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        first = self._next()
        self.root = _start(first)
        value = self._node(first, ())
        self._next()
        if not isinstance(second := self._next(), yaml.StreamEndEvent):
            message = "a second document starts here; a file holds one"
            self._add(Code.YAML_DOCUMENTS, message, _start(second), "put it in a file of its own")
        return value

    def _node(self, event: yaml.Event, path: KeyPath) -> object:
        if isinstance(event, yaml.AliasEvent):
            self._refuse_alias(event)
            return None
        assert isinstance(event, _Start)
        self._refuse_properties(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if self._source.text.startswith("{{", _start(event)):
            self._refuse_template(event)
            return None
        return self._mapping(event, path) if isinstance(event, yaml.MappingStartEvent) else self._sequence(path)

    def _sequence(self, path: KeyPath) -> list[object]:
        items: list[object] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items)), None))
        return items

    def _mapping(self, opening: yaml.CollectionStartEvent, path: KeyPath) -> dict[str, object]:
        entries: dict[str, object] = {}
        while not isinstance(key_event := self._next(), yaml.MappingEndEvent):
            key = None if opening.flow_style and self._refuse_comma(key_event) else self._key(key_event, path)
            child = (*path, key or "")
            event = self._next()
            if opening.flow_style and key is not None:
                self._refuse_missing_colon(key_event, event)
            if key == "<<" and isinstance(event, yaml.AliasEvent):
                continue
            value = self._value(event, child, self._source.place(_start(key_event)))
            if key in entries:
                self._duplicate(key_event, child, entries[key])
            elif key is not None:
                entries[key] = value
        return entries

    def _value(self, event: yaml.Event, path: KeyPath, key: Location | None) -> object:
        start = _start(event)
        plain = self._source.text[start : _end(event)] if _is_plain(event) else ""
        self.marks.setdefault(path, Mark(key, self._source.place(start), 0 if "\n" in plain else len(plain)))
        return self._node(event, path)

    def _key(self, event: yaml.Event, path: KeyPath) -> str | None:
        """The key, or None when a problem with it was found."""
        before = len(self.problems)
        key = self._node(event, path)
        if len(self.problems) > before:
            return None
        if not isinstance(key, str):
            self._key_not_text(event, key)
            return None
        if key == "<<" and _is_plain(event):
            hint = "repeat the keys that are meant"
            self._add(Code.YAML_ALIAS, "merge keys `<<` are not supported", _start(event), hint)
        return key

    def _key_not_text(self, event: yaml.Event, key: object) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            kind = "a list" if isinstance(key, list) else "a mapping"
            hint = "write `key: value`; a template is quoted"
            self._add(Code.YAML_KEY_NOT_TEXT, f"keys must be text; found {kind}", _start(event), hint)
        elif not event.value:
            hint = "write `key: value`"
            self._add(Code.YAML_KEY_NOT_TEXT, "the key before this `:` is missing", _start(event), hint)
        else:
            shown = _cut(event.value)
            kind = "the boolean" if isinstance(key, bool) else "the number" if key is not None else "the empty value"
            hint = f'quote it if you mean the text: "{shown}"'
            self._add(Code.YAML_KEY_NOT_TEXT, f"keys must be text; found {kind} `{shown}`", _start(event), hint)

    def _scalar(self, event: yaml.ScalarEvent) -> object:
        if control := _CONTROL.search(event.value):
            message = f"control character U+{ord(control.group()):04X} in a text"
            self._add(Code.YAML_SYNTAX, message, _start(event), "remove its escape")
        if not _is_plain(event):
            return event.value
        try:
            return core_value(event.value)
        except NumberError as error:
            self._add(Code.YAML_NUMBER, error.message, _start(event), error.hint)
            return None

    def _refuse_alias(self, event: yaml.AliasEvent) -> None:
        hint = "repeat what it stands for; quote it if it is text"
        self._add(Code.YAML_ALIAS, f"alias `*{_cut(event.anchor or '')}` is not supported", _start(event), hint)

    def _refuse_template(self, event: yaml.Event) -> None:
        self._note(unquoted_template(self._source, _start(event)))
        outside = self._depth - 1
        while self._depth > outside:
            self._next()

    def _refuse_properties(self, event: _Start) -> None:
        text, start = self._source.text, _start(event)
        if event.anchor is not None:
            hint = "repeat what it stands for; an alias can make a small file expand without bound"
            self._add(Code.YAML_ALIAS, f"anchor `&{_cut(event.anchor)}` is not supported", text.index("&", start), hint)
        if event.tag is not None and (tag := _TAG.search(text, start)):
            self._add(Code.YAML_TAG, f"tag `{_cut(tag.group())}` is not allowed", tag.start(), _tag_hint(tag.group()))

    def _refuse_missing_colon(self, key: yaml.Event, value: yaml.Event) -> None:
        """`{shots:8}` is a key `shots:8` without a value to YAML."""
        text, start, end = self._source.text, _start(value), _end(key)
        if not isinstance(key, yaml.ScalarEvent) or _end(value) > start or text[start : start + 1] not in (",", "}"):
            return
        if ":" not in text[end:start]:
            hint = "write a space after the colon" if ":" in key.value else "write `key: value`"
            self._add(Code.YAML_SYNTAX, f"`{_cut(key.value)}` has no value", _start(key), hint)

    def _refuse_comma(self, key: yaml.Event) -> bool:
        """`{at_least: 0,8}` is a number `0` and a key `8` to YAML. Whether that was said."""
        start = _start(key)
        whole = _COMMA.search(self._source.text, max(0, start - 20), start)
        if whole is None or not isinstance(key, yaml.ScalarEvent) or not (_is_plain(key) and key.value.isdecimal()):
            return False
        hint = f"the decimal point is a point: {whole[1]}.{key.value[:20]}"
        self._add(Code.YAML_NUMBER, "a comma inside a number", whole.start(), hint)
        return True

    def _duplicate(self, event: yaml.Event, path: KeyPath, first: object) -> None:
        place = self.marks[path].key
        where = f" at {place.line}:{place.column}" if place else ""
        message = f"`{_cut(str(path[-1]))}` is already set{where} ({_described(first)})"
        self._add(Code.YAML_DUPLICATE_KEY, message, _start(event), "remove one of the two")

    def _next(self) -> yaml.Event:
        try:
            event: yaml.Event = self._loader.get_event()  # type: ignore[no-untyped-call]
        except yaml.MarkedYAMLError as error:
            trouble = Trouble.of(error, self._source, self._quote)
            raise self._stop(explain(trouble)) from None
        except (ValueError, OverflowError):
            # PyYAML gives an escape's number to chr() and a directive's version to int() unchecked.
            index = self._loader.get_mark().index
            message = "the number here is out of range"
            hint = "write the escape as a character itself, or quote the number"
            raise self._stop(self._source.problem(Code.YAML_SYNTAX, message, index, hint)) from None
        self._observe(event)
        return event

    def _observe(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent) and event.style in ("'", '"'):
            self._quote = (_start(event), _end(event))
        if isinstance(event, yaml.CollectionEndEvent):
            self._depth -= 1
        if isinstance(event, yaml.CollectionStartEvent):
            self._depth += 1
        self._nodes += isinstance(event, yaml.NodeEvent)
        if self._depth > MAX_DEPTH:
            hint = "close the brackets before it; no spec needs more than ten levels"
            raise self._limit(f"nested deeper than {MAX_DEPTH} levels", event, hint)
        if self._nodes > self._most_nodes:
            raise self._limit(f"more than {self._most_nodes:,} values", event, self._shrink)

    def _limit(self, message: str, event: yaml.Event, hint: str) -> SpecError:
        return self._stop(self._source.problem(Code.YAML_LIMIT, message, _start(event), hint))

    def _add(self, code: Code, message: str, index: int, hint: str) -> None:
        self._note(self._source.problem(code, message, index, hint))

    def _note(self, problem: Problem) -> None:
        if len(self.problems) == MOST_PROBLEMS:
            raise too_many(self.problems)
        self.problems.append(problem)

    def _stop(self, problem: Problem) -> SpecError:
        return SpecError(tuple(dict.fromkeys((*self.problems, problem))))


def _start(event: yaml.Event) -> int:
    return event.start_mark.index if event.start_mark else 0


def _end(event: yaml.Event) -> int:
    return event.end_mark.index if event.end_mark else 0


def _is_plain(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.implicit[0]


def _tag_hint(tag: str) -> str:
    if tag.startswith("!!"):
        return "remove it; a spec holds plain data only"
    return "remove it; code comes from an installed plugin, never from a spec"


def _described(value: object) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return f"value {_cut(json.dumps(value, ensure_ascii=False))}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"
