"""How fast a layer's output changes under each technique at its recipe's learning rate, beside LoRA's.

    python -m benchmarks.rates [--set NAME=RATE ...]

One linear layer of random weights (576 x 576, as in a small model), rows of ten kinds, and a loss that always pulls the
output the same way: what is measured is the method and its beginning, no task. The table says how far the output has
gone, by its own size, and how straight: the cosine with the way that it is pulled. Below it the same of the vectors of
learned prompts, each pulled its own way. It takes a minute on one core.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    # a model, the output that is looked at, the way in which it is pulled, and the loss of a step
    Problem = tuple[nn.Module, Callable[[], Tensor], Tensor, Callable[[], Tensor]]

WIDTH, KINDS, ROWS, BATCH = 576, 10, 160, 8
SPREAD = 0.2  # of the weights, as in SmolLM2-135M's attention
AT = (1, 10, 25, 50)
VECTORS, SIZE = 20, 0.135  # of a learned prompt, and their standard deviation: SmolLM2-135M's embeddings
LEARNED = {"prompt_tuning": None, "p_tuning": "LSTM", "p_tuning, MLP": "MLP"}


def main() -> int:
    arguments = _arguments()
    rates = {**_recipes([*_configs(), *LEARNED]), **dict(_pair(text) for text in arguments.set)}
    sys.stdout.write("| technique | learning rate | " + " | ".join(f"step {step}" for step in AT) + " |\n")
    sys.stdout.write("|---" * (2 + len(AT)) + "|\n")
    for name, rate in rates.items():
        told = " | ".join(f"{far:.3f} ({straight:.2f})" for far, straight in _course(name, rate))
        sys.stdout.write(f"| {name} | {rate:g} | {told} |\n")
        sys.stdout.flush()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rates", description="Learning rates by their effect.")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=RATE", help="another rate than the recipe's"
    )
    return parser.parse_args()


def _pair(text: str) -> tuple[str, float]:
    name, _, rate = text.partition("=")
    return name, float(rate)


def _configs() -> Mapping[str, Any]:
    """The techniques that change a linear map, as their plugins set them up by default."""
    import peft

    on: dict[str, Any] = {"target_modules": ["layer"]}
    return {
        "lora": peft.LoraConfig(r=8, lora_alpha=16, **on),
        "rslora": peft.LoraConfig(r=8, lora_alpha=8, use_rslora=True, **on),
        "dora": peft.LoraConfig(r=8, lora_alpha=16, use_dora=True, **on),
        "adalora": peft.AdaLoraConfig(init_r=12, lora_alpha=24, total_step=200, tinit=20, tfinal=100, **on),
        "ia3": peft.IA3Config(feedforward_modules=[], **on),
        "vera": peft.VeraConfig(r=256, **on),
        "oft": peft.OFTConfig(r=0, oft_block_size=32, **on),
        "boft": peft.BOFTConfig(boft_block_size=4, boft_n_butterfly_factor=1, **on),
        "loha": peft.LoHaConfig(r=8, alpha=16, **on),
        "lokr": peft.LoKrConfig(r=16, alpha=32, decompose_factor=4, **on),
        "full": None,
    }


def _recipes(names: Sequence[str]) -> dict[str, float]:
    from customspec.header import ModelHeader
    from customspec.registry import discover

    header = ModelHeader("", "", 0, 0, WIDTH, 1, {"layer": (WIDTH, WIDTH)}, (), {})
    rates = {}
    for name in names:
        technique = discover().tuning({"rslora": "lora", "dora": "lora"}.get(name, name.partition(",")[0]))
        rates[name] = float(technique.recipe(technique.options(), header, ROWS)["learning_rate"])
    return rates


def _course(name: str, rate: float) -> list[tuple[float, float]]:
    """Distance and cosine at the steps of AT."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, output, pull, loss = _vectors(name) if name in LEARNED else _layer(name)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.0)
    with torch.no_grad():
        before = output()
    found = []
    for step in range(1, max(AT) + 1):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        if step in AT:
            with torch.no_grad():
                gone = output() - before
            straight = float((gone * pull).sum() / gone.norm() / pull.norm())
            found.append((float(gone.norm() / before.norm()), straight))
    return found


def _vectors(name: str) -> Problem:
    """The vectors of a learned prompt, each pulled its own way, with noise."""
    import torch

    pull, model = torch.randn(VECTORS, WIDTH), _prompt(LEARNED[name])
    which = torch.arange(VECTORS)[None]

    def output() -> Tensor:
        vectors: Tensor = model(which)[0]
        return vectors

    return model, output, pull, lambda: -(output() * (pull + torch.randn_like(pull))).mean()


def _prompt(encoder: str | None) -> nn.Module:
    """Vectors that are learned themselves, or made by P-tuning's encoder as its plugin sets it up."""
    import torch
    from peft import PromptEncoderConfig
    from peft.tuners import PromptEncoder

    from customspec_tuning.ml.soft_prompts import steer

    vectors = SIZE * torch.randn(VECTORS, WIDTH)
    if encoder is None:
        own: nn.Module = torch.nn.Embedding.from_pretrained(vectors, freeze=False)
        return own
    shape: dict[str, Any] = {"num_virtual_tokens": VECTORS, "token_dim": WIDTH, "num_transformer_submodules": 1}
    config: Any = PromptEncoderConfig(encoder_reparameterization_type=encoder, encoder_hidden_size=128, **shape)
    made: nn.Module = PromptEncoder(config)
    steer(made, vectors)
    return made


def _layer(name: str) -> Problem:
    """The layer with the technique on it, and rows of whose outputs some are pulled at each step."""
    import torch
    from peft import get_peft_model
    from torch import nn

    layer = nn.Linear(WIDTH, WIDTH, bias=False)
    nn.init.normal_(layer.weight, std=SPREAD)
    kind = torch.arange(ROWS) % KINDS
    rows = 0.6 * torch.randn(KINDS, WIDTH)[kind] + 0.8 * torch.randn(ROWS, WIDTH)
    pull = torch.randn(KINDS, WIDTH)[kind]
    config = _configs()[name]
    bare: Any = nn.Sequential()
    bare.add_module("layer", layer)
    model = bare if config is None else get_peft_model(bare, config)

    def loss() -> Tensor:
        some = torch.randint(0, ROWS, (BATCH,))
        # what the output was before is the same at every step, and has no gradient
        pulled: Tensor = -(model(rows[some]) * pull[some]).mean()
        return pulled

    return model, lambda: model(rows), pull, loss


if __name__ == "__main__":
    sys.exit(main())
