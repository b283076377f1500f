"""Few-shot label scoring beside lm-eval: eight shots, ten labels, the messages of Banking77.

    python -m benchmarks.scoring --data FOLDER [--rows N] [--rival-rows N] [--repeats N]

The rival runs on the first rows of ours, as its time a row does not depend on how many there are; the accuracies are
of those rows. Tokens are the prompts' as they stand, whatever a side computes of them.
"""

from __future__ import annotations

import random
import sys

from benchmarks import versus

SHOTS, BATCH = 8, 8


def main() -> int:
    arguments = versus.parser("scoring", "Few-shot label scoring beside lm-eval.", 100).parse_args()
    few = arguments.rival_rows or arguments.rows
    shots = versus.banking(arguments.data, "train", SHOTS)
    test = versus.banking(arguments.data, "test", 400)
    random.Random(0).shuffle(test)
    head = "Classify the customer's message.\n\n" + "".join(f"{_asked(row)} {row['label']}\n\n" for row in shots)
    labels = sorted({row["label"] for row in test})
    rows = [{**row, "prompt": head + _asked(row), "choices": labels} for row in test[: arguments.rows]]
    whole = versus.write_rows(arguments.work / "scoring" / "rows.jsonl", rows)
    part = versus.write_rows(arguments.work / "scoring" / "first.jsonl", rows[:few])
    model, dtype = versus.model_folder(arguments.work, arguments.model), versus.compute_dtype()
    sides = [
        versus.Side("customspec", versus.ours("scoring", model, whole, dtype, few)),
        versus.Side("lm-eval 0.4.13", versus.rival("scoring_lm_eval.py", model, part, dtype, arguments.work, BATCH)),
    ]
    found = versus.in_turn(sides, arguments.repeats)
    versus.show(f"{SHOTS}-shot scoring of {len(labels)} labels, Banking77", model, found, sides[1].name)
    return 0


def _asked(row: dict[str, str]) -> str:
    return f"Message: {row['text']}\nIntent:"


if __name__ == "__main__":
    sys.exit(main())
