"""What a step needs while it runs: the results before it, the technique by name, the device, a way to tell progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from customspec.errors import RefusedError
from customspec.header import ModelHeader
from customspec.hookspecs import PromptingTechnique
from customspec.inputs.digests import Digests
from customspec.inputs.encoding import Asking, Encodings, OnLong, encode
from customspec.inputs.headers import read_model
from customspec.inputs.models import ModelFiles, digest_of
from customspec.inputs.tokens import Chat
from customspec.machine import Machine
from customspec.plan import Result, Step
from customspec.prompts import CONTENT_FREE, AnyTemplate, ContentFree, ConversationTemplate, Example, Row
from customspec.registry import Registry
from customspec.runners.rows import load_rows
from customspec.runners.warm import Warm
from customspec.sandbox.templates import prompt_template
from customspec.spec import PromptingOptions, as_written
from customspec.store import Store

CHECKPOINT_SECONDS = 300.0  # of training between two checkpoints
FINDING = ("search", "fit")  # kinds of steps that find options for those that need them, and keep them in KIND.json


class Tell(Protocol):
    """Reports progress: units done, units in all where known, a short note, and numbers worth a curve."""

    def __call__(
        self, done: int, total: int | None, note: str, values: Mapping[str, float] | None = None, /
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Host:
    """What a run stands on, whatever its plan: the store, the plugins, this machine."""

    store: Store
    registry: Registry
    machine: Machine


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
    key: str = ""
    """Under which the step's result will lie in the store."""
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    warm: Warm = field(default_factory=Warm)
    check: Callable[[], None] = lambda: None
    """Raises where the step must stop; `tell` calls it as well."""
    measured: Callable[[float], None] | None = None
    """Called with each measurement on the validation rows in the course of a training; may raise to end it."""

    @property
    def silent(self) -> Work:
        """The same, but it reports no progress. It still ends where the step must stop."""
        return replace(self, tell=lambda done, total, note, values=None: self.check())

    def need(self, kind: str) -> Need:
        """The one need of a kind; every step has at most one of each but `evaluate`."""
        return next(need for need in self.needs.values() if need.step.kind == kind)

    def model_files(self) -> ModelFiles:
        """The base model as the plan saw it."""
        return files_of(self.need("model").step)

    def model_folder(self) -> Path:
        """A folder of safetensors: the converted GGUF file in the store, or the person's own folder, unchanged.

        Raises RefusedError when the person's folder is not what the plan saw.
        """
        need = self.need("model")
        if need.step.params["kind"] == "gguf":
            return need.result.folder
        check_unchanged(self.model_files(), Digests(self.cache))
        return Path(need.step.sources["path"])

    @property
    def header_and_chat(self) -> tuple[ModelHeader, Chat]:
        """The base model's header, and its way of reading a conversation; read once a run."""
        files = self.model_files()

        def read() -> tuple[ModelHeader, Chat]:
            known = read_model(files, self.cache / "headers")
            return known.header, Chat.load(known.tokenizer)

        return self.warm.reading(files.digest, read)

    def rows(self, split: str) -> tuple[Row, ...]:
        return load_rows(self.need("data").result.folder / f"{split}.jsonl")


def files_of(step: Step) -> ModelFiles:
    """The model of a step `model`, as the plan saw it."""
    path, label = Path(step.sources["path"]), str(step.sources["label"])
    return ModelFiles(step.params["kind"], path, label, step.params["digest"])


def check_unchanged(files: ModelFiles, digests: Digests) -> None:
    """Raises RefusedError when a model's files are no longer those of the plan."""
    if digest_of(files, digests) != files.digest:
        raise RefusedError(f"the model {files.label} changed after the plan was made; run again")


def located(step: Step) -> Mapping[str, Any]:
    """The step's parameters, files that options name by their paths on this machine instead of their digests."""
    if "files" not in step.sources:
        return step.params
    prompting = step.params["prompting"]
    return {**step.params, "prompting": {**prompting, "options": {**prompting["options"], **step.sources["files"]}}}


def settled(step: Step, work: Work) -> Mapping[str, Any]:
    """The step's parameters, located, with the options that were found for it."""
    return with_found(located(step), work.needs.values())


def with_found(params: Mapping[str, Any], needs: Iterable[Need]) -> Mapping[str, Any]:
    """The parameters with the options that a search has found, and with those that the prompt was fitted to."""
    found = {need.step.kind: need.result.values["options"] for need in needs if need.step.kind in FINDING}
    params = with_options(params, found["search"]) if "search" in found else params
    return _with(params, "prompting", found["fit"]) if "fit" in found else params


def with_options(params: Mapping[str, Any], found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters with other options of what is searched: the tuning technique, else the prompting technique."""
    return _with(params, "prompting" if params["technique"] is None else "technique", found)


def _with(params: Mapping[str, Any], part: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**params, part: {**params[part], "options": {**params[part]["options"], **options}}}


def template_of(params: Mapping[str, Any]) -> AnyTemplate:
    """The candidate's prompt, compiled again from the step's plain parameters."""
    prompt = params["prompt"]
    if prompt["messages"] is not None:
        return ConversationTemplate(prompt["messages"])
    return prompt_template(prompt["user"], prompt["answer"], prompt["system"])


def prompting_of(
    params: Mapping[str, Any], registry: Registry
) -> tuple[PromptingTechnique, PromptingOptions] | tuple[None, PromptingOptions]:
    """The candidate's prompting technique, if it has one, and its options."""
    prompting = params["prompting"]
    if prompting is None:
        return None, PromptingOptions()
    technique = registry.prompting(prompting["name"])
    return technique, as_written(technique.options.model_validate(prompting["options"]))


def asking_of(params: Mapping[str, Any], train: tuple[Example, ...], registry: Registry) -> Asking:
    """How the candidate asks; where it scores choices, without content too if it calibrates so."""
    technique, options = prompting_of(params, registry)
    asking = Asking() if technique is None else Asking.of(technique, options, train, params["seed"])
    stand_ins = CONTENT_FREE.get(options.calibrate, ()) if params.get("choices") is not None else ()
    if not stand_ins:
        return asking
    return replace(asking, empty=ContentFree(template_of(params), stand_ins))


def encode_rows(
    params: Mapping[str, Any], queries: tuple[Row, ...], work: Work, *, reserve: int | None, answered: bool = True
) -> Encodings:
    """Rows as this candidate's prompts, demonstrations included; those that a step of this run had before are kept.

    What stands before every prompt takes places in the model's context: most rows fit beside it, and are then the same
    for all candidates that ask alike.
    """
    taken = params.get("taken", 0)
    whole = _kept_rows(params, queries, work, reserve, answered=answered, taken=0)
    room = work.header_and_chat[0].context_length - taken
    needed = (len(row.prompt) + (len(row.answer) if reserve is None else reserve) for row in whole.rows)
    if not taken or (not whole.dropped and not whole.cut and max(needed, default=0) <= room):
        return whole
    return _kept_rows(params, queries, work, reserve, answered=answered, taken=taken)


def _kept_rows(
    params: Mapping[str, Any], queries: tuple[Row, ...], work: Work, reserve: int | None, *, answered: bool, taken: int
) -> Encodings:
    question = {
        "model": work.need("model").step.params["digest"],
        "data": work.need("data").result.key,
        "rows": [(row.id, repr(row.fields)) for row in queries],
        "params": {name: params[name] for name in ("prompt", "prompting", "on_long")},
        "seed": None if params["prompting"] is None else params["seed"],
        "choices": params.get("choices") is not None,
        "reserve": reserve,
        "taken": taken,
        "answered": answered,
    }
    return work.warm.encodings(
        question, lambda: _encode_rows(params, queries, work, reserve, answered=answered, taken=taken)
    )


def _encode_rows(
    params: Mapping[str, Any], queries: tuple[Row, ...], work: Work, reserve: int | None, *, answered: bool, taken: int
) -> Encodings:
    template = template_of(params)
    technique, options = prompting_of(params, work.registry)
    shows_rows = technique is not None and technique.shots(options) > 0
    train = tuple(template.render_all(work.rows("train"))) if shows_rows else ()
    header, chat = work.header_and_chat
    on_long: OnLong = params["on_long"]
    return encode(
        template.render_all(queries, answered=answered),
        asking_of(params, train, work.registry),
        chat,
        context=header.context_length - taken,
        reserve=reserve,
        on_long=on_long,
    )
