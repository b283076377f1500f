"""A technique's own loss: each row's texts through the model together, and what the loss is told of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from customspec.errors import StepError
from customspec.hookspecs import Outputs
from customspec.inputs.encoding import Encoded
from customspec.ml.batching import evaluating
from customspec.ml.forward import Batch, Forward, collate, features_of, supervised

ROWS = 4  # in a pass without gradient


@dataclass(frozen=True)
class Objective:
    """`texts` has every training row, in order, as often as it has texts: the row's prompt, and a text as its answer.

    `reference` (rows, texts) are the untrained base's log-likelihoods, where the loss asks for them.
    """

    loss: Callable[[Outputs], Tensor]
    texts: Sequence[Sequence[Encoded]]
    pad: int
    reference: Tensor | None = None
    shown: Forward = Forward()

    @classmethod
    def of(
        cls, loss: Callable[[Outputs], Tensor], texts: Sequence[Sequence[Encoded]], pad: int, base: nn.Module | None
    ) -> Objective:
        """With the reference of `base`, where one is given."""
        made = cls(loss, texts, pad)
        return made if base is None else replace(made, reference=made._log_likelihoods(base))

    def shown_to(self, model: nn.Module, rows: int) -> Objective:
        """The same, batches of so many rows being shown in the cheapest way that the model allows."""
        batch = rows * len(self.texts[0])
        return replace(self, shown=Forward.of(model, self._flat, batch=batch, pad=self.pad))

    @property
    def features(self) -> list[dict[str, Any]]:
        """One for each row, as long as its longest text: batches are made of rows of like length by them."""
        width = len(self.texts[0])
        rows = [self._features[start : start + width] for start in range(0, len(self._features), width)]
        longest = [max(texts, key=lambda text: len(text["input_ids"])) for texts in rows]
        return [{**text, "row": index} for index, text in enumerate(longest)]

    def collate(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """input_ids, attention_mask, labels (rows, texts, length), right-padded, and each row's index (rows,)."""
        rows, width = [feature["row"] for feature in features], len(self.texts[0])
        flat = collate([self._features[row * width + text] for row in rows for text in range(width)], self.pad)
        shaped = {name: flat[name].unflatten(0, (len(rows), width)) for name in flat if name != "rows"}
        return {**shaped, "rows": torch.tensor(rows)}

    def losses(self, model: nn.Module, batch: Batch) -> Tensor:
        """(rows,): each row's own. Raises StepError where the technique gives something else."""
        outputs = self.outputs(model, batch)
        losses = self.loss(outputs)
        if tuple(losses.shape) != (len(outputs.rows),):
            raise StepError(f"`objective` gave {tuple(losses.shape)} for {len(outputs.rows)} rows: one loss for each")
        return losses.float()

    def outputs(self, model: nn.Module, batch: Batch) -> Outputs:
        """What the loss is told of a batch that `collate` made."""
        shape = batch["labels"].shape[:2]
        flat = {name: value.flatten(0, 1) for name, value in batch.items() if name != "rows"}
        predicting, targets = supervised(flat)
        logits = self.shown.answer_logits(model, flat, predicting).float()  # (tokens of all texts, vocabulary)
        tokens = predicting.sum(1)
        each = -F.cross_entropy(logits, targets, reduction="none")
        sums = torch.stack([part.sum() for part in each.split(tokens.tolist())])
        indices = batch["rows"].tolist()
        return Outputs(
            rows=[self.texts[index][0].example for index in indices],
            log_likelihoods=sums.view(shape),
            tokens=tokens.view(shape),
            logits=logits,
            targets=targets,
            reference=None if self.reference is None else self.reference[indices].to(sums.device),
        )

    def mean(self, model: nn.Module, rows: Sequence[int]) -> float:
        """The mean loss of these rows, in evaluation mode."""
        whole = replace(self, shown=Forward())
        return float(torch.cat(whole._each(model, rows, lambda batch: whole.losses(model, batch))).mean())

    def _log_likelihoods(self, base: nn.Module) -> Tensor:
        rows = range(len(self.texts))
        return torch.cat(self._each(base, rows, lambda batch: self.outputs(base, batch).log_likelihoods))

    def _each(self, model: nn.Module, rows: Sequence[int], look: Callable[[Batch], Tensor]) -> list[Tensor]:
        """Of some rows at a time, on the CPU."""
        device, found = next(model.parameters()).device, []
        with evaluating(model):
            for start in range(0, len(rows), ROWS):
                batch = self.collate([{"row": row} for row in rows[start : start + ROWS]])
                found.append(look({name: part.to(device) for name, part in batch.items()}).cpu().clone())
        return found

    @cached_property
    def _flat(self) -> list[Encoded]:
        return list(chain.from_iterable(self.texts))

    @cached_property
    def _features(self) -> list[dict[str, Any]]:
        return features_of(self._flat, self.shown)
