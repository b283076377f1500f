"""The accuracy of an adapter, whoever trained it.    python -m benchmarks.sides.accuracy MODEL ADAPTER ROWS DTYPE"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.sides import read
from benchmarks.sides.training import encoded
from customspec.ml.adapters import load
from customspec.ml.models import DTYPES, load_model
from customspec.ml.precision import computing
from customspec.ml.scoring import score_choices


def main(model_dir: str, adapter: str, file: str, dtype: str) -> None:
    rows = read(file)
    prompts = encoded(model_dir, rows)
    labels = sorted({row["label"] for row in rows})
    answers = {row.example.answer: row.answer for row in prompts}
    model = load(load_model(Path(model_dir), DTYPES[dtype]), Path(adapter)).eval()
    with computing("cpu", dtype):
        scores = score_choices(model, [row.prompt for row in prompts], [answers[label] for label in labels], pad=0)
    chosen = [labels[max(range(len(labels)), key=found.__getitem__)] for found in scores]
    print(json.dumps({"accuracy": sum(a == row["label"] for a, row in zip(chosen, rows, strict=True)) / len(rows)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
