"""LoRA and full fine-tuning of models of 1B and 8B shape with random weights, rows of 2048 tokens, bfloat16.

    python -m benchmarks.gpu [--size 1b 8b] [--method lora full] [--side customspec] [--steps N] [--batch N]
    python -m benchmarks.gpu --size toy --device cpu --length 64 --steps 2     (does it run at all?)

Runs unattended: each side in a process of its own, a side that is not installed or does not fit is told as such. FLOPs
a token count as 4 N (LoRA) and 6 N (full), N being the weights that are multiplied by, attention left out, every token
a real one: rows are as long as the batch. The peak is the card's nominal one where it is known, and a GEMM's. Our side
compiles layers before the clock starts, as a training of more than some minutes does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig

from customspec.inputs.encoding import Encoded
from customspec.ml.adapters import attach
from customspec.ml.training import train
from customspec.prompts import Example
from customspec.spec import TrainingOptions

SHAPES: dict[str, dict[str, Any]] = {
    "toy": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32},
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32},
}
NOMINAL = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12}  # dense bfloat16 FLOP/s
WARM_UP = 2  # steps before the clock starts
SIDES = ("customspec", "plain", "trl")


def main() -> int:
    arguments = _arguments()
    if arguments.json:
        print(json.dumps(_measured(arguments)))
        return 0
    print("| size | method | side | tokens/s | TFLOP/s | of the nominal peak | of the GEMM | peak GiB |")
    print("|" + "---|" * 8)
    for size in arguments.size:
        for method in arguments.method:
            for side in arguments.side:
                print(_row(arguments, size, method, side), flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="Training on a GPU.")
    parser.add_argument("--size", nargs="+", choices=SHAPES, default=["1b", "8b"])
    parser.add_argument("--method", nargs="+", choices=["lora", "full"], default=["lora", "full"])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--length", type=int, default=2048, help="tokens of a row")
    parser.add_argument("--batch", type=int, default=4, help="rows of a step")
    parser.add_argument("--steps", type=int, default=12, help="steps that are timed")
    parser.add_argument("--side", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--json", action="store_true", help="one size, method and side, in this process")
    return parser.parse_args()


def _row(arguments: argparse.Namespace, size: str, method: str, side: str) -> str:
    options = {name: getattr(arguments, name) for name in ("device", "length", "batch", "steps")}
    command = [sys.executable, "-m", "benchmarks.gpu", "--size", size, "--method", method, "--side", side, "--json"]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return f"| {size} | {method} | {side} | failed: {last[:120]} | | | | |"
    found = json.loads(done.stdout.strip().splitlines()[-1])
    speed = found["tokens_per_second"] * found["flops_per_token"]
    nominal = next((peak for name, peak in NOMINAL.items() if name in found["card"]), None)
    cells = [
        size,
        method,
        found["side"],
        f"{found['tokens_per_second']:.0f}",
        f"{speed / 1e12:.2f}",
        "-" if nominal is None else f"{100 * speed / nominal:.1f} %",
        f"{100 * speed / found['gemm']:.1f} %",
        "-" if found["peak_bytes"] is None else f"{found['peak_bytes'] / 2**30:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _measured(arguments: argparse.Namespace) -> dict[str, Any]:
    [size], [method], [side], device = arguments.size, arguments.method, arguments.side, arguments.device
    gemm = _gemm(device)
    model = _model(size, method, device)
    multiplied = sum(part.weight.numel() for part in model.modules() if isinstance(part, nn.Linear))
    run, name = {"customspec": _customspec, "plain": _plain, "trl": _trl}[side](model, method, arguments)
    seconds = run()
    cuda = device.startswith("cuda")
    return {
        "side": name,
        "card": torch.cuda.get_device_name() if cuda else "cpu",
        "tokens_per_second": arguments.steps * arguments.batch * arguments.length / seconds,
        "flops_per_token": (4 if method == "lora" else 6) * multiplied,
        "gemm": gemm,
        "peak_bytes": torch.cuda.max_memory_allocated() if cuda else None,
    }


def _gemm(device: str) -> float:
    side = 8192 if device.startswith("cuda") else 256
    one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        began = _now(device)
        one @ other
        best = min(best, _now(device) - began)
    return 2 * side**3 / best


def _now(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def _model(size: str, method: str, device: str) -> nn.Module:
    config = LlamaConfig(
        vocab_size=512 if size == "toy" else 128256,
        num_key_value_heads=2 if size == "toy" else 8,
        tie_word_embeddings=size == "1b",
        use_cache=False,
        **SHAPES[size],
    )
    torch.manual_seed(0)
    with torch.device(device):
        made: nn.Module = AutoModelForCausalLM.from_config(
            config, dtype=torch.bfloat16 if method == "lora" else torch.float32
        )
    return made


def _lora() -> LoraConfig:
    return LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")


def _rows(arguments: argparse.Namespace, vocabulary: int, count: int) -> list[list[int]]:
    return torch.randint(0, vocabulary, (count, arguments.length)).tolist()


Run = tuple[Callable[[], float], str]


def _customspec(model: Any, method: str, arguments: argparse.Namespace) -> Run:
    trained = attach(model, _lora()) if method == "lora" else model
    steps = WARM_UP + arguments.steps
    tokens = _rows(arguments, model.config.vocab_size, steps * arguments.batch)
    rows = [Encoded(Example(str(n), None, "", ""), tuple(row[:1]), tuple(row[1:])) for n, row in enumerate(tokens)]
    options = TrainingOptions(learning_rate=1e-5, per_device_train_batch_size=arguments.batch, num_train_epochs=1.0)
    began: list[float] = []

    def begin(done: int, *_: Any) -> None:
        if done == WARM_UP and not began:
            began.append(_now(arguments.device))

    def run() -> float:
        with tempfile.TemporaryDirectory() as scratch:
            train(
                trained,
                rows,
                options,
                steps=steps,
                seed=0,
                pad=0,
                device=arguments.device.partition(":")[0],
                autocast=True,
                scratch=Path(scratch),
                worth_compiling=0,
                progress=begin,
            )
        return _now(arguments.device) - began[0]

    return run, f"customspec {version('customspec')}"


def _plain(model: Any, method: str, arguments: argparse.Namespace) -> Run:
    """The loop that one writes by hand: autocast, every logit, AdamW."""
    from peft import get_peft_model

    trained = get_peft_model(model, _lora()) if method == "lora" else model
    rows = torch.tensor(_rows(arguments, model.config.vocab_size, arguments.batch), device=arguments.device)
    weights = [part for part in trained.parameters() if part.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-5, fused=arguments.device.startswith("cuda"))

    def step() -> None:
        with torch.autocast(arguments.device.partition(":")[0], torch.bfloat16):
            loss = trained(input_ids=rows, labels=rows, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    def run() -> float:
        trained.train()
        for _ in range(WARM_UP):
            step()
        began = _now(arguments.device)
        for _ in range(arguments.steps):
            step()
        return _now(arguments.device) - began

    return run, f"transformers {version('transformers')} + PEFT {version('peft')}"


def _trl(model: Any, method: str, arguments: argparse.Namespace) -> Run:
    if find_spec("trl") is None:
        raise SystemExit("TRL is not installed")
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class Clock(TrainerCallback):
        began = 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == WARM_UP:
                self.began = _now(arguments.device)

    steps, clock = WARM_UP + arguments.steps, Clock()
    tokens = _rows(arguments, model.config.vocab_size, steps * arguments.batch)
    settings = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=arguments.batch,
        max_steps=steps,
        learning_rate=1e-5,
        bf16=True,
        use_cpu=arguments.device == "cpu",
        save_strategy="no",
        report_to=[],
        gradient_checkpointing=False,
        max_length=arguments.length,
        disable_tqdm=True,
    )
    trainer = SFTTrainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_dict({"input_ids": tokens}),
        processing_class=_tokenizer(),
        peft_config=_lora() if method == "lora" else None,
        callbacks=[clock],
    )

    def run() -> float:
        trainer.train()
        return _now(arguments.device) - clock.began

    return run, f"TRL {version('trl')}"


def _tokenizer() -> Any:
    """Any will do: the rows are token ids already."""
    from customspec.testing.models import make_tokenizer

    return make_tokenizer()


if __name__ == "__main__":
    sys.exit(main())
