"""The loss that is trained with, against one written by hand, and the batches that it is computed of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from learnable import PAD, ROWS, SIZES, by_hand, losses_by_hand, row
from peft import LoraConfig, PeftModel, get_peft_model
from tiny import Make
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, TrainingArguments

from customspec.errors import StepError
from customspec.inputs.encoding import Encoded
from customspec.ml.batching import accepts
from customspec.ml.forward import IGNORED, collate, features_of
from customspec.ml.training import AnswerTrainer, seed_everything

TrainerOf = Callable[[nn.Module], AnswerTrainer]


def features(rows: Sequence[Encoded]) -> list[dict[str, Any]]:
    return [
        {"input_ids": [*r.prompt, *r.answer], "labels": [IGNORED] * len(r.prompt) + list(r.answer), "row": index}
        for index, r in enumerate(rows)
    ]


class WithoutKeeping(LlamaForCausalLM):
    """A decoder that always computes all logits, as many do."""

    seen: Tensor

    def forward(self, input_ids: Tensor, attention_mask: Tensor, use_cache: bool) -> Any:
        found = super().forward(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)
        self.seen = found.logits
        if self.seen.requires_grad:
            self.seen.retain_grad()
        return found


def without_keeping(model: PreTrainedModel) -> WithoutKeeping:
    other = WithoutKeeping(cast(LlamaConfig, model.config))
    other.load_state_dict(model.state_dict())
    return other


@pytest.fixture
def trainer_of(tmp_path: Path) -> Callable[[nn.Module], AnswerTrainer]:
    def make(model: nn.Module) -> AnswerTrainer:
        trainer = AnswerTrainer(model=model, args=TrainingArguments(str(tmp_path), use_cpu=True, report_to=[]))
        trainer.row_ids = [r.example.id for r in ROWS]
        return trainer

    return make


# --- batches


def test_a_batch_is_padded_on_the_right_and_the_loss_sees_answers_only() -> None:
    batch = collate(features([row(1, [11, 12], [13]), row(2, [21], [22, 23, 24])]), PAD)
    assert {name: tensor.tolist() for name, tensor in batch.items()} == {
        "input_ids": [[11, 12, 13, *[PAD] * 5], [21, 22, 23, 24, *[PAD] * 4]],
        "attention_mask": [[1] * 3 + [0] * 5, [1] * 4 + [0] * 4],
        "labels": [[IGNORED, IGNORED, 13, *[IGNORED] * 5], [IGNORED, 22, 23, 24, *[IGNORED] * 4]],
        "rows": [0, 1],
    }


def test_the_loss_sees_earlier_answers_that_are_marked(tiny_model: Make, trainer_of: TrainerOf) -> None:
    talk = replace(ROWS[4], learned=((1, 4), (7, 9)))
    [made] = features_of([talk])
    ids = [*talk.prompt, *talk.answer]
    seen = {1, 2, 3, 7, 8, 12, 13, 14}
    assert made["labels"] == [id if place in seen else IGNORED for place, id in enumerate(ids)]
    model = tiny_model("llama")
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].float()
        each = cross_entropy(logits, torch.tensor(ids)[1:], reduction="none")
        expected = each[[place - 1 for place in sorted(seen)]].mean()
        loss = trainer_of(model).compute_loss(model, collate([made], PAD))
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_a_token_equal_to_padding_inside_a_row_is_not_masked() -> None:
    batch = collate(features([row(1, [PAD, 12], [PAD]), row(2, [21], [22, 23, 24])]), PAD)
    assert batch["attention_mask"].tolist() == [[1] * 3 + [0] * 5, [1] * 4 + [0] * 4]
    assert batch["labels"][0].tolist() == [IGNORED, IGNORED, PAD, *[IGNORED] * 5]


@pytest.mark.parametrize(("longest", "width"), [(2, 8), (8, 8), (9, 16), (16, 16), (17, 24)])
def test_batches_have_few_distinct_widths(longest: int, width: int) -> None:
    batch = collate(features([row(1, [5] * (longest - 1), [6]), row(2, [5], [6])]), PAD)
    shapes = {name: tuple(tensor.shape) for name, tensor in batch.items()}
    assert shapes == dict.fromkeys(("input_ids", "attention_mask", "labels"), (2, width)) | {"rows": (2,)}


# --- the loss


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "opt", "gemma2", "mamba"])
@pytest.mark.parametrize("chosen", [range(6), [0], [2, 5], [4, 3]], ids=str)
def test_the_loss_is_the_mean_cross_entropy_of_the_answer_tokens(
    tiny_model: Make, trainer_of: TrainerOf, architecture: str, chosen: Sequence[int]
) -> None:
    model = tiny_model(architecture)
    rows = [ROWS[index] for index in chosen]
    batch = collate(features(rows), PAD)
    with torch.no_grad():
        loss = trainer_of(model).compute_loss(model, batch)
    assert float(loss) == pytest.approx(by_hand(model, rows), abs=1e-5)


def test_the_losss_gradient_is_that_of_the_hand_written_loss(tiny_model: Make, trainer_of: TrainerOf) -> None:
    model = tiny_model("llama")
    trainer_of(model).compute_loss(model, collate(features(ROWS), PAD)).backward()
    ours = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    torch.cat(losses_by_hand(model, ROWS)).mean().backward()
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, ours[name], atol=1e-6), name  # type: ignore[arg-type]


def test_a_model_that_cannot_leave_out_logits_has_the_same_loss(tiny_model: Make, trainer_of: TrainerOf) -> None:
    keeping = tiny_model("llama")
    all_logits = without_keeping(keeping)
    assert (accepts(keeping, "logits_to_keep"), accepts(all_logits, "logits_to_keep")) == (True, False)
    batch = collate(features(ROWS), PAD)
    expected = trainer_of(keeping).compute_loss(keeping, batch)
    assert torch.allclose(trainer_of(all_logits).compute_loss(all_logits, batch), expected, atol=1e-6)


def test_only_the_predictions_of_answer_tokens_are_learned_from(tiny_model: Make, trainer_of: TrainerOf) -> None:
    model = without_keeping(tiny_model("llama"))
    batch = collate(features(ROWS), PAD)
    trainer_of(model).compute_loss(model, batch).backward()
    gradient = model.seen.grad
    assert gradient is not None
    learned = gradient.abs().sum(-1) > 0
    expected = torch.zeros_like(learned)
    for index, (prompt, answer) in enumerate(SIZES):
        expected[index, prompt - 1 : prompt + answer - 1] = True  # each token is predicted one place before
    assert torch.equal(learned, expected)


def test_padding_does_not_change_the_loss(tiny_model: Make, trainer_of: TrainerOf) -> None:
    model = tiny_model("llama")
    trainer = trainer_of(model)
    with torch.no_grad():
        one, other = (float(trainer.compute_loss(model, collate(features(ROWS), pad))) for pad in (PAD, 77))
    assert one == pytest.approx(other, abs=1e-6)


def test_an_adapters_loss_is_computed_from_the_adapted_model(tiny_model: Make, trainer_of: TrainerOf) -> None:
    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    seed_everything(0)
    base = tiny_model("llama")
    plain = by_hand(base, ROWS)
    model = get_peft_model(base, config)
    assert isinstance(model, PeftModel)
    assert accepts(model, "logits_to_keep")
    with torch.no_grad():
        loss = float(trainer_of(model).compute_loss(model, collate(features(ROWS), PAD)))
    assert loss == pytest.approx(by_hand(model, ROWS), abs=1e-5)
    assert abs(loss - plain) > 0.01


def test_a_batch_without_a_supervised_token_is_named_by_its_rows(tiny_model: Make, trainer_of: TrainerOf) -> None:
    model = tiny_model("llama")
    empty = [row(1, [5, 6], []), row(2, [7], [])]
    with pytest.raises(StepError, match="no supervised token in the batch of train:1, train:2"):
        trainer_of(model).compute_loss(model, collate(features(empty), PAD))
