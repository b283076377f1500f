"""A lock as text: YAML that our own reader, which reads YAML 1.2, reads back as what was written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import inf
from typing import Any, Final

import yaml

from customspec.errors import SpecError, UsageError
from customspec.source import Kind, parse, reads_as_text

HEAD: Final = (
    "# What the specs beside this file run on. Written by `customspec lock`, checked by `customspec run --locked`.\n"
)
AGAIN: Final = "remove it, and make it anew with `customspec lock SPEC`"
LOCK_FILE: Final = Kind(
    "lock",
    missing=AGAIN,
    start=AGAIN,
    shrink=AGAIN,
    most_bytes=4 * 1024 * 1024,
    most_values=100_000,
)
_TEXT: Final = "tag:yaml.org,2002:str"
_ESCAPED: Final = re.compile("[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")


def lock_text(tree: Mapping[str, Any]) -> str:
    """The same text for the same tree. Raises UsageError for one with a text that no lock can hold."""
    text: str = HEAD + yaml.dump(tree, Dumper=_Dumper, sort_keys=True, width=inf, allow_unicode=True)
    try:
        same = parse(text, "customspec.lock", LOCK_FILE).data == tree
    except SpecError as error:
        raise UsageError(f"no lock can hold this: {error.problems[0].message}") from error
    assert same
    return text


class _Dumper(yaml.SafeDumper):
    """Writes YAML 1.1, which has other numbers and line breaks than 1.2: what either would read as another value, or
    not as one line, is quoted."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        """The tag that a reader gives a scalar. It is quoted where that is not the text's own."""
        tag = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        is_plain = kind is yaml.ScalarNode and implicit[0]
        return "tag:yaml.org,2002:float" if is_plain and tag == _TEXT and not reads_as_text(value) else tag

    def ignore_aliases(self, data: Any) -> bool:
        """Our reader knows none."""
        return True


def _represented(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = '"' if _ESCAPED.search(text) else None
    node: yaml.ScalarNode = dumper.represent_scalar(_TEXT, text, style=style)
    return node


_Dumper.add_representer(str, _represented)
