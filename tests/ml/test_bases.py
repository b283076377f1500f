"""The base that is kept: lent whole, given back bit for bit, given up where a step takes its weights for its own."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig
from tiny import Make
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel

from customspec.ml.adapters import attach
from customspec.ml.bases import SUMMED_AT_ONCE, Bases, _total
from customspec.ml.scoring import score_choices

IDS = torch.arange(3, 23)[None]


class Loader:
    """Loads one tiny model, and counts how often."""

    def __init__(self, make: Make, architecture: str, **options: Any) -> None:
        self.loads = 0
        self._make = lambda: make(architecture, **options)

    def __call__(self) -> PreTrainedModel:
        self.loads += 1
        return self._make()  # type: ignore[no-untyped-call]


def digest(model: nn.Module) -> str:
    state = [part.detach().numpy().tobytes() for part in model.state_dict().values()]
    return hashlib.sha256(b"".join(state)).hexdigest()


def train(model: nn.Module) -> None:
    optimizer = torch.optim.AdamW([part for part in model.parameters() if part.requires_grad], lr=0.1)
    model.train()
    model(input_ids=IDS, labels=IDS).loss.backward()
    optimizer.step()


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2", "gemma"])
def test_adapters_come_and_go_and_the_base_stays_bit_for_bit(tiny_model: Make, architecture: str) -> None:
    bases, load = Bases(), Loader(tiny_model, architecture)
    fresh = load()
    expected, logits = digest(fresh), fresh(input_ids=IDS).logits
    for config in (
        LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear"),
        PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5),
    ):
        model = attach(bases.lend("base", load), config)
        bases.settle(model)
        train(model)
        again = bases.lend("base", load)
        assert digest(again) == expected
        assert torch.equal(again(input_ids=IDS).logits, logits)
        assert not again.training
    assert load.loads == 2  # one is the test's own


def test_tied_weights_stay_tied(tiny_model: Make) -> None:
    model = Bases().lend("base", Loader(tiny_model, "llama", tie_word_embeddings=True))
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


def test_a_base_whose_weights_train_is_given_up_and_loaded_anew(tiny_model: Make) -> None:
    bases, load = Bases(), Loader(tiny_model, "llama")
    model = bases.lend("base", load).requires_grad_(True)
    expected = digest(model)
    bases.settle(model)
    train(model)
    assert digest(model) != expected
    assert digest(bases.lend("base", load)) == expected
    assert load.loads == 2


def test_a_base_that_is_not_used_is_not_kept_beside_what_is(tiny_model: Make) -> None:
    bases, load = Bases(), Loader(tiny_model, "llama")
    lent = bases.lend("base", load)
    bases.settle(lent.double().requires_grad_(False))
    bases.lend("base", load)
    assert load.loads == 2


def test_weights_that_were_written_into_are_not_lent_again(tiny_model: Make) -> None:
    bases, load = Bases(), Loader(tiny_model, "llama")
    lent = bases.lend("base", load).requires_grad_(False)
    expected = digest(lent)
    bases.settle(lent)
    next(lent.parameters()).data[0, 0] += 1
    assert digest(bases.lend("base", load)) == expected
    assert load.loads == 2


def test_only_one_base_is_kept(tiny_model: Make) -> None:
    bases, one, other = Bases(), Loader(tiny_model, "llama"), Loader(tiny_model, "gpt2")
    bases.lend("one", one)
    bases.lend("one", one)
    bases.lend("other", other)
    bases.lend("one", one)
    assert (one.loads, other.loads) == (2, 1)


def test_what_was_tried_with_one_copy_is_known_of_the_next(tiny_model: Make) -> None:
    bases, load = Bases(), Loader(tiny_model, "llama")
    prompts, fed = [[5, 6, 7, 8], [5, 6, 9]], []
    for _ in range(2):
        lent = bases.lend("base", load)
        seen: list[int] = []
        lent.register_forward_pre_hook(lambda *_, seen=seen: seen.append(1))
        score_choices(lent, prompts, [[3, 2], [4, 2]], pad=0)
        fed.append(len(seen))
    assert fed == [6, 2]


def test_the_checksum_of_a_large_weight_is_summed_in_parts() -> None:
    summed: list[int] = []

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func.overloadpacket is torch.ops.aten.sum:
                summed.append(args[0].numel())
            return func(*args, **kwargs or {})

    weight = torch.randn(3, 2**20 + 5)
    with Watching():  # type: ignore[no-untyped-call]
        found = _total(weight)
    assert int(found) == int(weight.view(torch.int32).to(torch.int64).sum())
    assert summed == [SUMMED_AT_ONCE] * 3 + [15, 4]  # the parts, then their sums
