"""How long commands that only look take to answer, beside other tools' `--help`.

    python -m benchmarks.startup [--times N] [--rival COMMAND ...]

Each command runs in a process of its own, first once to fill caches, then N times; the table has medians. A rival is
a whole command, for instance `--rival "trl --help"`, looked for in the rivals' environment (`make bench-env`) and then
on the PATH; one that is not installed is left out and named. CPU seconds are those of the process and its children:
unlike the clock's they are nearly the same on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import versus

SPECS = Path(__file__).parents[1] / "specs"
RIVALS = ("trl --help", "lm_eval --help", "axolotl --help", "llamafactory-cli help", "litgpt --help")


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds by the clock, and of the CPU."""

    wall: float
    cpu: float


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        spec = _twenty(Path(folder))
        ours = [
            ["--help"],
            ["validate", str(SPECS / "quickstart.yaml"), "--store", folder],
            ["plan", str(SPECS / "quickstart.yaml"), "--store", folder],
            ["plan", str(spec), "--store", folder],
        ]
        commands = [[sys.executable, "-m", "customspec", *command] for command in ours]
        labels = ["customspec --help", "customspec validate", "customspec plan", "customspec plan, 20 candidates"]
        there = {rival: command for rival in arguments.rival if (command := _installed(rival))}
        sys.stdout.write(f"{versus.machine_line()}\n\n| command | seconds | CPU seconds |\n|---|---|---|\n")
        for label, command in zip([*labels, *there], [*commands, *there.values()], strict=True):
            taken = measure(command, arguments.times)
            sys.stdout.write(f"| `{label}` | {taken.wall:.2f} | {taken.cpu:.2f} |\n")
            sys.stdout.flush()
    if absent := [rival for rival in arguments.rival if rival not in there]:
        sys.stdout.write(f"\nnot installed here: {', '.join(absent)}\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description="Time to an answer.")
    parser.add_argument("--times", type=int, default=5, help="runs of each command")
    parser.add_argument("--rival", action="append", default=list(RIVALS), help="a whole command; may be repeated")
    return parser.parse_args()


def _installed(rival: str) -> list[str] | None:
    program, *rest = shlex.split(rival)
    found = shutil.which(program, path=versus.ENVIRONMENT.parent) or shutil.which(program)
    return None if found is None else [found, *rest]


def measure(command: Sequence[str], times: int) -> Taken:
    """The medians of some runs, after one that fills caches. Raises RuntimeError when it fails."""
    runs = [_once(command) for _ in range(times + 1)][1:]
    return Taken(median(run.wall for run in runs), median(run.cpu for run in runs))


def _once(command: Sequence[str]) -> Taken:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled once, and not at every start
    ended = subprocess.run(command, capture_output=True, env=environment, check=False)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode:
        raise RuntimeError(f"{shlex.join(command)} ended with {ended.returncode}: {ended.stderr.decode()[-2000:]}")
    return Taken(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _twenty(folder: Path) -> Path:
    """The quickstart's task with twenty candidates."""
    import yaml

    spec = yaml.safe_load((SPECS / "quickstart.yaml").read_text(encoding="utf-8"))
    for split in ("train", "validation", "test"):  # a spec reads no files outside of its folder
        shutil.copy(SPECS / spec["data"][split], folder / f"{split}.jsonl")
    data = {split: f"{split}.jsonl" for split in ("train", "validation", "test")}
    shots = [{"id": f"few-{n}", "few_shot": {"shots": n}} for n in range(1, 11)]
    ranks = [{"id": f"lora-{n}", "lora": {"r": n}} for n in range(1, 11)]
    spec |= {"data": data, "techniques": [*shots, *ranks], "strategy": "compare"}
    file = folder / "twenty.yaml"
    file.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return file


if __name__ == "__main__":
    sys.exit(main())
