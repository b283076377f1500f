"""What `base_model` names: found, its header read, techniques that cannot take it refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from customspec.compiler.entries import ChosenTechnique, Draft, blaming_plugin, tuning_of
from customspec.compiler.local_files import LocalFiles
from customspec.compiler.problems import Problems
from customspec.errors import Code, Exit
from customspec.estimate import training_steps
from customspec.estimate.rates import MEMO, Rates, memo_key
from customspec.estimate.shape import Shape
from customspec.header import ModelHeader
from customspec.hookspecs import Consulting, Refusal, TuningTechnique
from customspec.inputs.chat_errors import ChatError
from customspec.inputs.consulting import consult
from customspec.inputs.headers import KnownModel, read_model
from customspec.inputs.models import ModelError, Unresolved, find_model
from customspec.inputs.paths import PathError
from customspec.inputs.tokens import Chat
from customspec.machine import Machine
from customspec.source import KeyPath
from customspec.spec import BaseModelSpec, Options, TrainingOptions, varied
from customspec.store import Store


@dataclass(frozen=True)
class ResolvedModel:
    """A model that can be used, with its way of reading a conversation."""

    known: KnownModel
    chat: Chat
    answers: Path
    """Where helper processes' answers are kept."""
    rates: Rates
    """How fast the machine is with it."""

    @cached_property
    def shape(self) -> Shape:
        """Its sizes."""
        return Shape.of(self.known.header)

    def beside(self, taken: int) -> ResolvedModel:
        """The model with so many tokens less of context."""
        left = self.known.header.context_length - taken
        return replace(self, known=replace(self.known, header=replace(self.known.header, context_length=left)))

    def header_for(self, chosen: ChosenTechnique, options: Options) -> ModelHeader:
        """The header, with what the technique asked to know of it."""
        header, technique = self.known.header, chosen.technique
        if not isinstance(technique, Consulting):
            return header
        question = technique.question(options, header)
        return replace(header, told=consult(technique.name, str(chosen.offer), question, self.answers))


def resolve_model(
    ref: BaseModelSpec, at: KeyPath, machine: Machine, local: LocalFiles, problems: Problems
) -> ResolvedModel | Unresolved | None:
    """The model at its place in the spec; None with a problem added when it cannot be used."""
    cache = local.cache
    try:
        files = find_model(ref, local.roots, local.digests)
        if isinstance(files, Unresolved):
            return files
        known = read_model(files, cache / "headers")
        rates = _rates(machine, known, cache)
        return ResolvedModel(known, Chat.load(known.tokenizer, local.remembered), cache / "answers", rates)
    except PathError as fault:
        problems.add(fault.code, (*at, "path"), str(fault), hint=fault.hint)
    except ModelError as fault:
        part = next((name for name in ("hub", "path", "package") if getattr(ref, name)), "")
        where = "file" if part == "package" and fault.exit == Exit.BAD_INPUT else part
        problems.add(fault.code, (*at, where), str(fault), hint=fault.hint, exit=fault.exit)
    except ChatError as fault:
        problems.add(Code.MODEL_UNUSABLE, at, str(fault), hint=fault.hint, exit=Exit.ENVIRONMENT)
    return None


@contextmanager
def blaming_model(draft: Draft, problems: Problems) -> Iterator[None]:
    """What the model's template or tokenizer cannot do for a candidate is a problem of the model that it names."""
    try:
        yield
    except ChatError as fault:
        at = ("base_model",) if draft.entry.base_model is None else (*draft.at, "base_model")
        problems.add(Code.MODEL_UNUSABLE, at, str(fault), hint=fault.hint, exit=Exit.ENVIRONMENT)


def _rates(machine: Machine, known: KnownModel, cache: Path) -> Rates:
    """As this machine was measured with the model, else as machines of its kind are."""
    assumed = Rates.assumed(machine, Shape.of(known.header))
    found = Store(cache).memo(MEMO).get(memo_key(machine, known.files.digest))
    return assumed.measured(found) if Rates.are(found) else assumed


def model_notes(models: Iterable[ResolvedModel | Unresolved | None]) -> tuple[str, ...]:
    """Of each model that brings code of its own, that the code is not run."""
    return tuple(
        f"the model {model.known.files.label} names code of its own, which is never run: {', '.join(model.known.code)}"
        for model in models
        if isinstance(model, ResolvedModel) and model.known.code
    )


def with_recipe(draft: Draft, model: ResolvedModel, rows: int, problems: Problems) -> TrainingOptions | None:
    """The tuning options with every open one filled by the recipe; None where the model cannot be taken."""
    tuning = tuning_of(draft)
    assert tuning is not None
    technique, options = tuning
    with blaming_plugin(draft.main):
        header = model.header_for(draft.main, options)
        refusal = technique.refusal(options, header)
        if refusal is not None:
            refuse(refusal, draft.main, problems)
            return None
        given = options.model_dump(exclude_none=True)
        filled = fill(technique, options, header, rows)
    return filled if _warms_up_in_time(given, filled, rows, draft, problems) else None


def fill(technique: TuningTechnique, options: TrainingOptions, header: ModelHeader, rows: int) -> TrainingOptions:
    """The options with every open one filled by the recipe."""
    given = options.model_dump(exclude_none=True)
    recipe = dict(technique.recipe(options, header, rows))
    if "max_steps" in given:
        recipe.pop("num_train_epochs", None)
    return technique.options.model_validate({**recipe, **given})


def _warms_up_in_time(
    given: Mapping[str, object], filled: TrainingOptions, rows: int, draft: Draft, problems: Problems
) -> bool:
    """Whether the warm-up ends before the training does: one that does not never reaches the learning rate, and no
    library warns of it."""
    steps = training_steps(filled, rows)
    warmup = given.get("warmup_steps")
    if not isinstance(warmup, float) or warmup < max(1, steps):
        return True
    message = f"a warm-up of {warmup:g} steps is as long as the training of {steps}: its rate would never be reached"
    problems.add(Code.WRONG_VALUE, (*draft.main.at, "warmup_steps"), message, hint="a number below 1 is a share: 0.1")
    return False


def with_most_weights(draft: Draft, model: ResolvedModel, rows: int, problems: Problems) -> Draft:
    """The draft with those of the searched options that train the most weights, in the largest batches, for the
    estimate. Values that the model refuses are added to `problems`."""
    tuning, searched = tuning_of(draft), draft.search
    if tuning is None or searched is None:
        return draft
    options = tuning[1]
    for option in searched.space:
        weighed: list[tuple[tuple[int, int, int], TrainingOptions]] = []
        for at, value in searched.ends(option):
            with blaming_plugin(draft.main), suppress(ValidationError):
                tried = varied(options, {option: value})
                weighed += _weigh(replace(draft.main, options=tried), model, rows, at, problems)
        options = max(weighed, key=lambda one: one[0], default=((0, 0, 0), options))[1]
    return replace(draft, tuning=replace(draft.main, options=options))


def _weigh(
    chosen: ChosenTechnique, model: ResolvedModel, rows: int, at: KeyPath, problems: Problems
) -> list[tuple[tuple[int, int, int], TrainingOptions]]:
    """Trained parameters, rows of a batch and steps; nothing, with a problem at the searched value, where the model
    refuses it."""
    technique, options = chosen.technique, chosen.options
    assert technique.family == "tuning"
    assert isinstance(options, TrainingOptions)
    with blaming_plugin(chosen):
        header = model.header_for(chosen, options)
        refusal = technique.refusal(options, header)
        if refusal is not None:
            message = f"technique `{technique.name}`: {refusal.message}"
            problems.add(Code.MODEL_REFUSES_TECHNIQUE, at, message, hint=_instead(refusal, chosen))
            return []
        filled = fill(technique, options, header, rows)
        batch = filled.per_device_train_batch_size or 1
        return [((technique.trainable_parameters(filled, header), batch, training_steps(filled, rows)), options)]


def _instead(refusal: Refusal, chosen: ChosenTechnique) -> str:
    """What to do about it; where the plugin says nothing, what is always there to do."""
    if refusal.hint or refusal.option:
        return refusal.hint or f"`customspec techniques {chosen.technique.name}` describes `{refusal.option}`"
    return "name another technique" + (" or base model" if chosen.technique.family == "tuning" else "")


def refuse(refusal: Refusal, chosen: ChosenTechnique, problems: Problems) -> None:
    """A technique's refusal, at the option that it names."""
    path = chosen.at if refusal.option is None else (*chosen.at, refusal.option)
    path = path if refusal.item is None else (*path, refusal.item)
    code = Code.MODEL_REFUSES_TECHNIQUE if chosen.technique.family == "tuning" else Code.WRONG_VALUE
    problems.add(
        code if refusal.install is None else Code.EXTRA_MISSING,
        path,
        f"technique `{chosen.technique.name}`: {refusal.message}",
        hint=_instead(refusal, chosen) if refusal.install is None else f"pip install '{refusal.install}'",
        key=refusal.option is None or isinstance(refusal.item, str),  # a string names an option of options
        # an option that is wrong can be mended in the spec; a model that cannot be taken, or a missing extra, cannot
        exit=Exit.BAD_INPUT if refusal.option and refusal.install is None else Exit.ENVIRONMENT,
    )
