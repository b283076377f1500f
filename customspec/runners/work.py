"""What a step needs while it runs: the results before it, the technique by name, the device, a way to tell progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from customspec.errors import RefusedError
from customspec.header import ModelHeader
from customspec.inputs.digests import Digests
from customspec.inputs.encoding import Encodings, OnLong, Select, encode, no_shots
from customspec.inputs.headers import read_model
from customspec.inputs.models import ModelFiles, digest_of
from customspec.inputs.tokens import Chat
from customspec.machine import Machine
from customspec.plan import Result, Step
from customspec.prompts import Example, PromptTemplate, Row
from customspec.registry import Registry
from customspec.runners.rows import load_rows
from customspec.sandbox.templates import prompt_template

Tell = Callable[[int, int | None, str], None]
"""Units done, units in all where known, and a short note."""


@dataclass(frozen=True)
class Need:
    """A step that came before, with its result."""

    step: Step
    result: Result


@dataclass(frozen=True)
class Work:
    """One step's surroundings."""

    needs: Mapping[str, Need]
    registry: Registry
    machine: Machine
    cache: Path
    tell: Tell

    def need(self, kind: str) -> Need:
        """The one need of a kind; every step has at most one of each but `evaluate`."""
        return next(need for need in self.needs.values() if need.step.kind == kind)

    def model_files(self) -> ModelFiles:
        """The base model as the plan saw it."""
        step = self.need("model").step
        path, label = Path(step.sources["path"]), str(step.sources["label"])
        return ModelFiles(step.params["kind"], path, label, step.params["digest"])

    def model_folder(self) -> Path:
        """A folder of safetensors: the converted GGUF file in the store, or the person's own folder, unchanged.

        Raises RefusedError when the person's folder is not what the plan saw.
        """
        need = self.need("model")
        if need.step.params["kind"] == "gguf":
            return need.result.folder
        check_unchanged(self.model_files(), Digests(self.cache))
        return Path(need.step.sources["path"])

    @cached_property
    def header_and_chat(self) -> tuple[ModelHeader, Chat]:
        """The base model's header, and its way of reading a conversation; read once a step."""
        known = read_model(self.model_files(), self.cache / "headers")
        return known.header, Chat.load(known.tokenizer)

    def rows(self, split: str) -> tuple[Row, ...]:
        return load_rows(self.need("data").result.folder / f"{split}.jsonl")


def check_unchanged(files: ModelFiles, digests: Digests) -> None:
    """Raises RefusedError when a model's files are no longer those of the plan."""
    if digest_of(files, digests) != files.digest:
        raise RefusedError(f"the model {files.label} changed after the plan was made; run again")


def template_of(params: Mapping[str, Any]) -> PromptTemplate:
    """The candidate's prompt, compiled again from the step's plain parameters."""
    prompt = params["prompt"]
    return prompt_template(prompt["user"], prompt["answer"], prompt["system"])


def selector_of(params: Mapping[str, Any], train: tuple[Example, ...], registry: Registry) -> Select:
    """The candidate's demonstrations for a query."""
    prompting = params["prompting"]
    if prompting is None:
        return no_shots
    technique = registry.prompting(prompting["name"])
    options = technique.options.model_validate(prompting["options"])
    return technique.select(options, train, params["seed"])


def encode_rows(
    params: Mapping[str, Any], queries: tuple[Row, ...], work: Work, *, reserve: int | None, answered: bool = True
) -> Encodings:
    """Rows as this candidate's prompts, demonstrations included."""
    template = template_of(params)
    train = tuple(template.render_all(work.rows("train"))) if params["prompting"] is not None else ()
    header, chat = work.header_and_chat
    on_long: OnLong = params["on_long"]
    return encode(
        template.render_all(queries, answered=answered),
        selector_of(params, train, work.registry),
        chat,
        context=header.context_length,
        reserve=reserve,
        on_long=on_long,
    )
