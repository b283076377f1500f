"""LoRA trained by customspec.    python -m benchmarks.sides.training MODEL ROWS EPOCHS DTYPE OUT"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from peft import LoraConfig
from torch import nn
from transformers import AutoTokenizer

from benchmarks.sides import flops, peak_bytes, read
from customspec.inputs.encoding import Encoded
from customspec.ml.adapters import attach, save
from customspec.ml.models import DTYPES, load_model
from customspec.ml.training import Trained, seed_everything, train
from customspec.prompts import Example
from customspec.spec import TrainingOptions

BATCH = 8


def main(model_dir: str, file: str, epochs: str, dtype: str, out: str) -> None:
    rows = encoded(model_dir, read(file))
    base = load_model(Path(model_dir), DTYPES[dtype])
    seed_everything(0)
    model = attach(base, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    steps = math.ceil(len(rows) / BATCH) * int(epochs)
    trained = run(model, rows, steps, dtype)
    peak = peak_bytes()
    Path(out).mkdir(parents=True, exist_ok=True)
    save(model, Path(out))
    # one more epoch: how wide a batch is depends on which rows are there
    counted = flops(lambda: run(model, rows, math.ceil(len(rows) / BATCH), dtype))
    values = {
        "rows": trained.rows,
        "seconds": trained.seconds,
        "tokens": sum(len(row.prompt) + len(row.answer) for row in rows) * int(epochs),
        "peak_bytes": peak,
        "flops": counted * int(epochs),
        "adapter": out,
    }
    print(json.dumps(values))


def encoded(model_dir: str, rows: Sequence[dict[str, str]]) -> list[Encoded]:
    """Each message as a chat turn, its label as the answer."""
    tokenizer = AutoTokenizer.from_pretrained(model_dir)

    def ids(text: str) -> tuple[int, ...]:
        return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])

    def one(number: int, row: dict[str, str]) -> Encoded:
        turns = [{"role": "user", "content": row["text"]}]
        prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        example = Example(f"train:{number}", None, row["text"], row["label"])
        return Encoded(example, ids(str(prompt)), ids(row["label"] + tokenizer.eos_token))

    return [one(number, row) for number, row in enumerate(rows)]


def run(model: nn.Module, rows: Sequence[Encoded], steps: int, dtype: str) -> Trained:
    options = TrainingOptions(learning_rate=1e-3, per_device_train_batch_size=BATCH, num_train_epochs=1.0)
    with tempfile.TemporaryDirectory() as scratch:
        return train(
            model,
            rows,
            options,
            steps=steps,
            seed=0,
            pad=0,
            device="cpu",
            autocast=dtype == "bfloat16",
            scratch=Path(scratch),
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
