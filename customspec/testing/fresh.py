"""A plugin in a fresh process: what its import loads, and whether it answers there as it does here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any

from customspec.header import ModelHeader
from customspec.hookspecs import GROUP, Fits, Reads
from customspec.plan import digest
from customspec.registry import PREFIXES, discover, metric_options
from customspec.spec import as_written
from customspec.testing.checks import RuleError
from customspec.testing.rows import (
    columns_of,
    conversations,
    demonstrations,
    examples,
    fitted,
    guesses,
    queries,
    readings,
    scored,
)

HEAVY = ("torch", "transformers", "peft", "datasets", "accelerate")
PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from customspec.testing.fresh import main; main()"


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a fresh process found. `imported` and `answered`: the heavy modules that were loaded by then."""

    imported: tuple[str, ...]
    answered: tuple[str, ...]
    answers: Mapping[str, Any]
    errors: Mapping[str, str]

    def answer(self, question: str) -> Any:
        """As plain JSON. Raises RuleError with what the plugin raised instead of an answer."""
        if question in self.errors:
            raise RuleError(f"in a fresh process: {self.errors[question]}")
        return self.answers[question]


def ask_anew(asked: Mapping[str, Any], hash_seed: int) -> Fresh:
    """Import `module` in a process of its own, and ask what (`kind`) it offers by `name`.

    Raises RuleError when the module cannot be imported or does not offer it.
    """
    command = [sys.executable, "-P", "-c", PROGRAM, json.dumps(sys.path)]
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    ended = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, env=environment, check=False
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"])[-1]
        raise RuleError(f"`{asked['module']}` in a fresh process: {last}")
    report = json.loads(ended.stdout.splitlines()[-1])
    return Fresh(tuple(report["imported"]), tuple(report["answered"]), report["answers"], report["errors"])


def main() -> None:
    """The fresh process: the questions as JSON on stdin, the answers as the last line of stdout."""
    asked = json.load(sys.stdin)
    import_module(asked["module"])
    report: dict[str, Any] = {"imported": _heavy(), "answers": {}, "errors": {}}
    for question, answer in _questions(_offered(asked), asked):
        try:
            report["answers"][question] = answer()
        except Exception as error:  # the plugin's own fault, told to the process that asked
            report["errors"][question] = f"{type(error).__name__}: {error}"
    report["answered"] = _heavy()
    sys.stdout.write("\n" + json.dumps(report) + "\n")


def _heavy() -> list[str]:
    return [name for name in HEAVY if name in sys.modules]


def _offered(asked: Mapping[str, Any]) -> Any:
    """What an entry point of this name would give. Raises PluginError as a spec's compilation would."""
    kind, name = asked["kind"], asked["name"]
    prefix = next((text for text, prefixed in PREFIXES.items() if prefixed == kind), "")
    registry = discover([EntryPoint(f"{prefix}{name}", asked["module"], GROUP)])
    return registry.item(kind, name)


def _questions(offered: Any, asked: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Each answer is a digest, ids, texts or a number: comparable between processes."""
    if "options" in asked:
        model = metric_options(offered) if asked["kind"] == "metric" else offered.options
        written = asked["options"]
        yield "options", partial(_digest, model, written)
        yield "turned", partial(_digest, model, dict(reversed(written.items())))
    if "pairs" in asked:
        yield "score", lambda: scored(offered, model.model_validate(asked["options"]), asked["pairs"])
    if "rows" in asked:
        yield "prompts", partial(_prompts, offered, asked)
    if "headers" in asked:
        yield "planned", partial(_planned, offered, asked)


def _digest(model: Any, written: Mapping[str, Any]) -> str:
    return digest(model.model_validate(written).model_dump(mode="json"))


def _prompts(technique: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    return prompts_of(technique, as_written(technique.options.model_validate(asked["options"])), asked["rows"])


def prompts_of(technique: Any, options: Any, count: int) -> dict[str, Any]:
    """What a prompting technique makes of so many training rows, as plain JSON."""
    rows = examples(count, columns=columns_of(technique, options))
    asked, fits = queries(rows), isinstance(technique, Fits)
    return {
        "demonstrations": demonstrations(technique, options, rows, asked),
        "conversations": conversations(technique, options, rows, asked),
        "readings": readings(technique, options) if isinstance(technique, Reads) else [],
        "options found": fitted(technique, options, rows, guesses(technique, options, rows)) if fits else {},
    }


def _planned(technique: Any, asked: Mapping[str, Any]) -> list[Any]:
    return [plan(technique, asked["options"], ModelHeader.from_json(header)) for header in asked["headers"]]


def plan(technique: Any, written: Mapping[str, Any], header: ModelHeader) -> list[Any]:
    """All that a tuning technique is asked while a spec is compiled: refused, or its options and parameters."""
    options = technique.options.model_validate(written)
    refusal = technique.refusal(options, header)
    if refusal is not None:
        return [refusal.message, refusal.option, refusal.item]
    filled = filled_in(technique, options, header)
    return [digest(filled.model_dump(mode="json")), technique.trainable_parameters(filled, header)]


def filled_in(technique: Any, options: Any, header: ModelHeader, rows: int = 100) -> Any:
    """The options with those left open filled by the recipe, as the compiler does it."""
    given = options.model_dump(exclude_none=True)
    return technique.options.model_validate({**technique.recipe(options, header, rows), **given})
