"""What others wrote, in Markdown: rendered by a Markdown library, it is the text and nothing else."""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from customspec.report.markdown import code, plain, table

HOSTILE = [
    "<script>alert(1)</script>",
    "a | b || c",
    "`tick` ``two``",
    "`",
    "[link](http://evil.example) ![x](http://evil.example/x.png)",
    "https://evil.example www.evil.example",
    "@everyone and #1",
    "**bold** _it_ ~~no~~ $x$",
    "&lt; &amp; &copy;",
    "\\` \\| \\",
    "# title\n\n- list",
    "\x1b[31mred\x1b[0m \u202eback",
]


def rendered(markdown: str) -> str:
    return str(MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown))


@pytest.mark.parametrize("text", HOSTILE)
def test_plain_text_stays_text(text: str) -> None:
    html = rendered(f"before {plain(text)} after").strip()
    assert html.count("<") == 2, html  # the paragraph alone
    assert not re.search(r"(?<!\\)://|www\.", plain(text))  # of which GitHub makes links
    assert "@e" not in html


@pytest.mark.parametrize("text", HOSTILE)
def test_a_code_span_holds_all_of_it(text: str) -> None:
    html = rendered(f"before {code(text)} after").strip()
    assert html.startswith("<p>before <code>")
    assert html.endswith("</code> after</p>")
    assert html.count("<") == 4, html


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_stays_a_cell(text: str) -> None:
    html = rendered(table(("a", "b"), [(code(text, cell=True), plain(text))]))
    assert html.count("<td") == 2, html
    assert html.count("<tr>") == 2
    assert html.count("<code>") == 1


def test_control_characters_are_escapes() -> None:
    for shown in (plain("\x1b\u202e"), code("\x1b\u202e")):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "x1b" in shown
