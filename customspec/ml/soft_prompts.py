"""Where learned prompts begin: set to given vectors, to a text's keys and values, or steered there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from peft import PeftModel
from peft.tuners.cartridge.utils import initialize_kv_prefix_from_past_key_values
from torch import Tensor, nn

from customspec.ml.batching import bare


def embeddings_of(model: nn.Module, pieces: Sequence[Sequence[int]]) -> Tensor:
    """(pieces, width) float32: each piece's token embeddings, averaged (Lester et al. 2021, for class labels)."""
    embed = cast(nn.Embedding, bare(model).get_input_embeddings())  # called, not looked up: Gemma scales what it finds
    with torch.no_grad():
        found = [embed(torch.tensor(list(piece), device=embed.weight.device)).float().mean(0) for piece in pieces]
    return torch.stack(found)


@torch.no_grad()
def set_prompt(model: nn.Module, vectors: Tensor) -> None:
    """Prompt tuning begins at `vectors` (virtual tokens, width)."""
    _encoder(model).embedding.weight.copy_(vectors)


@torch.no_grad()
def set_prefix(model: nn.Module, ids: Sequence[int]) -> None:
    """Prefix tuning begins at the base model's keys and values of these tokens, one a virtual token."""
    base = bare(model)
    shown = torch.tensor([list(ids)], device=base.device)
    cache = base(input_ids=shown, use_cache=True, logits_to_keep=1).past_key_values
    initialize_kv_prefix_from_past_key_values(model, past_key_values=cache)


@torch.no_grad()
def steer_encoder(model: nn.Module, vectors: Tensor) -> None:
    """P-tuning begins at `vectors` (virtual tokens, width): its encoder's last layer is solved for, all else stays
    random. With more hidden units than virtual tokens the least-squares solution is exact."""
    encoder = _encoder(model).eval()  # solved for what stands without dropout
    last = encoder.mlp_head[-1]
    seen: list[Tensor] = []
    watching = last.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    encoder(torch.arange(len(vectors), device=vectors.device)[None])
    watching.remove()
    encoder.train()
    hidden = seen[0][0]  # (virtual tokens, hidden units)
    mean = vectors.mean(0)
    last.bias.copy_(mean)
    last.weight.copy_(
        torch.linalg.lstsq(hidden.double().cpu(), (vectors - mean).double().cpu(), driver="gelsd").solution.T
    )


def _encoder(model: nn.Module) -> Any:
    adapted = cast(PeftModel, model)
    return adapted.prompt_encoder[adapted.active_adapter]
