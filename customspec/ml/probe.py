"""How fast this device is with one model, and what its passes keep: measured once, in a few short passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig
from torch import Tensor, nn

from customspec.ml.adapters import attach, linear_names
from customspec.ml.batching import bare, suited
from customspec.ml.models import DTYPES, load_model
from customspec.ml.precision import computing
from customspec.ml.quiet import quietly

SHORT = 8  # tokens of the shortest row that a pass is tried on
LEARNED = 4  # tokens of a row that the loss sees
RANK = 8
LONGEST = 64  # tokens of a row: every model's context holds so many
SIDE = 1024  # of the square matrix product
WEIGHTS = 2**22  # that the optimizer is tried on
ENOUGH = 1.0  # seconds of timed runs
MOST = 30  # timed runs


@dataclass(frozen=True, slots=True)
class Tried:
    """Seconds of a pass over so many rows of so many tokens: the best of some."""

    rows: int
    width: int
    seconds: float

    @property
    def tokens(self) -> int:
        return self.rows * self.width


@dataclass(frozen=True, slots=True)
class Probed:
    """What was measured. `optimizer` is weights a second; `kept_frozen` and `kept` are the bytes that one long training
    pass needs beyond the model, without and with an adapter beside every linear map; None where nobody can know."""

    forward: tuple[Tried, Tried]
    frozen: tuple[Tried, Tried]
    adapted: tuple[Tried, Tried]
    optimizer: float
    kept_frozen: int | None
    kept: int | None
    learned: int = LEARNED


@quietly()
def probe(
    folder: Path, compute_dtype: str, device: str, weights: int, measuring: Callable[[], Callable[[], int | None]]
) -> Probed:
    """`device` as torch names it. `weights` are those that a token meets: they say how many tokens can be afforded.
    `measuring` starts to measure memory, and what it returns tells the bytes gained at the peak since."""
    kind = torch.device(device).type
    tokens = _affordable(weights, compute_dtype, torch.device(device))
    model = load_model(folder, DTYPES[compute_dtype], device)
    with computing(kind, compute_dtype):
        forward = _both(_forward(model), tokens)
        model.requires_grad_(False)
        peak = measuring()
        frozen = _both(_backward(model), tokens // 2)
        kept_frozen = peak()
        names = linear_names(model)
        config = LoraConfig(task_type="CAUSAL_LM", r=RANK, target_modules=names)
        learning = attach(model, config).train()
        peak = measuring()
        adapted = _both(_backward(learning), tokens // 2)
        kept = peak()
    return Probed(forward, frozen, adapted, _optimizer(device), kept_frozen, kept)


def _affordable(weights: int, compute_dtype: str, device: torch.device) -> int:
    """Tokens of the longest pass: about a second's worth, and no more than a usual batch has."""
    rate = 2 * SIDE**3 / _matrix_product(DTYPES[compute_dtype], device)
    usual = suited(device, cpu=1024, elsewhere=8192)
    return max(4 * LONGEST, min(usual, int(rate / (2 * weights))))


def _matrix_product(dtype: torch.dtype, device: torch.device) -> float:
    side = torch.ones(SIDE, SIDE, dtype=dtype, device=device)
    return _best(lambda: side @ side)


def _both(run: Callable[[int, int], Callable[[], object]], tokens: int) -> tuple[Tried, Tried]:
    """A row of a few tokens, and rows that have `tokens` together."""
    sizes = ((1, SHORT), (ceil(tokens / LONGEST), LONGEST))
    short, long = (Tried(*size, _best(run(*size))) for size in sizes)
    return short, long


def _forward(model: nn.Module) -> Callable[[int, int], Callable[[], object]]:
    def sized(rows: int, width: int) -> Callable[[], object]:
        ids = _ids(model, rows, width)

        def run() -> None:
            with torch.inference_mode():
                model(input_ids=ids, logits_to_keep=1)

        return run

    return sized


def _backward(model: nn.Module) -> Callable[[int, int], Callable[[], object]]:
    """A training pass. Gradients go through the whole model, as they do to a learned prompt."""

    def sized(rows: int, width: int) -> Callable[[], object]:
        embedded = bare(model).get_input_embeddings()(_ids(model, rows, width)).detach()

        def run() -> None:
            shown = embedded.clone().requires_grad_(True)
            logits: Tensor = model(inputs_embeds=shown, use_cache=False, logits_to_keep=LEARNED).logits
            F.cross_entropy(logits.float().flatten(0, 1), logits.new_zeros(rows * LEARNED, dtype=torch.long)).backward()
            model.zero_grad(set_to_none=True)

        return run

    return sized


def _ids(model: nn.Module, rows: int, width: int) -> Tensor:
    return torch.arange(rows * width, device=bare(model).device).view(rows, width) % 97


def _optimizer(device: str) -> float:
    """Weights a second of clipping and AdamW."""
    weights = torch.zeros(WEIGHTS, device=device, requires_grad=True)
    weights.grad = torch.ones_like(weights)
    optimizer = torch.optim.AdamW([weights], lr=1e-3, fused=weights.device.type in {"cpu", "cuda"})

    def run() -> None:
        torch.nn.utils.clip_grad_norm_([weights], 1.0)
        optimizer.step()

    return WEIGHTS / _best(run)


def _best(run: Callable[[], object]) -> float:
    """Seconds of the fastest of some runs, after one that warms up: as many as ENOUGH seconds hold, for beside other
    work most of them are slowed down, short ones many times over."""
    _timed(run)
    seconds = [_timed(run)]
    while sum(seconds) < ENOUGH and len(seconds) < MOST:
        seconds.append(_timed(run))
    return min(seconds)


def _timed(run: Callable[[], object]) -> float:
    _wait()
    began = time.perf_counter()
    run()
    _wait()
    return time.perf_counter() - began


def _wait() -> None:
    """Until an accelerator has done what it was told."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
