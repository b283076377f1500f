"""Prompts that begin alike, beyond what all share: their beginning is fed once for them, in one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from customspec.ml.batching import left_padded
from customspec.ml.choices import Trie

WORTH_SHARING = 32  # tokens; below, a longer mask costs as much as the tokens that it saves


@dataclass(frozen=True)
class Family:
    """Some of the prompts: what they share, and what of each is its own (at least its last token)."""

    members: tuple[int, ...]
    shared: Sequence[int]
    own: tuple[Sequence[int], ...]

    def __len__(self) -> int:
        return len(self.shared) + sum(map(len, self.own))


def families(rows: Sequence[Sequence[int]], *, most: int) -> list[Family]:
    """Every row in one family, which holds at most so many tokens, or a single row. The largest families first."""
    grown: list[tuple[list[int], int]] = []  # members, and how many first tokens they share
    for index in sorted(range(len(rows)), key=lambda i: tuple(rows[i])):
        if grown:
            members, shared = grown[-1]
            common = min(_alike(rows[members[0]], rows[index]), shared, len(rows[index]) - 1)
            tokens = sum(len(rows[i]) - common for i in (*members, index)) + common
            saves = len(members) * common > (len(members) - 1) * shared
            if common >= WORTH_SHARING and saves and tokens <= most:
                grown[-1] = ([*members, index], common)
                continue
        grown.append(([index], len(rows[index]) - 1))
    found = [_family(members, shared if len(members) > 1 else 0, rows) for members, shared in grown]
    return sorted(found, key=lambda family: -len(family.members))


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _family(members: Sequence[int], shared: int, rows: Sequence[Sequence[int]]) -> Family:
    members = sorted(members, key=lambda index: -len(rows[index]))  # the first with the first of others: less padding
    return Family(tuple(members), rows[members[0]][:shared], tuple(rows[index][shared:] for index in members))


@dataclass(frozen=True)
class Laid:
    """Families of one size, one a row: the shared tokens, then for each member its own tokens and the choices' tree."""

    tokens: Tensor  # (rows, width)
    positions: Tensor  # (rows, width): within the prompt, from 0
    real: Tensor  # (rows, width) bool: no padding
    order: Tensor  # (width, width) bool: who would see whom without padding
    predicting: Tensor  # (members * nodes,): the columns that predict, member by member

    @classmethod
    def of(cls, group: Sequence[Family], trie: Trie, pad: int) -> Laid:
        # padding on the left puts every member's last own token into one column
        shared, real = left_padded([family.shared for family in group], pad)
        start = real.sum(1, keepdim=True)
        tokens, there, positions = [shared], [real], [real.cumsum(1) - 1]
        blocks, predicting, column = [_causal(shared.shape[1])], [], shared.shape[1]
        for rows in zip(*(family.own for family in group), strict=True):
            own, real = left_padded(rows, pad)
            length, fed = start + real.sum(1, keepdim=True), trie.tokens.expand(len(own), -1)
            tokens += [own, fed]
            there += [real, torch.ones_like(fed, dtype=torch.bool)]
            positions += [start + real.cumsum(1) - 1, length + trie.depths]
            blocks.append(_block(own.shape[1], trie.sees))
            predicting.append(torch.arange(own.shape[1] - 1, len(blocks[-1])) + column)
            column += len(blocks[-1])
        order = torch.block_diag(*blocks)
        order[shared.shape[1] :, : shared.shape[1]] = True
        whole = torch.cat(tokens, 1), torch.cat(positions, 1).clamp(min=0), torch.cat(there, 1)
        return cls(*whole, order, torch.cat(predicting))


def _causal(width: int) -> Tensor:
    return torch.ones(width, width, dtype=torch.bool).tril()


def _block(width: int, sees: Tensor) -> Tensor:
    """One member's own tokens in order, and the tree after them: (width + fed, width + fed)."""
    order = _causal(width + len(sees))
    order[width:, width:] = sees
    return order
