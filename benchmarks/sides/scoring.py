"""Labels scored by customspec.    python -m benchmarks.sides.scoring MODEL ROWS DTYPE AGREE"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from transformers import AutoTokenizer

from benchmarks.sides import flops, peak_bytes, read
from customspec.ml.models import DTYPES, load_model
from customspec.ml.scoring import score_choices


def main(model_dir: str, file: str, dtype: str, agree: str) -> None:
    model, tokenizer = load_model(Path(model_dir), DTYPES[dtype]), AutoTokenizer.from_pretrained(model_dir)
    rows = read(file)
    choices = rows[0]["choices"]

    def ids(text: str) -> list[int]:
        found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def score() -> list[list[float]]:
        prompts = [ids(row["prompt"]) for row in rows]
        return score_choices(model, prompts, [ids(f" {choice}") for choice in choices], pad=0)

    began = time.perf_counter()
    scores = score()
    seconds = time.perf_counter() - began
    peak = peak_bytes()
    chosen = [choices[max(range(len(choices)), key=row.__getitem__)] for row in scores[: int(agree)]]
    right = sum(choice == row["label"] for choice, row in zip(chosen, rows, strict=False))
    values = {
        "rows": len(rows),
        "seconds": seconds,
        "tokens": sum(len(ids(row["prompt"])) for row in rows),
        "accuracy": right / len(chosen),
        "peak_bytes": peak,
        "flops": flops(score),
    }
    print(json.dumps(values))


if __name__ == "__main__":
    main(*sys.argv[1:])
