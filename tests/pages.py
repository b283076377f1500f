"""What tests read of a report's page."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input", "base"}


class Page(HTMLParser):
    """Every element with its attributes, every table as rows of cells, and the text outside of styles."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.tables: list[list[list[str]]] = []
        self.styles: list[str] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            self.styles.append(data)
            return
        self.text.append(data)
        if ("td" in self.open or "th" in self.open) and "svg" not in self.open:
            self.tables[-1][-1][-1] += data

    @property
    def words(self) -> str:
        """All text, blanks collapsed."""
        return " ".join("".join(self.text).split())

    def rows(self, first: str) -> Iterator[list[str]]:
        """The lines of all tables that begin with a cell."""
        for table in self.tables:
            for row in table:
                if row and row[0] == first:
                    yield [" ".join(cell.split()) for cell in row]
