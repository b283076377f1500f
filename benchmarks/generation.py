"""Sentences generated from restaurant facts (E2E) beside transformers' own generate in batches of 8.

    python -m benchmarks.generation --data FOLDER [--rows N] [--repeats N]

Both decode greedily up to a line's end or 48 tokens. The last column is the share of texts that are the rival's, letter
for letter: batches of other shapes round otherwise, which decides where two tokens are about equally likely.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from benchmarks import versus

NEW, SHOTS = 48, 3
TEXTS = "texts as the rival's"


def main() -> int:
    arguments = versus.parser("generation", "Generation beside transformers' generate.", 48).parse_args()
    work: Path = arguments.work / "generation"
    prompts = versus.write_rows(work / "rows.jsonl", _prompts(arguments.data / "e2e", arguments.rows))
    model, dtype = versus.model_folder(arguments.work, arguments.model), versus.compute_dtype()
    given = model, prompts, dtype, NEW
    sides = [
        versus.Side("customspec", versus.ours("generation", *given, work / "ours.json")),
        versus.Side("transformers, batches of 8", versus.rival("generation_plain.py", *given, work / "plain.json")),
    ]
    found = versus.in_turn(sides, arguments.repeats)
    theirs = _texts(found[sides[1].name][-1])
    told = {name: [run.judged(accuracy=_same(_texts(run), theirs)) for run in runs] for name, runs in found.items()}
    versus.show(f"Generation from {SHOTS} shots, {arguments.rows} rows of E2E", model, told, sides[1].name, TEXTS)
    return 0


def _prompts(folder: Path, count: int) -> list[dict[str, str]]:
    with next(folder.glob("*.csv")).open(encoding="utf-8", newline="") as opened:
        rows = list({row["mr"]: row for row in csv.DictReader(opened)}.values())
    head = "Write one sentence that says all of the facts.\n\n"
    head += "".join(f"Facts: {row['mr']}\nSentence: {row['ref']}\n\n" for row in rows[:SHOTS])
    return [{"prompt": f"{head}Facts: {row['mr']}\nSentence:"} for row in rows[SHOTS : SHOTS + count]]


def _texts(run: versus.Measured) -> list[str]:
    return list(json.loads(Path(run.values["out"]).read_text(encoding="utf-8")))


def _same(texts: list[str], others: list[str]) -> float:
    return sum(a == b for a, b in zip(texts, others, strict=True)) / len(texts)


if __name__ == "__main__":
    sys.exit(main())
