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
    """At most so many characters of a text; where it was longer, the last of them is `…`."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def escape_lines(text: str) -> str:
    """As `escape`, but line feeds and tabs stay."""
    return "\n".join("\t".join(map(escape, line.split("\t"))) for line in text.split("\n"))
