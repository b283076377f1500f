"""A candidate's estimate: what its steps put through the model, counted on some rows, and what that takes."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from heapq import nlargest
from math import ceil
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from customspec.compiler import counting
from customspec.compiler.entries import blaming_plugin, prompting_of, tuning_of
from customspec.compiler.lengths import LengthBudget
from customspec.compiler.models import ResolvedModel
from customspec.estimate import COMPARED, Estimate, comparisons, flops, memory, seconds, training_steps
from customspec.estimate.loads import EvaluationLoad, Trained, TrainingLoad
from customspec.estimate.passes import common_length
from customspec.estimate.predicted import artifact_bytes
from customspec.estimate.rates import Rates
from customspec.estimate.schedule import KEPT, searched
from customspec.estimate.shape import Shape
from customspec.hookspecs import Decodes, Footprint, Footprints, Judging
from customspec.inputs.remembered import Remembered
from customspec.inputs.splits import SPLITS
from customspec.inputs.tokens import Chat
from customspec.prompts import Example, Message
from customspec.spec import TrainingOptions

if TYPE_CHECKING:
    from customspec.compiler.candidates import Ready

T = TypeVar("T")
SAMPLE = 8  # rows of a split whose tokens are counted
BESIDE = 4  # rows beside the longest
BATCH = 8  # rows; as most trainings have


@dataclass(frozen=True, slots=True)
class Counted:
    """Tokens of some rows: `shared` of them begin every row; `whole`, `own` and `answer` are means; `longest` is the
    most that a row has of its own, `others` the mean of those that share a batch with it."""

    whole: float
    shared: int
    own: float
    longest: int
    others: float
    answer: float


class Shared:
    """A cache of what candidates of one plan have in common, by keys of all that it depends on. It never leaves the
    compiler.

    `remembered`: templates filled and tokens counted when the spec was compiled before.
    """

    def __init__(self, remembered: Remembered) -> None:
        self.remembered = remembered
        self.length_budget = LengthBudget()
        self._found: dict[Hashable, Any] = {}

    def once(self, key: Hashable, find: Callable[[], T]) -> T:
        """What was found under the key, or is found now."""
        if key not in self._found:
            self._found[key] = find()
        found: T = self._found[key]
        return found


def estimate_of(ready: Ready, options: TrainingOptions | None = None) -> Estimate:
    """What a candidate will cost, with other training options where they are given. What is not known stays None."""
    known = Estimate(trainable_parameters=ready.trainable, total_parameters=ready.total)
    model, counted = ready.model, ready.counted
    if not isinstance(model, ResolvedModel) or counted is None or ready.trainable is None:
        return known
    costs = _Costs(ready, model, counted, ready.trainable, options or ready.options)
    return costs.estimate(known)


def comparison_notes(ready: Sequence[Ready]) -> tuple[str, ...]:
    """A note where a training's states are compared on some of the validation rows only, since there are many."""
    tuned = (one.rendered.examples.get("validation", ()) for one in ready if one.draft.tuning is not None)
    rows = max(map(len, tuned), default=0)
    if rows <= COMPARED:
        return ()
    return (
        f"states of a training are compared on {COMPARED} of the {rows} validation rows, drawn by the seed; what is "
        "reported is of all",
    )


def count(ready: Ready, model: ResolvedModel, examples: Sequence[Example], *, answered: bool) -> Counted | None:
    """Some rows as this candidate's prompts, the longest of all among them; None where there are none."""
    if not examples:
        return None
    asking, remembered = ready.asking, ready.shared.remembered
    some = _some(examples)
    asked = [asking.conversation(example, asking.select(example)) for example in some]
    written = [asking.write(example) for example in some] if answered else []
    texts = [[(turn.role, turn.content) for turn in conversation] for conversation in asked]
    made_of = ["counted", model.known.tokenizer.name, texts, written]
    known = remembered.get(made_of)
    if _is_counted(known):
        return Counted(*known)
    counted = _count(model.chat, asked, written, model.known.header.context_length, min(SAMPLE, len(examples)))
    remembered.put(made_of, astuple(counted))
    return counted


def _is_counted(value: object) -> TypeGuard[list[Any]]:
    kinds = (float, int, float, int, float, float)
    return isinstance(value, list) and len(value) == len(kinds) and all(map(isinstance, value, kinds))


def _count(chat: Chat, asked: Sequence[Sequence[Message]], written: Sequence[str], context: int, drawn: int) -> Counted:
    """Of prompts up to the answer, and of the answers where they are given. Means are of the first `drawn`: the longest
    are there for the peak."""
    prompts = counting.prompts(asked, chat, context)
    whole = [tokens for _, tokens in prompts]
    answers = counting.answers(written, chat) or [0] * len(prompts)
    shared = min(common_length([beginning for beginning, _ in prompts]), *whole)
    own = [prompt - shared + answer for prompt, answer in zip(whole, answers, strict=True)]
    first, *others = sorted(own[drawn:], reverse=True)
    return Counted(
        whole=fmean(whole[:drawn]),
        shared=shared,
        own=fmean(own[:drawn]),
        longest=max(own),
        others=fmean(others or [first]),
        answer=fmean(answers[:drawn]),
    )


def _some(examples: Sequence[Example]) -> list[Example]:
    """Some rows, drawn over all by a fixed seed, the longest, and some of those that it shares a batch with. Every k-th
    would be fooled by rows that alternate."""
    drawn = sorted(random.Random(0).sample(range(len(examples)), min(SAMPLE, len(examples))))
    # transformers draws so many batches' rows, then sorts these by length (get_length_grouped_indices)
    sorted_at_once = max(1, min(len(examples) // (4 * BATCH), 50))
    long = nlargest(
        ceil(len(examples) / sorted_at_once), examples, key=lambda example: len(example.user) + len(example.answer)
    )
    return [*(examples[at] for at in drawn), long[0], *long[1 :: max(1, len(long) // BESIDE)][:BESIDE]]


@dataclass(frozen=True)
class _Costs:
    """One candidate's steps, against its model and the machine."""

    ready: Ready
    model: ResolvedModel
    counted: Counted
    weights: int
    """How many train."""
    options: TrainingOptions | None

    def estimate(self, known: Estimate) -> Estimate:
        shape, rates, trained = self.shape, self.rates, self.trained
        dtype, saved = self.ready.choices.compute_dtype, self.footprint.saved
        loads = [one for name in SPLITS[1:] if (one := self.evaluation(name)) is not None]
        peaks = [memory.evaluation(shape, one, trained, dtype, rates) for one in loads]
        known = replace(
            known,
            prompt_tokens=self.counted.whole,
            artifact_bytes=artifact_bytes(self.weights, shape.parameters, dtype, saved),
            training_flops=0.0,
            evaluation_flops=sum(
                flops.evaluation(shape, one, trained, seconds.passes(shape, one, rates)) for one in loads
            ),
            peak_memory_bytes=max(peaks),
            train_seconds=0.0,
            evaluate_seconds=sum(seconds.evaluation(shape, one, trained, rates) for one in loads),
            calibrated=rates.calibrated,
        )
        training = self.training()
        if training is not None:
            known = self._with_training(known, training, dtype)
        known = replace(known, search_seconds=self.search(known.train_seconds or 0.0, training))
        times = (known.search_seconds, known.train_seconds, known.evaluate_seconds)
        return replace(known, seconds=sum(time or 0.0 for time in times))

    def search(self, train_seconds: float, training: TrainingLoad | None) -> float:
        """Trials of a training are measured as often as it compares its states, those of a prompt on growing parts of
        the validation rows."""
        planned = self.ready.draft.search
        if planned is None:
            return 0.0
        if training is not None:
            return searched(planned.tried, max(1, self.comparisons(training.steps))) * train_seconds
        answered = self.evaluation("validation")
        whole = 0.0 if answered is None else seconds.evaluation(self.shape, answered, self.trained, self.rates)
        return searched(planned.tried, KEPT**2) * whole

    def _with_training(self, known: Estimate, load: TrainingLoad, dtype: str) -> Estimate:
        shape, rates, trained = self.shape, self.rates, self.trained
        peak = memory.training(shape, load, trained, dtype, rates)
        compared = self.evaluation("validation", limit=COMPARED)
        looks = 0.0 if compared is None else seconds.evaluation(shape, compared, trained, rates)
        return replace(
            known,
            training_flops=flops.training(shape, load, trained, rates.sharing),
            train_seconds=seconds.training(shape, load, trained, rates) + self.comparisons(load.steps) * looks,
            peak_memory_bytes=max(peak, known.peak_memory_bytes or 0),
        )

    @property
    def shape(self) -> Shape:
        return self.model.shape

    @property
    def rates(self) -> Rates:
        return self.model.rates

    @cached_property
    def footprint(self) -> Footprint:
        tuning = tuning_of(self.ready.draft)
        if tuning is None or self.options is None:
            return Footprint()
        technique, main = tuning[0], self.ready.draft.main
        if isinstance(technique, Footprints):
            with blaming_plugin(main):
                return technique.footprint(self.options, self.model.header_for(main, self.options))
        whole = self.weights >= self.shape.parameters
        return Footprint() if whole else Footprint(adapted=self.model.known.header.linears)

    @property
    def trained(self) -> Trained:
        """What trains, and what lies and runs beside the base for it."""
        adds = self.footprint
        # a learned prompt's weights are met once a pass, and not by every token
        met = self.weights if adds.adapted or self.weights >= self.shape.parameters else 0
        per_token = met if adds.per_token is None else adds.per_token
        return Trained(self.weights, per_token, adds.adapted, adds.per_pass, adds.copies, adds.kept, adds.frozen)

    @property
    def texts(self) -> int:
        """How often a training row is fed: once, or with each text that the technique's own loss looks at."""
        tuning, main = tuning_of(self.ready.draft), self.ready.draft.main
        if tuning is None or not isinstance(tuning[0], Judging):
            return 1
        with blaming_plugin(main):
            return len(tuning[0].texts(self.options, self.ready.rendered.examples["train"][0]))

    def comparisons(self, steps: int) -> int:
        assert self.options is not None
        return comparisons(self.options, steps, len(self.ready.rendered.examples["train"]))

    def evaluation(self, split: str, *, limit: int | None = -1) -> EvaluationLoad | None:
        """The evaluation of a split; `limit` as on the command line, or another where that has no say."""
        examples = self.ready.rendered.examples[split]
        rows = len(examples[: self.ready.choices.limit if limit == -1 else limit])
        if not rows:
            return None
        counted, footprint = self.counted, self.footprint
        before = footprint.virtual_tokens + footprint.prefix_tokens
        one = EvaluationLoad(rows, counted.shared + before, counted.own, counted.longest)
        if self.ready.generation is None:
            tree = self.ready.tree
            return replace(one, tree=tree, predicted=1 + tree)
        chosen = prompting_of(self.ready.draft)
        samples = 1
        if chosen is not None and isinstance(chosen[0], Decodes) and self.ready.draft.prompting is not None:
            with blaming_plugin(self.ready.draft.prompting):
                sampling = chosen[0].decoding(chosen[1])
                samples = samples if sampling is None else sampling.samples
        return replace(one, generated=self.ready.generation.max_new_tokens or 0, samples=samples)

    def training(self) -> TrainingLoad | None:
        """The training, or None where nothing trains."""
        counted, options = self.ready.counted_training, self.options
        if counted is None or options is None:
            return None
        rows = len(self.ready.rendered.examples["train"])
        batch = min(rows, options.per_device_train_batch_size or 1)
        steps = training_steps(options, rows)
        steps = min(steps, self.ready.choices.max_steps or steps)
        a_step = min(options.gradient_accumulation_steps or 1, ceil(rows / batch))
        return TrainingLoad(
            steps=steps,
            passes=steps * a_step,
            batch=batch * self.texts,
            shared=counted.shared,
            own=counted.own,
            longest=counted.longest,
            others=counted.others,
            learned=counted.answer,
            virtual=self.footprint.virtual_tokens,
            prefix=self.footprint.prefix_tokens,
        )
