"""The training loop: its loss against one written by hand, its order, its ends."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tiny import Make
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments

from customspec.errors import StepError
from customspec.inputs.encoding import Encoded
from customspec.ml.batching import accepts
from customspec.ml.forward import IGNORED, collate, features_of
from customspec.ml.training import AnswerTrainer, Trained, seed_everything, train
from customspec.prompts import Example
from customspec.spec import TrainingOptions

PAD = 0
SIZES = [(3, 1), (7, 4), (1, 2), (5, 1), (12, 3), (2, 6)]  # tokens of prompt and answer


def row(number: int, prompt: Sequence[int], answer: Sequence[int]) -> Encoded:
    return Encoded(Example(f"train:{number}", None, "", ""), tuple(prompt), tuple(answer))


def tokens(start: int, count: int) -> list[int]:
    return [3 + (start * 31 + step * 17) % 94 for step in range(count)]


ROWS = [row(i + 1, tokens(i, prompt), tokens(50 + i, answer)) for i, (prompt, answer) in enumerate(SIZES)]


def features(rows: Sequence[Encoded]) -> list[dict[str, Any]]:
    return [
        {"input_ids": [*r.prompt, *r.answer], "labels": [IGNORED] * len(r.prompt) + list(r.answer), "row": index}
        for index, r in enumerate(rows)
    ]


def losses_by_hand(model: nn.Module, rows: Sequence[Encoded]) -> list[Tensor]:
    """Each answer token's cross-entropy, row by row, without padding, from the full logits."""
    found = []
    for r in rows:
        ids = torch.tensor([[*r.prompt, *r.answer]])
        shifted = model(input_ids=ids).logits[0, :-1].float()
        start = len(r.prompt) - 1
        found.append(cross_entropy(shifted[start:], ids[0, 1 + start :], reduction="none"))
    return found


def by_hand(model: nn.Module, rows: Sequence[Encoded]) -> float:
    with torch.no_grad():
        return float(torch.cat(losses_by_hand(model, rows)).mean())


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


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., Trained]:
    """A function: train a model in place; options are TrainingOptions' and train's."""

    def fit(model: nn.Module, rows: Sequence[Encoded] = ROWS, *, steps: int = 3, seed: int = 0, **more: Any) -> Trained:
        tell = more.pop("progress", lambda done, total, note, values: None)
        settings = {"learning_rate": 1e-3, "per_device_train_batch_size": 2, "warmup_steps": 0.0, **more}
        options = TrainingOptions.model_construct(**settings)
        return train(
            model,
            rows,
            options,
            steps=steps,
            seed=seed,
            pad=PAD,
            device="cpu",
            autocast=False,
            scratch=tmp_path / "scratch",
            progress=tell,
        )

    return fit


Fit = Callable[..., Trained]
TrainerOf = Callable[[nn.Module], AnswerTrainer]


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def furthest(one: nn.Module, other: nn.Module) -> float:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


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


# --- accumulation


def test_two_batches_of_two_train_like_one_of_four(tiny_model: Make, fit: Fit) -> None:
    rows = ROWS[:4]  # of 1, 4, 2 and 1 answer tokens: a mean of means would weigh them otherwise
    one, other = tiny_model("llama"), tiny_model("llama")
    expected = by_hand(one, rows)
    whole = fit(one, rows, steps=1, per_device_train_batch_size=4)
    parts = fit(other, rows, steps=1, per_device_train_batch_size=2, gradient_accumulation_steps=2)
    assert whole.losses[0][1] == pytest.approx(expected, abs=1e-4)
    assert parts.losses[0][1] == pytest.approx(expected, abs=1e-4)
    assert furthest(one, tiny_model("llama")) > 5e-4
    assert furthest(one, other) < 1e-5
    assert whole.rows == parts.rows == 4


def test_rows_are_counted_as_often_as_they_are_seen(tiny_model: Make, fit: Fit) -> None:
    assert fit(tiny_model("llama"), ROWS, steps=3, per_device_train_batch_size=2).rows == 6
    assert fit(tiny_model("llama"), ROWS, steps=4, per_device_train_batch_size=3).rows == 12


# --- what must not go on silently


def test_a_batch_without_a_supervised_token_is_named_by_its_rows(tiny_model: Make, trainer_of: TrainerOf) -> None:
    model = tiny_model("llama")
    empty = [row(1, [5, 6], []), row(2, [7], [])]
    with pytest.raises(StepError, match="no supervised token in the batch of train:1, train:2"):
        trainer_of(model).compute_loss(model, collate(features(empty), PAD))


def test_training_stops_at_rows_without_an_answer(tiny_model: Make, fit: Fit) -> None:
    with pytest.raises(StepError, match="no supervised token in the batch of train:9"):
        fit(tiny_model("llama"), [row(9, [5, 6], [])], steps=1)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_weight_that_is_not_finite_stops_at_the_first_step_with_its_rows(
    tiny_model: Make, fit: Fit, value: float
) -> None:
    model = tiny_model("llama")
    with torch.no_grad():
        model.get_output_embeddings().weight[5, 0] = value
    with pytest.raises(StepError, match="the loss is not finite at step 1, in the batch of train:") as caught:
        fit(model, ROWS[:2], per_device_train_batch_size=2)
    assert "train:1" in str(caught.value)
    assert "train:2" in str(caught.value)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_step_that_breaks_the_weights_is_the_last_and_is_named_with_its_rows(
    tiny_model: Make, fit: Fit, steps: int
) -> None:
    told = r"the weight \S+ is not finite after step 1, in the batch of train:\d, train:\d; try a smaller learning_rate"
    with pytest.raises(StepError, match=told):
        fit(tiny_model("llama"), steps=steps, learning_rate=math.inf, lr_scheduler_type="constant")


def test_a_gradient_that_is_not_finite_ends_the_training_before_it_is_applied(tiny_model: Make, fit: Fit) -> None:
    model = tiny_model("llama")
    start = weights(model)
    model.get_output_embeddings().weight.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(StepError, match=r"the gradient is not finite at step 1, in the batch of train:\d, train:\d"):
        fit(model)
    assert all(torch.equal(part, start[name]) for name, part in weights(model).items())


# --- seeds


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_seed_trains_to_the_same_bits_with_dropout_and_another_does_not(
    tiny_model: Make, fit: Fit, accumulation: int
) -> None:
    def trained(seed: int) -> tuple[PreTrainedModel, Trained]:
        model = tiny_model("gpt2", resid_pdrop=0.3, embd_pdrop=0.3, attn_pdrop=0.3)
        return model, fit(model, seed=seed, gradient_accumulation_steps=accumulation)

    (one, first), (again, second), (other, third) = trained(0), trained(0), trained(1)
    assert same(one, again)
    assert first.losses == second.losses
    assert not same(one, other)
    assert first.losses != third.losses


def test_the_seed_decides_the_order_of_the_rows_even_without_dropout(tiny_model: Make, fit: Fit) -> None:
    models = [tiny_model("llama") for _ in range(3)]
    for model, seed in zip(models, [0, 0, 5], strict=True):
        fit(model, steps=2, seed=seed)
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


def test_dropout_is_on_while_training(tiny_model: Make, fit: Fit) -> None:
    plain, dropping = tiny_model("gpt2", resid_pdrop=0, embd_pdrop=0, attn_pdrop=0), tiny_model("gpt2", resid_pdrop=0.5)
    assert by_hand(plain, ROWS) == by_hand(dropping, ROWS)
    assert fit(plain, steps=1).losses != fit(dropping, steps=1).losses


# --- steps, learning rates, progress


def test_training_learns_its_rows(tiny_model: Make, fit: Fit) -> None:
    model = tiny_model("llama")
    before = by_hand(model, ROWS)
    trained = fit(model, steps=40, learning_rate=5e-3)
    assert by_hand(model.eval(), ROWS) < before / 10
    assert trained.losses[-1][1] < trained.losses[0][1] / 5


def test_progress_is_told_at_every_step(tiny_model: Make, fit: Fit) -> None:
    told: list[tuple[int, int, str, Mapping[str, float] | None]] = []
    trained = fit(tiny_model("llama"), steps=5, progress=lambda *news: told.append(news))
    assert sorted({(done, total) for done, total, *_ in told}) == [(step, 5) for step in range(1, 6)]
    assert all(note == "" or note.startswith("loss ") for _, _, note, _ in told)
    assert told[-1][2] == f"loss {trained.losses[4][1]:.3f}"
    curve = [(done, values) for done, _, _, values in told if values]
    assert tuple((done, values["loss"]) for done, values in curve) == trained.losses
    assert all(values.keys() == {"loss", "learning_rate", "grad_norm"} for _, values in curve)
    assert trained.steps == 5


def test_the_loss_is_kept_for_every_step_of_a_short_training(tiny_model: Make, fit: Fit) -> None:
    model = tiny_model("llama")
    expected = by_hand(model, ROWS)
    trained = fit(model, steps=4, per_device_train_batch_size=6)
    assert [step for step, _ in trained.losses] == [1, 2, 3, 4]
    assert trained.losses[0][1] == pytest.approx(expected, abs=1e-4)


def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rates that the optimizer really uses, step by step."""
    used: list[float] = []

    class Watching(TrainerCallback):
        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            used.append(more["optimizer"].param_groups[0]["lr"])

    begin = Trainer.train

    def watched(self: Trainer, *args: Any, **more: Any) -> Any:
        self.add_callback(Watching())
        return begin(self, *args, **more)

    monkeypatch.setattr(Trainer, "train", watched)
    return used


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        ({"lr_scheduler_type": "constant"}, [1, 1, 1, 1]),
        ({"lr_scheduler_type": "linear"}, [1, 3 / 4, 2 / 4, 1 / 4]),
        ({"lr_scheduler_type": "linear", "warmup_steps": 2.0}, [0, 1 / 2, 1, 1 / 2]),
        ({"lr_scheduler_type": "linear", "warmup_steps": 0.5}, [0, 1 / 2, 1, 1 / 2]),
        ({"lr_scheduler_type": "linear", "warmup_steps": 0.3}, [0, 1 / 2, 1, 1 / 2]),
        ({"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 1.0}, [0, 1, 1, 1]),
        ({"lr_scheduler_type": "cosine"}, [(1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]),
        ({}, [1, 3 / 4, 2 / 4, 1 / 4]),
    ],
    ids=str,
)
def test_the_learning_rate_goes_as_the_options_say(
    tiny_model: Make, fit: Fit, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], shares: list[float]
) -> None:
    used = rates(monkeypatch)
    trained = fit(tiny_model("llama"), steps=4, learning_rate=0.004, **options)
    assert used == pytest.approx([0.004 * share for share in shares])
    assert trained.steps == len(used) == 4


def test_steps_go_on_over_the_rows_again(tiny_model: Make, fit: Fit) -> None:
    assert fit(tiny_model("llama"), ROWS[:3], steps=7, per_device_train_batch_size=2).steps == 7


def test_gradients_are_clipped_to_the_norm(tiny_model: Make, fit: Fit) -> None:
    free, clipped = tiny_model("llama"), tiny_model("llama")
    fit(free, steps=2, max_grad_norm=1e6)
    fit(clipped, steps=2, max_grad_norm=1e-9)  # far below Adam's epsilon, so that it nearly stands still
    start = tiny_model("llama")
    assert 0 < furthest(clipped, start) < furthest(free, start) / 5


def test_weight_decay_shrinks_what_has_no_gradient(tiny_model: Make, fit: Fit) -> None:
    unused = next(token for token in range(3, 97) if not any(token in r.prompt + r.answer for r in ROWS))
    model = tiny_model("llama", tie_word_embeddings=False)
    start = weights(model)["model.embed_tokens.weight"][unused]
    fit(model, steps=1, learning_rate=0.1, weight_decay=0.5, lr_scheduler_type="constant")
    assert torch.allclose(weights(model)["model.embed_tokens.weight"][unused], start * 0.95, atol=1e-6)


def test_frozen_weights_stay_as_they_are(tiny_model: Make, fit: Fit) -> None:
    model = tiny_model("llama")
    model.requires_grad_(False)
    model.get_submodule("model.layers.0.mlp").requires_grad_(True)
    start = copy.deepcopy(model)
    fit(model)
    moved = {name for name, tensor in weights(model).items() if not torch.equal(tensor, weights(start)[name])}
    assert moved == {name for name in weights(model) if name.startswith("model.layers.0.mlp.")}


def test_nothing_is_written_but_what_the_caller_asks_for(tiny_model: Make, fit: Fit, tmp_path: Path) -> None:
    fit(tiny_model("llama"))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
