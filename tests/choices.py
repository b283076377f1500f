"""What tests of scores share: choices to score, and by how much two scorings differ."""

from __future__ import annotations

Scores = list[list[float]]

# prefixes of one another, one token, a long one, one twice
CHOICES = [[5, 2], [5, 6, 2], [5, 6, 7, 2], [5, 6], [9], [8, 8, 8, 8, 8, 8, 2], [5, 2]]
FED = 3 + 6  # 5, 56, 567 and 8 to 888888: a choice's last token is predicted, not fed


def difference(one: Scores, other: Scores) -> float:
    return max(abs(a - b) for row, like in zip(one, other, strict=True) for a, b in zip(row, like, strict=True))
