from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from collections import Counter
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customspec.inputs.splitting import nested, overlap, split_off

Item = tuple[int, str, str]  # number, stratum, group

LETTERS = st.sampled_from("abcde")
ITEMS = st.lists(st.tuples(LETTERS, LETTERS), min_size=2, max_size=60).map(
    lambda pairs: [(number, stratum, group) for number, (stratum, group) in enumerate(pairs)]
)
SHARES = st.sampled_from([0.01, 0.1, 0.2, 0.3, 0.5, 0.75, 0.9, 0.99])
SEEDS = st.integers(0, 2**32 - 1)


def stratum_of(item: Item) -> str:
    return item[1]


def group_of(item: Item) -> str:
    return item[2]


def items(strata: str, groups: str | None = None) -> list[Item]:
    return [(number, *pair) for number, pair in enumerate(zip(strata, groups or strata, strict=True))]


@settings(derandomize=True)
@given(ITEMS, SHARES, SEEDS, st.booleans(), st.booleans())
def test_a_split_is_a_partition_in_the_original_order_with_rows_on_both_sides(
    rows: list[Item], share: float, seed: int, stratified: bool, grouped: bool
) -> None:
    grouped = grouped and len(set(map(group_of, rows))) > 1
    kept, off = split_off(
        rows,
        share=share,
        seed=seed,
        stratum=stratum_of if stratified else None,
        group=group_of if grouped else None,
    )
    assert sorted(kept + off) == rows
    assert kept == sorted(kept)
    assert off == sorted(off)
    assert kept
    assert off


@settings(derandomize=True)
@given(ITEMS, SHARES, SEEDS)
def test_no_group_is_divided(rows: list[Item], share: float, seed: int) -> None:
    if len(set(map(group_of, rows))) == 1:
        rows = [*rows, (len(rows), "a", "another")]
    kept, off = split_off(rows, share=share, seed=seed, stratum=stratum_of, group=group_of)
    assert not set(map(group_of, kept)) & set(map(group_of, off))


@settings(derandomize=True)
@given(ITEMS, SHARES, SEEDS)
def test_each_stratum_is_within_one_row_of_its_exact_share(rows: list[Item], share: float, seed: int) -> None:
    _, off = split_off(rows, share=share, seed=seed, stratum=stratum_of, group=None)
    taken = Counter(map(stratum_of, off))
    for stratum, size in Counter(map(stratum_of, rows)).items():
        assert abs(taken[stratum] - Fraction(str(share)) * size) < 1
        assert taken[stratum] < size or size == 1


@settings(derandomize=True)
@given(st.integers(2, 200), SHARES, SEEDS)
def test_without_strata_the_share_is_met_to_the_nearest_row(count: int, share: float, seed: int) -> None:
    _, off = split_off(range(count), share=share, seed=seed, stratum=None, group=None)
    assert len(off) == min(max(round(Fraction(str(share)) * count), 1), count - 1)


@settings(derandomize=True)
@given(ITEMS, SEEDS)
def test_groups_of_one_row_are_split_like_rows(rows: list[Item], seed: int) -> None:
    by_row = split_off(rows, share=0.3, seed=seed, stratum=stratum_of, group=None)
    by_group = split_off(rows, share=0.3, seed=seed, stratum=stratum_of, group=lambda item: str(item[0]))
    assert by_group == by_row


def test_every_seed_draws_another_split() -> None:
    splits = {str(split_off(range(50), share=0.2, seed=seed, stratum=None, group=None)) for seed in range(20)}
    assert len(splits) == 20


def test_the_split_of_a_seed_never_changes() -> None:
    _, off = split_off(items("aabbbaabbb" * 2), share=0.25, seed=7, stratum=stratum_of, group=None)
    assert [number for number, *_ in off] == [3, 6, 8, 10, 14]


def test_the_split_does_not_depend_on_hash_randomization() -> None:
    program = (
        "from customspec.inputs.splitting import split_off\n"
        "rows = [f'{n % 7} {n // 3}' for n in range(100)]\n"
        "key = lambda place: lambda row: row.split()[place]\n"
        "print(split_off(rows, share=0.2, seed=1, stratum=key(0), group=key(1)))"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(prints) == 1


def test_a_stratum_of_one_row_is_kept_while_others_can_give() -> None:
    rows = items("a" * 5 + "bcdef")
    for seed in range(50):
        _, off = split_off(rows, share=0.1, seed=seed, stratum=stratum_of, group=None)
        assert set(map(stratum_of, off)) == {"a"}


def test_what_a_stratum_is_too_coarse_to_give_the_next_one_makes_up_for() -> None:
    strata = "".join(letter * 10 for letter in "abcdefghijklmnopqrst")  # each has two groups of five rows
    rows = [(number, stratum, str(number // 5)) for number, stratum in enumerate(strata)]
    _, off = split_off(rows, share=0.2, seed=0, stratum=stratum_of, group=group_of)
    assert len(off) == 40


def test_a_group_counts_for_the_stratum_of_most_of_its_rows() -> None:
    rows = items("aab" * 4 + "b" * 12, "000111222333" + "uvwxyz456789")  # by majority: 4 groups of a, 12 of b
    for seed in range(20):
        _, off = split_off(rows, share=0.25, seed=seed, stratum=stratum_of, group=group_of)
        assert len({group_of(row) for row in off} & set("0123")) == 1
        assert len(off) == 6


@pytest.mark.parametrize(
    ("strata", "share", "left", "right"), [("a" * 9 + "b" * 8, 0.01, 9, 8), ("a" * 10 + "b" * 9, 0.9, 9, 10)]
)
def test_where_the_groups_are_too_large_the_smallest_changes_sides(
    strata: str, share: float, left: int, right: int
) -> None:
    rows = items(strata)
    kept, off = split_off(rows, share=share, seed=0, stratum=stratum_of, group=group_of)
    assert (len(kept), len(off)) == (left, right)


@pytest.mark.parametrize(
    ("strata", "share", "message"),
    [
        ("", 0.2, "a split needs at least 2 rows, not 0"),
        ("a", 0.2, "a split needs at least 2 rows, not 1"),
        ("ab", 0.0, "the share to split off must lie between 0 and 1, not 0.0"),
        ("ab", 1.0, "the share to split off must lie between 0 and 1, not 1.0"),
        ("ab", float("nan"), "the share to split off must lie between 0 and 1, not nan"),
    ],
)
def test_what_cannot_be_split_is_refused_with_a_sentence(strata: str, share: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        split_off(items(strata), share=share, seed=0, stratum=None, group=None)


def test_rows_of_one_group_cannot_be_split() -> None:
    with pytest.raises(ValueError, match=r"^a split needs at least 2 groups; all 3 rows are of one$"):
        split_off(items("aaa"), share=0.2, seed=0, stratum=None, group=group_of)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A card", "a  CARD\n"),
        ("STRASSE", "straße"),
        ("ﬁne", "FINE"),
        ("caf\u00e9", "cafe\u0301"),
        ("１２", "12"),
        ("a\u2028b", " a b"),
        ("", " \t"),
    ],
)
def test_texts_overlap_after_normalising_width_case_and_space(one: str, other: str) -> None:
    assert overlap([one], [other]) == [(0, 0)]
    assert overlap([other], [one]) == [(0, 0)]


@pytest.mark.parametrize(("one", "other"), [("card", "cards"), ("a b", "ab"), ("résumé", "resume")])
def test_different_texts_do_not_overlap(one: str, other: str) -> None:
    assert overlap([one], [other]) == []


def test_a_repeated_text_is_paired_with_its_first_equal() -> None:
    assert overlap(["x", "a", "A", "b"], ["b", "a", "a"]) == [(1, 1), (2, 1), (3, 0)]


@settings(derandomize=True)
@given(st.lists(st.text("aA bﬁ\u0301é"), max_size=8), st.lists(st.text("aA bﬁ\u0301é"), max_size=8))
def test_overlap_finds_what_comparing_every_pair_finds(first: list[str], second: list[str]) -> None:
    def key(text: str) -> str:
        folded = unicodedata.normalize("NFKC", text).casefold()
        return " ".join(unicodedata.normalize("NFKC", folded).split())

    equal = [(i, j) for i, one in enumerate(first) for j, other in enumerate(second) if key(one) == key(other)]
    assert overlap(first, second) == [(i, min(j for k, j in equal if k == i)) for i in sorted({i for i, _ in equal})]


class TestNested:
    ROWS = tuple(range(120))

    @staticmethod
    def stratum(row: int) -> str:
        return "rare" if row % 6 == 0 else "common"

    def test_a_smaller_share_lies_within_a_larger_one(self) -> None:
        shares = [set(nested(self.ROWS, share, 3, self.stratum)) for share in (0.1, 0.25, 0.5, 0.75, 1)]
        assert [len(share) for share in shares] == [12, 30, 60, 90, 120]
        assert all(smaller < larger for smaller, larger in pairwise(shares))

    def test_strata_keep_their_proportions(self) -> None:
        for share in (0.1, 0.25, 0.5):
            rare = sum(row % 6 == 0 for row in nested(self.ROWS, share, 3, self.stratum))
            assert abs(rare - 20 * share) <= 1

    def test_groups_stay_whole_and_nested(self) -> None:
        def group(row: int) -> str:
            return str(row // 7)

        shares = [nested(self.ROWS, share, 0, self.stratum, group) for share in (0.2, 0.5, 0.8)]
        for share, kept in zip((0.2, 0.5, 0.8), shares, strict=True):
            assert abs(len(kept) - 120 * share) <= 4
            groups = {group(row) for row in kept}
            assert sorted(kept) == kept == [row for row in self.ROWS if group(row) in groups]
        assert all(set(smaller) < set(larger) for smaller, larger in pairwise(shares))

    def test_another_seed_gives_other_rows_and_there_is_always_one(self) -> None:
        assert nested(self.ROWS, 0.5, 0) != nested(self.ROWS, 0.5, 1)
        assert len(nested(self.ROWS, 0.001, 0)) == 1
