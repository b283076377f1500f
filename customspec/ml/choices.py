"""All choices as one tree of tokens, so that one pass scores them together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Trie:
    """All choices as one tree. Its root is a prompt's last token; a choice's last token is predicted, never fed.

    A path of tokens names both the node that it ends in and the edge (prediction) that leads there.
    """

    tokens: Tensor  # (fed,): every node but the root
    depths: Tensor  # (fed,): 0 for a first token
    sees: Tensor  # (fed, fed) bool: itself and its ancestors
    parents: Tensor  # (edges,): the node that predicts, 0 for the root, else 1 + its place among the fed
    targets: Tensor  # (edges,): the token that is predicted
    paths: Tensor  # (choices, longest): the edges of each choice; short ones go on with an edge past the last

    @classmethod
    def of(cls, choices: Sequence[Sequence[int]]) -> Trie:
        whole = [tuple(choice) for choice in choices]
        edges = _numbered(path for choice in whole for path in _prefixes(choice))
        nodes = _numbered([(), *(path for choice in whole for path in _prefixes(choice[:-1]))])
        sees = torch.zeros(len(nodes), len(nodes), dtype=torch.bool)
        for path, node in nodes.items():
            sees[node, [nodes[ancestor] for ancestor in _prefixes(path)]] = True
        walks = [[edges[path] for path in _prefixes(choice)] for choice in whole]
        longest = max(map(len, walks))
        return cls(
            tokens=torch.tensor([path[-1] for path in nodes if path], dtype=torch.long),
            depths=torch.tensor([len(path) - 1 for path in nodes if path], dtype=torch.long),
            sees=sees[1:, 1:],
            parents=torch.tensor([nodes[path[:-1]] for path in edges]),
            targets=torch.tensor([path[-1] for path in edges]),
            paths=torch.tensor([steps + [len(edges)] * (longest - len(steps)) for steps in walks]),
        )

    @property
    def predicting(self) -> int:
        """How many nodes predict a token: the root and all that are fed."""
        return 1 + len(self.tokens)


def _prefixes(path: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [path[: i + 1] for i in range(len(path))]


def _numbered(paths: Iterable[tuple[int, ...]]) -> dict[tuple[int, ...], int]:
    return {path: number for number, path in enumerate(dict.fromkeys(paths))}
