"""LoRA (r = 8, every linear map, batches of 8 short rows) beside TRL's SFT and a plain loop over PEFT's model.

    python -m benchmarks.training --data FOLDER [--rows N] [--epochs N] [--repeats N]

Every side trains on the same rows with the same settings. The accuracies are those of the adapters of the last turn on
test rows, by one scorer. Tokens are the rows' as they stand, whatever a side computes of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import versus


def main() -> int:
    reading = versus.parser("training", "LoRA training beside TRL and a plain PEFT loop.", 200)
    reading.add_argument("--epochs", type=int, default=2)
    reading.add_argument("--test-rows", type=int, default=200, help="rows of the accuracy")
    arguments = reading.parse_args()
    work: Path = arguments.work / "training"
    train = versus.write_rows(work / "train.jsonl", versus.banking(arguments.data, "train", arguments.rows))
    test = versus.write_rows(work / "test.jsonl", versus.banking(arguments.data, "test", arguments.test_rows))
    model, dtype = versus.model_folder(arguments.work, arguments.model), versus.compute_dtype()
    given = model, train, arguments.epochs, dtype
    sides = [
        versus.Side("customspec", versus.ours("training", *given, work / "customspec")),
        versus.Side("TRL 1.16.0", versus.rival("training_trl.py", *given, work / "trl")),
        versus.Side("PEFT 0.21.2, plain loop", versus.rival("training_peft.py", *given, work / "peft")),
    ]
    found = versus.in_turn(sides, arguments.repeats)
    told = {}
    for name, runs in found.items():
        accuracy = _accuracy(runs[-1], model, test, dtype)
        told[name] = [run.judged(**accuracy, judged_rows=arguments.test_rows) for run in runs]
    what = f"LoRA r = 8, {arguments.rows} rows of Banking77, {arguments.epochs} epochs"
    versus.show(what, model, told, sides[1].name)
    return 0


def _accuracy(run: versus.Measured, model: Path, test: Path, dtype: str) -> dict[str, float]:
    command = versus.ours("accuracy", model, run.values["adapter"], test, dtype)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


if __name__ == "__main__":
    sys.exit(main())
