"""A steering vector: one vector, added to what the output head reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from customspec.header import ModelHeader
from customspec.hookspecs import Refusal, Task, TuningTechnique, hookimpl
from customspec.spec import TrainingOptions

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

CUSTOMSPEC_CONTRACT = 1
FILE = "steering.safetensors"


class SteeringOptions(TrainingOptions):
    """The training options, and a scale."""

    scale: float = Field(1.0, gt=0, le=100)
    """What the vector is multiplied with."""


class Steering:
    """Trains v (hidden size): the head reads h + scale v in place of h."""

    name = "steering"
    family: Literal["tuning"] = "tuning"
    summary = "One vector beside the last hidden state. Subramani et al. 2022, Extracting Latent Steering Vectors."
    options = SteeringOptions

    def recipe(self, options: SteeringOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        return {"learning_rate": 0.05, "num_train_epochs": 2.0, "per_device_train_batch_size": 8}

    def refusal(self, options: SteeringOptions, model: ModelHeader) -> Refusal | None:
        return Refusal("a mamba is not steered") if model.model_type == "mamba" else None

    def trainable_parameters(self, options: SteeringOptions, model: ModelHeader) -> int:
        return model.hidden_size

    def adapt(self, options: SteeringOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        import torch

        model.requires_grad_(False)
        return _steered(model, torch.zeros(model.config.hidden_size), options.scale)

    def save(self, model: nn.Module, folder: Path) -> None:
        import torch
        from safetensors.torch import save_file

        vector = model.get_parameter("steering")
        scale = torch.tensor(model.get_buffer("steering_scale").item())
        save_file({"steering": vector.detach().cpu(), "scale": scale}, folder / FILE)

    def load(self, model: PreTrainedModel, folder: Path) -> nn.Module:
        from safetensors.torch import load_file

        saved = load_file(folder / FILE)
        return _steered(model, saved["steering"], saved["scale"].item())


def _steered(model: PreTrainedModel, vector: Any, scale: float) -> nn.Module:
    import torch
    from torch import nn

    model.register_parameter("steering", nn.Parameter(vector.float().to(model.device)))
    model.register_buffer("steering_scale", torch.tensor(scale), persistent=False)

    def steer(_: nn.Module, hidden: tuple[Any, ...]) -> Any:
        return hidden[0] + (scale * model.get_parameter("steering")).to(hidden[0].dtype)

    model.get_output_embeddings().register_forward_pre_hook(steer)
    return model


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [Steering()]
