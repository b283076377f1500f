"""A model of NaN or infinity is told when it is first asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from customspec.errors import StepError
from customspec.ml.generation import generate
from customspec.ml.likelihood import score_references
from customspec.ml.scoring import score_choices
from support import Ended, Workspace

PROMPTS = [[5, 6, 7], [5, 6, 8, 9]]
TOLD = "the model's scores are not finite: its weights hold NaN or infinity, or its numbers overflow"


@pytest.fixture(params=[float("nan"), float("inf")])
def broken(request: pytest.FixtureRequest, tiny_model: Callable[..., PreTrainedModel]) -> PreTrainedModel:
    model = tiny_model("llama")
    with torch.no_grad():
        model.get_parameter("model.layers.1.mlp.up_proj.weight").fill_(request.param)
    return model


def test_choices_are_not_scored_by_it(broken: PreTrainedModel) -> None:
    with pytest.raises(StepError, match=TOLD):
        score_choices(broken, PROMPTS, [[3, 2], [4, 2]], pad=0)


def test_references_are_not_scored_by_it(broken: PreTrainedModel) -> None:
    with pytest.raises(StepError, match=TOLD):
        score_references(broken, PROMPTS, [[3, 2], [4, 2]], pad=0)


def test_nothing_is_generated_by_it(broken: PreTrainedModel) -> None:
    with pytest.raises(StepError, match=TOLD):
        generate(broken, PROMPTS, max_new_tokens=3, ends={2}, decode=str, pad=0)


def test_a_word_that_the_model_never_says_is_no_fault(tiny_model: Callable[..., PreTrainedModel]) -> None:
    model = tiny_model("llama")

    def silence(_: object, __: object, out: Any) -> None:
        out.logits[..., 50:] = float("-inf")

    model.register_forward_hook(silence)
    with torch.no_grad():
        assert generate(model, PROMPTS, max_new_tokens=3, ends={2}, decode=str, pad=0)


def test_a_run_names_the_candidate_and_the_fault(
    workspace: Workspace, customspec: Callable[..., Ended], tiny_folder: Path
) -> None:
    from safetensors.torch import load_file, save_file

    (workspace.root / "model").unlink()
    weights = load_file(shutil.copytree(tiny_folder, workspace.root / "model") / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][:] = float("nan")
    save_file(weights, workspace.root / "model" / "model.safetensors", metadata={"format": "pt"})
    ended = customspec("run", workspace.spec("techniques: [zero_shot]"), "--json")
    assert ended.code == 1
    [candidate] = json.loads(ended.out)["candidates"]
    assert candidate["status"] == "failed"
    assert TOLD in candidate["reason"]
    assert candidate["metrics"]["test"] is None
