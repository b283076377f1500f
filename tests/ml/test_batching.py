"""Batches of like lengths."""

from __future__ import annotations

from customspec.ml.batching import batches, left_padded

LENGTHS = [3, 9, 4, 9, 1]


def test_batches_hold_every_index_once_longest_first_within_the_budget() -> None:
    assert list(batches(LENGTHS, lambda rows, width: rows * width <= 18)) == [[1, 3], [2, 0, 4]]


def test_a_row_that_is_too_long_for_the_budget_goes_alone() -> None:
    assert list(batches(LENGTHS, lambda rows, width: rows * width <= 4)) == [[1], [3], [2], [0], [4]]


def test_even_batches_hold_rows_of_one_length() -> None:
    assert list(batches(LENGTHS, lambda rows, width: True, even=True)) == [[1, 3], [2], [0], [4]]


def test_rows_are_padded_on_the_left() -> None:
    tokens, real = left_padded([[5, 6, 7], [8]], pad=1)
    assert tokens.tolist() == [[5, 6, 7], [1, 1, 8]]
    assert real.tolist() == [[True, True, True], [False, False, True]]
