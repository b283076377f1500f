"""Rows that ask the same, or nearly the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from customspec.inputs.splitting import overlap
from customspec.prompts import Example

NEAR = 0.9  # cosine of two questions' character n-grams
MOST = 5000  # rows of a split that are compared with all others; more would take long
CHUNK = 500  # rows compared at once


def text_of(example: Example) -> str:
    """All that a row asks."""
    return "\n".join([example.system or "", *(turn.content for turn in example.history), example.user])


def same(first: Sequence[Example], second: Sequence[Example]) -> list[tuple[int, int]]:
    """Which rows of `first` ask what a row of `second` asks: the index of each, and of the first equal one."""
    return overlap([text_of(one) for one in first], [text_of(one) for one in second])


def repeated(rows: Sequence[Example]) -> list[tuple[int, int]]:
    """Rows that an earlier row of the same split equals: the index of each, and of the first equal one."""
    return [(later, earlier) for later, earlier in same(rows, rows) if later != earlier]


def conflicting(rows: Sequence[Example]) -> list[tuple[int, int]]:
    """Rows that ask what an earlier one asks and answer otherwise."""
    return [(later, earlier) for later, earlier in repeated(rows) if rows[later].answer != rows[earlier].answer]


def near(first: Sequence[Example], second: Sequence[Example] | None = None) -> list[tuple[int, int]]:
    """Rows of `first` whose question is nearly, and not exactly, one of `second` (of an earlier row of `first`).

    Nearly: their character n-grams (3 to 5, within words, by TF-IDF over all rows here) have a cosine of 0.9 or more.
    Of each split the first 5,000 rows are looked at.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    ours = [one.user for one in islice(first, MOST)]
    theirs = ours if second is None else [one.user for one in islice(second, MOST)]
    if not any(text.strip() for text in ours) or not theirs:
        return []
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True).fit([*ours, *theirs])
    left, right = vectors.transform(ours), vectors.transform(theirs).T.tocsc()
    equal = {later: earlier for later, earlier in overlap(ours, theirs) if second is not None or later != earlier}
    found: dict[int, int] = {}
    for start in range(0, len(ours), CHUNK):
        alike = (left[start : start + CHUNK] @ right).tocoo()
        for row, column, cosine in zip(alike.row, alike.col, alike.data, strict=True):
            later, earlier = start + int(row), int(column)
            before = second is not None or earlier < later
            if before and cosine >= NEAR and later not in equal:
                found.setdefault(later, earlier)
    return sorted(found.items())
