"""Few-shot label scoring beside lm-eval: eight shots, ten labels, the messages of Banking77.

    python -m benchmarks.scoring --data FOLDER [--rows N] [--rival-rows N] [--repeats N]

The rival runs on the first rows of ours, as its time a row does not depend on how many there are; the accuracies are
of those rows. Tokens are the prompts' as they stand, whatever a side computes of them.
"""

from __future__ import annotations

import random
import sys

from benchmarks.versus import (
    Side,
    banking,
    compute_dtype,
    in_turn,
    machine_line,
    model_folder,
    ours,
    parser,
    rival,
    table,
    write_rows,
)

SHOTS, BATCH = 8, 8


def main() -> int:
    arguments = parser("scoring", "Few-shot label scoring beside lm-eval.", 100).parse_args()
    few = arguments.rival_rows or arguments.rows
    shots = banking(arguments.data, "train", SHOTS)
    test = banking(arguments.data, "test", 400)
    random.Random(0).shuffle(test)
    head = "Classify the customer's message.\n\n" + "".join(f"{_asked(row)} {row['label']}\n\n" for row in shots)
    labels = sorted({row["label"] for row in test})
    rows = [{**row, "prompt": head + _asked(row), "choices": labels} for row in test[: arguments.rows]]
    whole = write_rows(arguments.work / "scoring" / "rows.jsonl", rows)
    part = write_rows(arguments.work / "scoring" / "first.jsonl", rows[:few])
    model, dtype = model_folder(arguments.work, arguments.model), compute_dtype()
    sides = [
        Side("customspec", ours("scoring", model, whole, dtype, few)),
        Side("lm-eval 0.4.13", rival("scoring_lm_eval.py", model, part, dtype, arguments.work, BATCH)),
    ]
    found = in_turn(sides, arguments.repeats)
    print(f"{SHOTS}-shot scoring of {len(labels)} labels, Banking77. {machine_line(model)}\n")
    print(table(found, sides[1].name))
    return 0


def _asked(row: dict[str, str]) -> str:
    return f"Message: {row['text']}\nIntent:"


if __name__ == "__main__":
    sys.exit(main())
