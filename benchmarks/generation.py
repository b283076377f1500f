"""Sentences generated from restaurant facts (E2E) beside transformers' own generate in batches of 8.

    python -m benchmarks.generation --data FOLDER [--rows N] [--repeats N]

Both decode greedily up to a line's end or 48 tokens. The last column is the share of texts that are the rival's, letter
for letter: batches of other shapes round otherwise, which decides where two tokens are about equally likely.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.versus import (
    Measured,
    Side,
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

NEW, SHOTS = 48, 3


def main() -> int:
    arguments = parser("generation", "Generation beside transformers' generate.", 48).parse_args()
    work: Path = arguments.work / "generation"
    prompts = write_rows(work / "rows.jsonl", _prompts(arguments.data / "e2e", arguments.rows))
    model, dtype = model_folder(arguments.work, arguments.model), compute_dtype()
    given = model, prompts, dtype, NEW
    sides = [
        Side("customspec", ours("generation", *given, work / "ours.json")),
        Side("transformers, batches of 8", rival("generation_plain.py", *given, work / "plain.json")),
    ]
    found = in_turn(sides, arguments.repeats)
    theirs = _texts(found[sides[1].name][-1])
    told = {
        name: [replace(run, values={**run.values, "accuracy": _same(_texts(run), theirs)}) for run in runs]
        for name, runs in found.items()
    }
    print(f"Generation from {SHOTS} shots, {arguments.rows} rows of E2E. {machine_line(model)}\n")
    print(table(told, sides[1].name))
    return 0


def _prompts(folder: Path, count: int) -> list[dict[str, str]]:
    with next(folder.glob("*.csv")).open(encoding="utf-8", newline="") as opened:
        rows = list({row["mr"]: row for row in csv.DictReader(opened)}.values())
    head = "Write one sentence that says all of the facts.\n\n"
    head += "".join(f"Facts: {row['mr']}\nSentence: {row['ref']}\n\n" for row in rows[:SHOTS])
    return [{"prompt": f"{head}Facts: {row['mr']}\nSentence:"} for row in rows[SHOTS : SHOTS + count]]


def _texts(run: Measured) -> list[str]:
    return list(json.loads(Path(run.values["out"]).read_text(encoding="utf-8")))


def _same(texts: list[str], others: list[str]) -> float:
    return sum(a == b for a, b in zip(texts, others, strict=True)) / len(texts)


if __name__ == "__main__":
    sys.exit(main())
