"""Text that others wrote, made safe to show."""

from __future__ import annotations


def escape(text: str) -> str:
    r"""The text with every character that is not printable as an escape: `\x1b`, `\u202e`, `\n`.

    Nothing in what is returned can move a cursor, colour a terminal, break a line or reorder what is beside it.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def clipped(text: str, most: int) -> str:
    """The text, of which no more than so many characters are told; the last then says that there are more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def shown(text: str) -> str:
    """The same for text of several lines: line feeds and tabs stay."""
    return "\n".join("\t".join(map(escape, line.split("\t"))) for line in text.split("\n"))
