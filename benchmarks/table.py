"""A table of a page of results, with the promises that its figures break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """What is shown, and which promises it breaks."""

    title: str
    note: str
    head: tuple[str, ...]
    lines: Sequence[Sequence[str]]
    broken: Sequence[str] = ()

    def markdown(self) -> str:
        rows = [self.head, tuple("---" for _ in self.head), *self.lines]
        table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
        verdict = "\n".join(f"**Not kept: {broken}**" for broken in self.broken)
        return f"## {self.title}\n\n{self.note}\n\n{table}\n" + (f"\n{verdict}\n" if verdict else "")
