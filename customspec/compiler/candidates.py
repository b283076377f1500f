"""From drafts to candidates: prompt, model, options and costs joined, everything checked against everything."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import ParamSpec, TypeVar

from customspec.compiler.costs import Counted, Shared, count, estimate_of
from customspec.compiler.counting import tree_nodes
from customspec.compiler.data import ResolvedData, chooses_by_validation
from customspec.compiler.demonstrations import check_prompting, check_shots
from customspec.compiler.entries import ChosenTechnique, Draft, blaming_plugin, prompting_of, tuning_of
from customspec.compiler.judging import check_judging
from customspec.compiler.lengths import check_lengths_once
from customspec.compiler.models import ResolvedModel, with_most_weights, with_recipe
from customspec.compiler.new_tokens import generation_of, with_new_tokens
from customspec.compiler.problems import Problems
from customspec.compiler.prompting import Rendered, render_all
from customspec.compiler.quantization import check_quantization
from customspec.containment import PASSING, contained, plugin_error
from customspec.errors import Code
from customspec.estimate import Estimate, memory
from customspec.estimate.rates import UNKNOWN
from customspec.hookspecs import Converses, Footprints, Writes
from customspec.inputs.encoding import Asking
from customspec.inputs.models import Unresolved
from customspec.machine import Machine
from customspec.prompts import Example
from customspec.spec import BaseModelSpec, Generation, Spec, TrainingOptions

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line adds to a spec."""

    only: tuple[str, ...] = ()
    limit: int | None = None
    max_steps: int | None = None
    machine: Machine = UNKNOWN
    """Where the plan is to run."""
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def compute_dtype(self) -> str:
        """What matrix products are computed in there."""
        return self.machine.compute_dtype

    @property
    def device(self) -> str | None:
        """The kind of device that computes there; None where nobody said where."""
        return None if self.machine == UNKNOWN else self.machine.device


@dataclass(frozen=True, slots=True)
class Resolved:
    """A spec with the data and the models that it names; a model is None where something is wrong with it."""

    spec: Spec
    data: ResolvedData
    models: Mapping[BaseModelSpec, ResolvedModel | Unresolved | None]


@dataclass(frozen=True)
class Ready:
    """One candidate (one seed), with all that its steps need to know."""

    draft: Draft
    seed: int
    ships: bool
    """Whether this is its id's first seed, the one that decides."""
    rendered: Rendered
    model: ResolvedModel | Unresolved
    ref: BaseModelSpec
    options: TrainingOptions | None
    generation: Generation | None
    choices: Choices
    shared: Shared

    @property
    def key(self) -> str:
        return f"{self.draft.id}@{self.seed}"

    @cached_property
    def trainable(self) -> int | None:
        """Exact; None while the model is not there."""
        tuning = tuning_of(self.draft)
        if tuning is None:
            return 0
        if isinstance(self.model, Unresolved) or self.options is None:
            return None
        with blaming_plugin(self.draft.main):
            return tuning[0].trainable_parameters(self.options, self.model.header_for(self.draft.main, self.options))

    @cached_property
    def total(self) -> int | None:
        return None if isinstance(self.model, Unresolved) else self.model.known.header.total_parameters

    @cached_property
    def estimate(self) -> Estimate:
        """What it will cost on this machine."""
        return estimate_of(self)

    @cached_property
    def taken(self) -> int:
        """Tokens of the context that the technique takes before every prompt: virtual ones, or a prefix."""
        tuning, model = tuning_of(self.draft), self.model
        if tuning is None or self.options is None or isinstance(model, Unresolved):
            return 0
        technique, main = tuning[0], self.draft.main
        if not isinstance(technique, Footprints):
            return 0
        with blaming_plugin(main):
            footprint = technique.footprint(self.options, model.header_for(main, self.options))
        return footprint.virtual_tokens + footprint.prefix_tokens

    @property
    def room(self) -> int | None:
        """Bytes that it may take on this machine; None where that is not known."""
        return memory.usable(self.choices.machine)

    @property
    def counted(self) -> Counted | None:
        """Tokens of a request; None while the model or the data is not there."""
        asked = self.rendered.examples.get("validation") or self.rendered.examples.get("test") or ()
        return self._count("asked", asked, answered=False)

    @property
    def counted_training(self) -> Counted | None:
        """Tokens of a training row; None where nothing trains."""
        return None if self.options is None else self._count("taught", self.rendered.examples["train"], answered=True)

    def _count(self, what: str, examples: Sequence[Example], *, answered: bool) -> Counted | None:
        model = self.model
        if isinstance(model, Unresolved):
            return None
        # another seed shows other demonstrations, of about as many tokens
        with self.contained():
            return self.shared.once((what, self.ask), lambda: count(self, model, examples, answered=answered))

    @property
    def tree(self) -> int:
        """Nodes of the choices' tree that scoring feeds."""
        model = self.model
        if isinstance(model, Unresolved):
            return 0
        answers = self.rendered.choices or ()
        return self.shared.once(("tree", self.ask), lambda: tree_nodes(answers, model.chat))

    @cached_property
    def ask(self) -> Hashable:
        """Two candidates of which this is equal ask the same model in the same way, but for the seed."""
        prompting = self.draft.prompting
        chosen = None
        if prompting is not None:
            chosen = prompting.technique.name, str(prompting.offer), prompting.options.model_dump_json()
        return self.ref, id(self.rendered), chosen  # equal prompts are rendered once; `rendered` lives as long as this

    def contained(self) -> AbstractContextManager[None]:
        """Around a loop over rows that are asked about: what the prompting technique changes there is put back."""
        named = self.draft.prompting
        return nullcontext() if named is None else contained(named.offer.item)

    @cached_property
    def asking(self) -> Asking:
        """How this candidate asks; what its technique raises is the plugin's fault. See `contained`."""
        chosen, named = prompting_of(self.draft), self.draft.prompting
        if chosen is None or named is None:
            return Asking()
        with blaming_plugin(named):
            asking = Asking.of(*chosen, self.rendered.examples.get("train", ()), self.seed)
        return Asking(
            _blamed(named, asking.select),
            _blamed(named, asking.write) if isinstance(chosen[0], Writes) else asking.write,
            _blamed(named, asking.converse) if isinstance(chosen[0], Converses) else asking.converse,
        )


def _blamed(chosen: ChosenTechnique, call: Callable[P, R]) -> Callable[P, R]:
    def blamed(*args: P.args, **kwargs: P.kwargs) -> R:
        try:  # as `blaming_plugin`, which takes longer than most of what is called here for every row
            return call(*args, **kwargs)
        except PASSING:
            raise
        except BaseException as error:
            raise plugin_error(chosen.offer.item, error) from error

    return blamed


def make_ready(
    draft: Draft, resolved: Resolved, choices: Choices, shared: Shared, problems: Problems
) -> tuple[Ready, ...]:
    """One candidate per seed; none, with problems added, where something is wrong."""
    spec, data, before = resolved.spec, resolved.data, len(problems)
    ref = draft.entry.base_model or spec.base_model
    model = resolved.models[ref]
    train = data.train
    check_quantization(draft, choices.device, problems)
    check_shots(draft, train, problems, has_train=spec.data.train is not None or problems.doubts("data.train"))
    _check_search(draft, data, problems)
    rendered = render(draft, resolved, shared, problems)
    if rendered is not None and len(problems) == before and "train" not in data.lacking:
        check_prompting(draft, rendered, problems)
        check_judging(draft, rendered, train, problems)
    options = None
    if draft.tuning is not None and isinstance(model, ResolvedModel) and train:
        draft = with_most_weights(draft, model, len(train), problems)
        options = with_recipe(draft, model, len(train), problems)
    if rendered is None or model is None or data.lacking or len(problems) > before:
        return ()
    generation = generation_of(spec, draft, rendered)
    seeds = draft.entry.seeds or spec.seeds
    ready = tuple(
        Ready(draft, seed, seed == seeds[0], rendered, model, ref, options, generation, choices, shared)
        for seed in seeds
    )
    ready = with_new_tokens(ready, refuses=spec.data.on_long == "error")
    in_doubt = problems.doubts("prompt", "generation", "data")
    if isinstance(model, ResolvedModel) and data.rows is not None and not in_doubt:
        for candidate in ready:
            check_lengths_once(candidate, model, data.rows, spec.data.on_long, problems)
    return ready


def _check_search(draft: Draft, data: ResolvedData, problems: Problems) -> None:
    in_doubt = problems.doubts("data.train", "data.validation")
    if draft.search is not None and not chooses_by_validation(data) and not in_doubt:
        message = "`search` chooses by validation rows, and there are none"
        hint = "add `validation`, or `train`, of which a part is then split off"
        problems.add(Code.DATA_NEEDED, draft.search.at, message, hint=hint, key=True)


def render(draft: Draft | None, resolved: Resolved, shared: Shared, problems: Problems) -> Rendered | None:
    """The candidate's prompt over all rows; the spec's own is rendered once for all that have no other, or without a
    draft."""
    prompt, data, known = resolved.spec.prompt, resolved.data, shared.remembered
    patch = None if draft is None else draft.entry.prompt
    if draft is None or patch is None:
        return shared.once("prompt", lambda: render_all(prompt, data.rows, problems, known=known, lacking=data.lacking))
    return render_all(prompt, data.rows, problems, patch=patch, at=draft.at, known=known, lacking=data.lacking)
