"""LoRA beyond the plain: beginnings that move the base, beginnings taken from data, two learning rates."""

from __future__ import annotations

import contextlib
import copy
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftModel, get_peft_model_state_dict
from peft.optimizers import create_loraplus_optimizer
from peft.tuners.lora import initialize_lora_eva_weights
from safetensors.torch import save_file
from torch import Tensor, nn

from customspec.errors import StepError
from customspec.ml import adapters
from customspec.ml.batching import bare
from customspec.ml.quiet import quietly

_BEGUN = "_customspec_begun"


def remember_beginning(model: nn.Module) -> None:
    """Note A and B as they are: PiSSA and OLoRA take B A out of the base, and an artifact must stand on the base as
    it was."""
    setattr(model, _BEGUN, {name: part.clone() for name, part in _state(model).items()})


def save(model: nn.Module, folder: Path) -> None:
    """The adapter in PEFT's layout. One that began away from zero is saved as a plain LoRA of twice the rank,
    B A - B0 A0, which any PEFT loads onto the untouched base."""
    begun: dict[str, Tensor] | None = getattr(model, _BEGUN, None)
    if begun is None:
        adapters.save(model, folder)
        return
    config = copy.deepcopy(cast(PeftModel, model).active_peft_config)
    config.r, config.lora_alpha = 2 * config.r, 2 * config.lora_alpha  # alpha / r stays
    config.init_lora_weights, config.base_model_name_or_path, config.inference_mode = True, "", True
    save_file(_difference(_state(model), begun), folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(str(folder))


@quietly()
def begin_at_activations(model: nn.Module, rows: Sequence[Sequence[int]], batch: int = 8) -> None:
    """A begins at the directions in which each layer's inputs vary most (Paischer et al. 2024, EVA)."""
    device, rank = bare(model).device, cast(PeftModel, model).active_peft_config.r
    if sum(map(len, rows)) < rank:
        raise StepError(f"`eva` needs as many tokens as the rank, {rank}; all training rows together have fewer")
    # PEFT passes over a batch of fewer tokens than the rank, and goes round for ever when all are
    batch = max(batch, math.ceil(2 * rank / min(map(len, rows))))
    batches = [_padded(rows[start : start + batch], device) for start in range(0, len(rows), batch)]
    with contextlib.redirect_stdout(sys.stderr):  # where it reports
        initialize_lora_eva_weights(model, batches, show_progress_bar=False)


def two_rates(model: nn.Module, rate: float, ratio: float, decay: float) -> torch.optim.Optimizer:
    """AdamW with `rate` for A and `ratio` times that for B (Hayou et al. 2024, LoRA+)."""
    return create_loraplus_optimizer(
        cast(PeftModel, model),
        torch.optim.AdamW,
        lr=rate,
        loraplus_lr_ratio=ratio,
        loraplus_weight_decay=decay,
        weight_decay=decay,
    )


def _difference(now: dict[str, Tensor], begun: dict[str, Tensor]) -> dict[str, Tensor]:
    """[A; A0] and [B, -B0], name by name."""
    joined = {}
    for name, part in now.items():
        outer = "lora_B" in name
        joined[name] = torch.cat([part, -begun[name] if outer else begun[name]], 1 if outer else 0).cpu().contiguous()
    return joined


def _state(model: nn.Module) -> dict[str, Tensor]:
    state: dict[str, Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: part.detach() for name, part in state.items()}


def _padded(rows: Sequence[Sequence[int]], device: torch.device) -> dict[str, Any]:
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device)
    return {"input_ids": ids, "attention_mask": mask}
