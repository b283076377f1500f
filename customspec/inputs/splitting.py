"""Splitting rows off by a seed, stratified and in whole groups; and finding texts that two splits share. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from random import Random
from typing import TypeVar
from unicodedata import normalize

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Unit:
    """Rows that stay together: their positions, their stratum, and the number that the seed drew for them."""

    rows: tuple[int, ...]
    stratum: str
    draw: float


def split_off(
    rows: Sequence[R],
    *,
    share: float,
    seed: int,
    stratum: Callable[[R], str] | None,
    group: Callable[[R], str] | None,
) -> tuple[list[R], list[R]]:
    """The rows that are kept and those split off, each in the original order. Raises ValueError.

    The same rows and seed give the same split everywhere: each unit, a group or a row of its own, draws one number
    from `random.Random(seed)` in the order of first appearance, and the smallest draws of a stratum are split off.

    Without `group`, `share` of all rows (to the nearest, at least one on either side) is divided among the strata by
    largest remainders. Each stratum is within one row of its exact share; of two rows or more it keeps at least one,
    which can make the whole a little smaller; a stratum of one row is kept while others can give.

    With `group`, a group counts for the stratum of most of its rows (of the first, among equals), and a stratum takes
    groups only while that brings it closer to its number of rows; what it is short or over, the next stratum makes
    up for. So stratification is approximate, the better the smaller the groups. A stratum of two groups or more
    keeps at least one.
    """
    if not 0 < share < 1:
        raise ValueError(f"the share to split off must lie between 0 and 1, not {share}")
    units = _units(rows, Random(seed), stratum, group)
    if len(units) < 2:
        found = f"groups; all {len(rows)} rows are of one" if group and rows else f"rows, not {len(rows)}"
        raise ValueError(f"a split needs at least 2 {found}")
    off = {row for unit in _both_sides(units, _choose(units, share)) for row in unit.rows}
    kept = [row for index, row in enumerate(rows) if index not in off]
    return kept, [rows[index] for index in sorted(off)]


def nested(
    rows: Sequence[R],
    share: float,
    seed: int,
    stratum: Callable[[R], str] | None = None,
    group: Callable[[R], str] | None = None,
) -> list[R]:
    """A share of the rows, in the original order: of one seed, every smaller share lies within every larger one.

    Units (groups, or rows of their own) stand in one order for all shares: within its stratum each by its draw, the
    strata interleaved so that every beginning has them in nearly the proportions of the whole. Units are taken from
    the front while that brings the number of rows closer to the share; of some rows at least one unit.
    """
    units = _units(rows, Random(seed), stratum, group)
    strata: dict[str, list[_Unit]] = {}
    for unit in sorted(units, key=lambda unit: unit.draw):
        strata.setdefault(unit.stratum, []).append(unit)
    placed = [
        ((place + 0.5) / len(members), unit.draw, unit)
        for members in strata.values()
        for place, unit in enumerate(members)
    ]
    wanted, taken = share * len(rows), set[int]()
    for _, _, unit in sorted(placed, key=lambda one: one[:2]):
        if taken and len(unit.rows) >= 2 * (wanted - len(taken)):
            break
        taken.update(unit.rows)
    return [row for index, row in enumerate(rows) if index in taken]


def overlap(first: Iterable[str], second: Iterable[str]) -> list[tuple[int, int]]:
    """Which texts of `first` are also in `second`: for each its index, and the index of the first equal in `second`.

    Equal means: after NFKC, case folding and the collapse of white space. Only `first` is held in memory.
    """
    sought: dict[str, list[int]] = {}
    for index, text in enumerate(first):
        sought.setdefault(normal(text), []).append(index)
    found = ((one, other) for other, text in enumerate(second) for one in sought.pop(normal(text), ()))
    return sorted(found)


def normal(text: str) -> str:
    """The text in the form in which two texts that say the same are equal."""
    return " ".join(normalize("NFKC", normalize("NFKC", text).casefold()).split())


def _units(
    rows: Sequence[R], random: Random, stratum: Callable[[R], str] | None, group: Callable[[R], str] | None
) -> list[_Unit]:
    members: dict[str | int, list[int]] = {}
    for index, row in enumerate(rows):
        members.setdefault(group(row) if group else index, []).append(index)
    strata = [stratum(row) if stratum else "" for row in rows]
    return [
        _Unit(tuple(indices), Counter(strata[index] for index in indices).most_common(1)[0][0], random.random())
        for indices in members.values()
    ]


def _choose(units: Sequence[_Unit], share: float) -> list[_Unit]:
    strata: dict[str, list[_Unit]] = {}
    for unit in units:
        strata.setdefault(unit.stratum, []).append(unit)
    sizes = [sum(len(unit.rows) for unit in members) for members in strata.values()]
    chosen: list[_Unit] = []
    owed = 0  # rows
    for members, wanted in zip(strata.values(), _allocate(sizes, share), strict=True):
        taken = _take(members, owed + wanted)
        owed += wanted - sum(len(unit.rows) for unit in taken)
        chosen += taken
    return chosen


def _allocate(sizes: Sequence[int], share: float) -> list[int]:
    """How many rows each stratum gives, by largest remainders."""
    part = Fraction(str(share))  # exactly what was written: 0.3 of 10 is 3
    exact = [part * size for size in sizes]
    wanted = [floor(number) for number in exact]
    total = min(max(round(sum(exact)), 1), sum(sizes) - 1)
    givers = [
        index for index, size in enumerate(sizes) if wanted[index] < exact[index] and wanted[index] < max(size - 1, 1)
    ]
    givers.sort(key=lambda index: (sizes[index] == 1, wanted[index] - exact[index]))
    for index in givers[: total - sum(wanted)]:
        wanted[index] += 1
    return wanted


def _take(members: Sequence[_Unit], wanted: int) -> list[_Unit]:
    most = max(len(members) - 1, 1)  # units; one stays where there are two
    taken: list[_Unit] = []
    rows = 0
    for unit in sorted(members, key=lambda unit: unit.draw):
        if len(taken) < most and len(unit.rows) < 2 * (wanted - rows):  # closer to `wanted` with it than without
            taken.append(unit)
            rows += len(unit.rows)
    return taken


def _both_sides(units: Sequence[_Unit], chosen: list[_Unit]) -> list[_Unit]:
    """The choice, changed where it leaves a side empty: the smallest unit then goes there."""
    smallest = min(units, key=lambda unit: (len(unit.rows), unit.draw))
    if not chosen:
        return [smallest]
    if len(chosen) == len(units):
        return [unit for unit in chosen if unit is not smallest]
    return chosen
