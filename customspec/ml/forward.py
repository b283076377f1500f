"""A training batch's logits where they predict an answer token; what all rows begin with is run once a batch."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.nn.functional import pad as pad_tensor

from customspec.errors import StepError
from customspec.estimate.passes import WIDTH_STEP, common_length, pass_sizes
from customspec.inputs.encoding import Encoded
from customspec.ml.batching import accepts, bare, shown_mask
from customspec.ml.lines import Line
from customspec.ml.scoring import why_not_shared
from customspec.ml.shared_prefix import learned_length, learned_vectors, learns_keys, run_prefix

IGNORED = -100  # label of a token that the loss does not see

_log = logging.getLogger("customspec")

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class Forward:
    """How a model is shown a batch. `shared`: the first tokens of every row, which batches leave out; they, and a
    learned prompt, are run once a batch, with gradient, and every row attends to their keys and values.

    A batch of at most `line` tokens runs as one line instead: what is shared, then every row's own tokens, none of them
    padding, under a mask that hides rows from one another.

    Equal to running each row whole, up to rounding: what stands before a row cannot depend on it.
    """

    shared: tuple[int, ...] = ()
    apart: bool = False
    line: int = 0

    @classmethod
    def of(cls, model: nn.Module, rows: Sequence[Encoded], *, batch: int, pad: int) -> Forward:
        """The cheapest way that the model allows for rows of which `batch` go together.

        Raises StepError for a learned prefix under activation checkpointing, which drops keys and values from before.
        """
        if any(getattr(module, "gradient_checkpointing", False) for module in bare(model).modules()):
            if learns_keys(model):
                raise StepError("activation checkpointing drops a learned prefix's keys and values; switch it off")
            return cls()
        common = rows[0].prompt[: common_length([row.prompt[: _unlearned(row)] for row in rows])]
        before = len(common) + learned_length(model)
        sharing = pass_sizes(bare(model).device.type).sharing
        if before * (batch - 1) < sharing.apart:
            return cls()
        longest = max(len(row.prompt) + len(row.answer) for row in rows)
        first = rows[0].prompt
        reason = why_not_shared(model, first, [first[:3], first[-3:]], pad=pad, longest=longest)
        if reason is not None:
            _log.info("Running each training row as a whole, which is slower: %s.", reason)
            return cls()
        return cls(common, apart=True, line=sharing.line)

    def answer_logits(self, model: nn.Module, batch: Batch, predicting: Tensor) -> Tensor:
        """(answer tokens, vocabulary), at the places that `predicting` (batch, length; bool) marks."""
        batch, predicting = _within(model, batch, predicting, len(self.shared) + learned_length(model))
        if self.apart:
            run = self._in_line if self._fits(model, batch) else self._continued
            return run(model, batch, predicting)
        shown = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
        predicting = pad_tensor(predicting, (learned_vectors(model), 0))  # their logits come before the row's
        return _kept(model, {**shown, "use_cache": False}, predicting)

    def _fits(self, model: nn.Module, batch: Batch) -> bool:
        before = len(self.shared) + learned_length(model)
        return self.line > 0 and before + int(batch["attention_mask"].sum()) <= self.line

    def _in_line(self, model: nn.Module, batch: Batch, predicting: Tensor) -> Tensor:
        base, vectors = bare(model), learned_vectors(model)
        keys = learned_length(model) - vectors
        line = Line.of(self.shared, batch, predicting, vectors=vectors, keys=keys)
        shown = {"attention_mask": shown_mask(base, line.sees), "position_ids": line.positions}
        if vectors:
            own = base.get_input_embeddings()(line.tokens)
            prompt = cast(PeftModel, model).get_prompt(batch_size=1)
            fed: dict[str, Any] = {"inputs_embeds": torch.cat([prompt.to(own.dtype), own], 1)}
        else:
            fed = {"input_ids": line.tokens, "past_key_values": run_prefix(model, ()).shown()}
        return _kept(base, {**fed, **shown, "use_cache": keys > 0}, line.predicting)

    def _continued(self, model: nn.Module, batch: Batch, predicting: Tensor) -> Tensor:
        prefix = run_prefix(model, self.shared)
        mask = pad_tensor(batch["attention_mask"], (prefix.length, 0), value=1)
        places = torch.arange(predicting.shape[1], device=predicting.device) + prefix.length
        # equal positions in all rows are a batch's usual ones: restarting ones would be taken for packed rows
        more = {"position_ids": places[None], "past_key_values": prefix.shown(), "use_cache": True}
        shown = {"input_ids": batch["input_ids"], "attention_mask": mask, **more}
        return _kept(bare(model), shown, predicting)


def _within(model: nn.Module, batch: Batch, predicting: Tensor, before: int) -> tuple[Batch, Tensor]:
    """Without padding beyond the model's last position, of which some models have a table; `before` positions are taken
    already."""
    last, width = getattr(bare(model).config, "max_position_embeddings", None), predicting.shape[1]
    if last is None or before + width <= last:
        return batch, predicting
    keep = max(last - before, int(batch["attention_mask"].sum(1).max()))
    cut = {name: batch[name][:, :keep] for name in ("input_ids", "attention_mask", "labels")}
    return {**batch, **cut}, predicting[:, :keep]


def _kept(model: nn.Module, shown: dict[str, Any], predicting: Tensor) -> Tensor:
    if accepts(model, "logits_to_keep"):
        logits: Tensor = model(**shown, logits_to_keep=predicting).logits
        return logits.reshape(-1, logits.shape[-1])
    full: Tensor = model(**shown).logits
    return full[predicting]


def features_of(rows: Sequence[Encoded], forward: Forward = Forward()) -> list[dict[str, Any]]:
    """Each row's own token ids and labels, and its index."""
    skip = len(forward.shared)
    return [
        {"input_ids": [*row.prompt[skip:], *row.answer], "labels": _labels(row)[skip:], "row": index}
        for index, row in enumerate(rows)
    ]


def collate(features: Sequence[Mapping[str, Any]], pad: int) -> dict[str, Tensor]:
    """Right-padded tensors: input_ids, attention_mask, labels (batch, length), and each row's index (batch,).

    The length is a multiple of WIDTH_STEP: every new one costs kernels, compiled and kept (0.3 GiB on a CPU, were each
    length its own).
    """
    length = math.ceil(max(len(feature["input_ids"]) for feature in features) / WIDTH_STEP) * WIDTH_STEP

    def padded(name: str, filler: int) -> Tensor:
        return torch.tensor([list(f[name]) + [filler] * (length - len(f[name])) for f in features])

    ids = padded("input_ids", pad)
    sizes = torch.tensor([[len(feature["input_ids"])] for feature in features])
    mask = (torch.arange(length)[None] < sizes).long()
    rows = torch.tensor([feature["row"] for feature in features])
    return {"input_ids": ids, "attention_mask": mask, "labels": padded("labels", IGNORED), "rows": rows}


def supervised(batch: Batch) -> tuple[Tensor, Tensor]:
    """Which places predict an answer token (batch, length; bool), and those tokens (answer tokens,)."""
    labels = batch["labels"]
    predicting = pad_tensor(labels[:, 1:] != IGNORED, (0, 1))
    return predicting, labels[:, 1:][labels[:, 1:] != IGNORED]


def _labels(row: Encoded) -> list[int]:
    labels = [IGNORED] * len(row.prompt) + list(row.answer)
    for start, stop in row.learned:
        labels[start:stop] = row.prompt[start:stop]
    return labels


def _unlearned(row: Encoded) -> int:
    """How many first tokens of a row the loss does not see; at least the one that predicts the first that it sees."""
    return max(1, row.learned[0][0]) if row.learned else len(row.prompt)
