"""How cost grows: scoring with rows and shots, plans with candidates, validation with rows.

    python -m benchmarks.growth [--only scoring plan validate] [--largest N]

Scoring runs on a small random model, in this process; plans and validations are commands of their own, so that the
peak memory is theirs. CPU seconds are nearly the same on a busy machine, unlike the clock's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PROGRAM = """
import re, resource, sys
from pathlib import Path
from customspec.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
own, used = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
# Linux hands `ru_maxrss` down from the parent; the high-water mark of the status is the process's own
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print("#", code, own.ru_utime + own.ru_stime + used.ru_utime + used.ru_stime, peak, file=sys.stderr)
"""
SPEC = """\
customspec: 1
name: growth
base_model: {path: model}
data: {train: train.jsonl, validation: validation.jsonl, test: test.jsonl}
prompt: {user: "{{ text }}", answer: "{{ label }}", choices: [warm, cold]}
"""


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _model(folder)
        for part in arguments.only:
            sys.stdout.writelines(f"{line}\n" for line in PARTS[part](folder, arguments.largest))
            sys.stdout.write("\n")
            sys.stdout.flush()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description="How cost grows.")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS), help="parts of it")
    parser.add_argument("--largest", type=int, default=1_000_000, help="rows of the largest file that is validated")
    return parser.parse_args()


def scoring(folder: Path, _: int) -> Iterator[str]:
    """Seconds and keys held, by rows and by the tokens of the demonstrations that all rows share."""
    import torch

    from customspec.ml.models import load_model
    from customspec.ml.scoring import score_choices

    model = load_model(folder / "model", torch.float32)
    choices = [[10, 11, 1], [12, 1]]
    yield "| rows | shared tokens | seconds | microseconds a row | peak memory grew by, MiB |\n|---|---|---|---|---|"
    for shared in (0, 64, 256):
        for rows in (250, 1000, 4000):
            prompts = [[*([20] * shared), 30 + row % 200, 40 + row // 200 % 200, 50] for row in range(rows)]
            before, began = _peak(), time.perf_counter()
            score_choices(model, prompts, choices, pad=2)
            taken = time.perf_counter() - began
            grown = (_peak() - before) / 2**10
            yield f"| {rows} | {shared} | {taken:.2f} | {1e6 * taken / rows:.0f} | {grown:.0f} |"


def plan(folder: Path, _: int) -> Iterator[str]:
    """Seconds of `plan`, by candidates: half of them prompts, half of them trainings."""
    _rows(folder / "train.jsonl", 24, 1000)
    (folder / "spec.yaml").write_text(SPEC + "techniques: [zero_shot]\n", encoding="utf-8")
    _run(folder, "plan", "spec.yaml")  # the model's header is known from now on
    yield "| candidates | steps | CPU seconds | peak memory, MiB |\n|---|---|---|---|"
    for count in (1, 20, 100, 1000):
        shots = [f"  - {{id: f{n}, few_shot: {{shots: {1 + n % 8}}}}}" for n in range(count // 2)]
        rates = [
            f"  - {{id: l{n}, lora: {{r: 2, learning_rate: {(n + 1) * 1e-6:.6f}}}}}" for n in range(count - len(shots))
        ]
        (folder / "spec.yaml").write_text(SPEC + "techniques:\n" + "\n".join([*shots, *rates]) + "\n", encoding="utf-8")
        told, seconds, memory = _run(folder, "plan", "spec.yaml", "--json")
        yield f"| {count} | {len(json.loads(told)['steps'])} | {seconds:.2f} | {memory / 2**10:.0f} |"


def validate(folder: Path, largest: int) -> Iterator[str]:
    """Seconds and memory of `validate`, by training rows."""
    (folder / "spec.yaml").write_text(SPEC + "techniques: [zero_shot]\n", encoding="utf-8")
    yield "| training rows | CPU seconds | peak memory, MiB |\n|---|---|---|"
    for rows in (count for count in (1000, 10_000, 100_000, 1_000_000) if count <= largest):
        _rows(folder / "train.jsonl", rows, 1000)
        _, seconds, memory = _run(folder, "validate", "spec.yaml")
        yield f"| {rows:,} | {seconds:.2f} | {memory / 2**10:.0f} |"


PARTS: Any = {"scoring": scoring, "plan": plan, "validate": validate}


def _run(folder: Path, *arguments: str) -> tuple[str, float, int]:
    """What a command wrote, its CPU seconds, and its own peak in KiB. Raises RuntimeError when it fails."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    words = (done.stderr.strip().splitlines() or [""])[-1].split()
    if words[:2] != ["#", "0"]:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr[-2000:]}")
    return done.stdout, float(words[2]), int(words[3])


def _model(folder: Path) -> None:
    from customspec.testing.models import make_model

    make_model(folder / "model")
    for name, rows, start in (("train", 24, 1000), ("validation", 12, 100), ("test", 12, 200)):
        _rows(folder / f"{name}.jsonl", rows, start)


def _rows(file: Path, count: int, start: int) -> None:
    colours: Sequence[tuple[str, str]] = (("red", "warm"), ("amber", "warm"), ("blue", "cold"), ("teal", "cold"))
    with file.open("w", encoding="utf-8") as opened:
        for number in range(start, start + count):
            colour, label = colours[number % len(colours)]
            opened.write(json.dumps({"text": f"number {number} is {colour}", "label": label}) + "\n")


def _peak() -> int:
    """KiB, of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
