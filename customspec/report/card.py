"""The model card of an export: what it is, what it reached, how it is used. Its numbers are those of the results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from customspec import __version__
from customspec.decide.wording import percent, short_run
from customspec.report.serving import ELSEWHERE, Base, Form, Served

WORDS: Mapping[Form, str] = {
    "adapter": "An adapter in PEFT's layout, to be loaded beside its base.",
    "model": "A whole model.",
    "merged": "A whole model: the base with the adapter merged into its weights.",
    "prompt": "A prompt for the base as it is: `prompt.json` has the templates, the demonstrations, one example.",
    "base": "The base as a folder of safetensors, and the prompt for it in `prompt.json`.",
    "other": "What the technique's plugin saved, in its own layout.",
}


@dataclass(frozen=True)
class Facts:
    """All that a card tells."""

    document: Mapping[str, Any]
    key: str
    form: Form
    technique: str
    options: Mapping[str, Any]
    summary: str
    base: Base
    base_digest: str
    licence: str | None
    choices: Sequence[str] | None
    by_question: bool
    splits: Mapping[str, tuple[int, str | None]]
    """Rows and digest of each split; the digest is None of what was split off."""
    parity: Mapping[str, Any] | None
    served: Sequence[Served]
    spec: str | None
    """The spec's text, where it still is the one that ran."""

    @property
    def candidate(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = next(c for c in self.document["candidates"] if c["key"] == self.key)
        return found


def card(facts: Facts) -> str:
    """The card's text: metadata for the hub, then the page."""
    from huggingface_hub import ModelCard, ModelCardData

    data = ModelCardData(
        base_model=facts.base.name if facts.base.revision is not None else None,
        library_name="peft" if facts.form == "adapter" else "transformers",
        license=facts.licence,
        pipeline_tag="text-generation",
        tags=["customspec", facts.technique],
        model_name=f"{facts.document['name']} {facts.key}",
        eval_results=list(_evaluated(facts)) or None,
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n".join(_lines(facts)) + "\n"))


def _evaluated(facts: Facts) -> Iterator[Any]:
    from huggingface_hub import EvalResult

    task = "text-classification" if facts.choices else "text-generation"
    for metric, found in (facts.candidate["metrics"]["test"] or {}).items():
        if found["value"] is not None:
            yield EvalResult(
                task_type=task,
                dataset_type=facts.splits["test"][1] or "test",
                dataset_name=f"{facts.document['name']} (test, {found['n']} rows)",
                dataset_split="test",
                metric_type=metric,
                metric_value=found["value"],
                metric_args={"ci": found["ci"], "confidence": found["confidence"]},
            )


def _lines(facts: Facts) -> Iterator[str]:
    document, decision = facts.document, facts.document["decision"]
    yield f"# {document['name']}: {facts.key}\n"
    yield f"{WORDS[facts.form]} Made by customspec {__version__}, run `{document['run']}`.\n"
    yield f"**{decision['answer']}**\n" if decision["chosen_key"] == facts.key else _not_chosen(decision)
    if short := short_run(document.get("shortened")):
        yield f"This was {short}.\n"
    for title, lines in (
        ("Results", _results(facts)),
        ("Use", _use(facts)),
        ("Technique", _technique(facts)),
        ("Base", _base(facts)),
        ("Data", _data(facts)),
        ("Made with", _made(facts)),
    ):
        yield f"## {title}\n"
        yield "\n".join(lines) + "\n"


def _not_chosen(decision: Mapping[str, Any]) -> str:
    return f"The run chose another candidate, {decision['chosen_key']}: {decision['answer']}.\n"


def _results(facts: Facts) -> Iterator[str]:
    yield "| metric | split | value | interval | rows |\n|---|---|---|---|---|"
    for split, metrics in facts.candidate["metrics"].items():
        for metric, found in (metrics or {}).items():
            low, high = (_number(end) for end in found["ci"])
            interval = f"{low} to {high} ({percent(found['confidence'])})"
            yield f"| {metric} | {split} | {_number(found['value'])} | {interval} | {found['n']} |"
    cost = facts.candidate["cost"]
    yield f"\nTrained parameters: {_count(cost['trainable_parameters'])} of {_count(cost['total_parameters'])}."
    yield f"Prompt tokens per request: {_number(cost['prompt_tokens_per_example'])}."
    if facts.parity is not None:
        yield _parity(facts.parity)


def _parity(parity: Mapping[str, Any]) -> str:
    ties = f", {parity['ties']} are ties within rounding" if parity["ties"] else ""
    return (
        f"\nThe merged model, read from its files, answers {parity['same']} of {parity['rows']} {parity['split']} rows "
        f"as the model with its adapter beside it did{ties}."
    )


def _use(facts: Facts) -> Iterator[str]:
    if facts.base.name == ELSEWHERE and facts.form in {"adapter", "prompt"}:
        yield f"`{ELSEWHERE}` stands for the folder of the base model, {facts.base.label}, whose digest is below.\n"
    for served in facts.served:
        if served.command is not None:
            yield f"{served.server}, from the folder that holds this one:\n\n```\n{served.command}\n```\n"
        else:
            yield f"{served.server}: {served.why}.\n"
    if facts.form == "adapter":
        yield _with_peft(facts.base)
    yield "`prompt.json` has the prompt's templates (Jinja2 over the columns), and one example as messages and as text."
    if facts.by_question:
        yield "Each question gets demonstrations of its own, out of `demonstrations.jsonl`."
    if facts.choices:
        yield _choosing(facts.choices, any(one.server == "vLLM" and one.command for one in facts.served))


def _with_peft(base: Base) -> str:
    where = json.dumps(base.name or "FOLDER")
    if base.name is None:
        where += f", gguf_file={json.dumps(base.label.rpartition('/')[2])}"
    if base.revision is not None:
        where += f", revision={json.dumps(base.revision)}"
    return (
        "transformers and PEFT, from the folder that holds this README:\n\n```python\n"
        "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n"
        f'base = AutoModelForCausalLM.from_pretrained({where})\nmodel = PeftModel.from_pretrained(base, ".")\n```\n'
    )


def _choosing(choices: Sequence[str], vllm: bool) -> str:
    """How answers are held to the choices, where the results are of scoring them."""
    asked = f'`"structured_outputs": {{"choice": {json.dumps(list(choices))}}}` in the request'
    held = f"Hold it to the choices, in vLLM with {asked}" if vllm else "Hold it to the choices"
    return (
        "The results are of scoring the choices by their likelihood; a server generates text. "
        f"{held}; the answers are near to these results then, and need not be equal."
    )


def _technique(facts: Facts) -> Iterator[str]:
    yield f"`{facts.technique}`: {facts.summary}\n"
    given = {name: value for name, value in facts.options.items() if value is not None}
    yield f"```json\n{json.dumps(given, indent=1, ensure_ascii=False)}\n```"


def _base(facts: Facts) -> Iterator[str]:
    revision = "" if facts.base.revision is None else f", revision `{facts.base.revision}`"
    yield f"`{facts.base.label}`{revision}, `{facts.base_digest}`."
    yield f"Licence: {facts.licence or 'not told by its files; ask whoever published it'}."
    if facts.base.name is None and facts.form == "prompt":
        folder, file = "FOLDER", facts.base.label.rpartition("/")[2]
        yield (
            f"\nIt is a GGUF file. transformers reads it as it was read here:\n\n```python\n"
            f'AutoModelForCausalLM.from_pretrained("{folder}", gguf_file="{file}")\n```'
        )


def _data(facts: Facts) -> Iterator[str]:
    yield "| split | rows | digest |\n|---|---|---|"
    for split, (rows, digest) in facts.splits.items():
        yield f"| {split} | {rows} | {'split off the training rows' if digest is None and rows else digest or '-'} |"


def _made(facts: Facts) -> Iterator[str]:
    environment = facts.document["environment"]
    names = ("python", "torch", "transformers", "peft", "device_name", "compute_dtype")
    yield ", ".join(f"{name} {environment[name]}" for name in names) + "."
    yield f"\nSpec `{facts.document['spec_digest']}`, plan `{facts.document['plan_digest']}`."
    if facts.spec is not None:
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", facts.spec))])
        yield f"\n{fence}yaml\n{facts.spec.rstrip()}\n{fence}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
