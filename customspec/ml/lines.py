"""A training batch in one line: what its rows share, then each row's own tokens, none of them padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad as pad_tensor

from customspec.estimate.passes import LINE_STEP

SHARED, FILLING = -1, -2  # in place of a row's number


@dataclass(frozen=True)
class Line:
    """The places of a learned prompt's vectors come first and have no tokens. The length is a multiple of LINE_STEP."""

    tokens: Tensor  # (1, length - vectors)
    positions: Tensor  # (1, length): every row's own go on from what is shared
    sees: Tensor  # (1, length, keys + length) bool
    predicting: Tensor  # (1, length) bool: in the order of the batch's

    @classmethod
    def of(
        cls, shared: Sequence[int], batch: Mapping[str, Tensor], predicting: Tensor, *, vectors: int, keys: int
    ) -> Line:
        """Of a right-padded batch of rows' own tokens, behind so many learned `vectors`, or `keys` that all see."""
        real = batch["attention_mask"].bool()
        before, own = vectors + len(shared), int(real.sum())
        filling = -(before + own) % LINE_STEP
        row, column = real.nonzero(as_tuple=True)
        rows = pad_tensor(pad_tensor(row, (before, 0), value=SHARED), (0, filling), value=FILLING)
        places = torch.cat([torch.arange(before, device=row.device), before + column])
        sees = ((rows == SHARED) | (rows[:, None] == rows)).tril()
        tokens = torch.cat([torch.tensor(shared, dtype=torch.long, device=row.device), batch["input_ids"][real]])
        return cls(
            tokens=pad_tensor(tokens, (0, filling))[None],
            positions=keys + pad_tensor(places, (0, filling))[None],
            sees=pad_tensor(sees, (keys, 0), value=True)[None],
            predicting=pad_tensor(predicting[real], (before, filling))[None],
        )
