"""The training loop: its order, its seeds, its steps, its ends."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from learnable import PAD, ROWS, by_hand, row
from tiny import Make
from torch import Tensor, nn
from transformers import PreTrainedModel, Trainer, TrainerCallback

from customspec.errors import StepError
from customspec.inputs.encoding import Encoded
from customspec.ml.training import Trained, train
from customspec.spec import TrainingOptions

Fit = Callable[..., Trained]


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


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def furthest(one: nn.Module, other: nn.Module) -> float:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


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
