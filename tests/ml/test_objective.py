"""A technique's own loss in the training loop: what it is told, and that it is a mean over rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from learnable import PAD, tokens
from tiny import Make
from torch import Tensor, nn

from customspec.errors import StepError
from customspec.hookspecs import Outputs
from customspec.inputs.encoding import Encoded
from customspec.ml.objective import Objective
from customspec.ml.training import train
from customspec.prompts import Example
from customspec.spec import TrainingOptions

SHARED = tuple(range(60, 84))  # first tokens of every prompt: enough of them to be run once a batch
SIZES = [(3, 1, 2), (7, 4, 1), (1, 2, 5), (5, 1, 1)]  # tokens of a row's own prompt, and of its two texts

TEXTS = [
    [
        Encoded(
            Example(f"train:{i + 1}", None, "", "", fields={"weight": weight}),
            SHARED + tokens(i, prompt),
            tokens(50 + 7 * i + place, size),
        )
        for place, size in enumerate(sizes)
    ]
    for i, ((prompt, *sizes), weight) in enumerate(zip(SIZES, (1.0, 0.0, 2.0, 0.5), strict=True))
]
ROWS = [texts[0] for texts in TEXTS]


def weighted(outputs: Outputs) -> Tensor:
    """Each row's weight, by how far its second text is behind its first."""
    weights = torch.tensor([row.fields["weight"] for row in outputs.rows])
    return weights * (outputs.log_likelihoods[:, 1] - outputs.log_likelihoods[:, 0]).exp().log1p()


def by_hand(model: nn.Module, text: Encoded) -> Tensor:
    """log p(text | prompt), unpadded."""
    ids = torch.tensor([[*text.prompt, *text.answer]])
    each = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
    found: Tensor = each.gather(1, ids[0, 1:, None])[len(text.prompt) - 1 :].sum()
    return found


def trained(model: nn.Module, objective: Objective, scratch: Path, **options: Any) -> None:
    given = TrainingOptions.model_construct(learning_rate=1e-2, warmup_steps=0.0, **options)
    settings: dict[str, Any] = {"seed": 0, "pad": PAD, "device": "cpu", "autocast": False, "scratch": scratch}
    train(model, ROWS, given, steps=2, objective=objective, **settings)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mamba"])
@pytest.mark.parametrize("shown_to", [False, True])
def test_it_is_told_what_a_plain_pass_over_each_text_gives(tiny_model: Make, architecture: str, shown_to: bool) -> None:
    model, base = tiny_model(architecture), tiny_model(architecture, initializer_range=0.1)
    objective = Objective.of(weighted, TEXTS, PAD, base)
    objective = objective.shown_to(model, len(TEXTS)) if shown_to else objective
    outputs = objective.outputs(model, objective.collate(objective.features))
    assert [row.id for row in outputs.rows] == ["train:1", "train:2", "train:3", "train:4"]
    for told, asked in ((outputs.log_likelihoods, model), (outputs.reference, base)):
        expected = torch.stack([torch.stack([by_hand(asked, text) for text in texts]) for texts in TEXTS])
        torch.testing.assert_close(told, expected, rtol=1e-4, atol=1e-4, check_device=False)
    assert outputs.log_likelihoods.requires_grad
    assert outputs.tokens.tolist() == [[one, other] for _, one, other in SIZES]
    assert outputs.targets.tolist() == [token for texts in TEXTS for text in texts for token in text.answer]
    likely = outputs.logits.log_softmax(-1).gather(1, outputs.targets[:, None]).sum()
    torch.testing.assert_close(likely, outputs.log_likelihoods.sum(), rtol=1e-4, atol=1e-4)


def test_a_step_is_the_same_in_one_pass_and_in_several(tiny_model: Make, tmp_path: Path) -> None:
    objective = Objective.of(weighted, TEXTS, PAD, None)
    models = [tiny_model("llama"), tiny_model("llama")]
    trained(models[0], objective, tmp_path, per_device_train_batch_size=4)
    trained(models[1], objective, tmp_path, per_device_train_batch_size=1, gradient_accumulation_steps=4)
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    moved = zip(tiny_model("llama").parameters(), models[0].parameters(), strict=True)
    assert any(not torch.equal(before, after) for before, after in moved)


def test_the_gradient_is_that_of_the_rows_mean(tiny_model: Make) -> None:
    model = tiny_model("llama")
    objective = Objective.of(weighted, TEXTS, PAD, None).shown_to(model, len(TEXTS))
    objective.losses(model, objective.collate(objective.features)).mean().backward()
    ours = [parameter.grad for parameter in model.parameters()]
    model = tiny_model("llama")
    losses = [
        row[0].example.fields["weight"] * (by_hand(model, row[1]) - by_hand(model, row[0])).exp().log1p()
        for row in TEXTS
    ]
    torch.stack(losses).mean().backward()
    for found, parameter in zip(ours, model.parameters(), strict=True):
        torch.testing.assert_close(found, parameter.grad, rtol=1e-3, atol=1e-4)


def test_a_loss_for_the_whole_batch_is_refused(tiny_model: Make, tmp_path: Path) -> None:
    objective = Objective.of(lambda outputs: weighted(outputs).mean(), TEXTS, PAD, None)
    with pytest.raises(StepError, match=r"`objective` gave \(\) for 4 rows: one loss for each"):
        trained(tiny_model("llama"), objective, tmp_path, per_device_train_batch_size=4)
