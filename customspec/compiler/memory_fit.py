"""Whether each candidate fits the machine's memory: a smaller batch where that is left open, else a refusal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from customspec.compiler.candidates import Ready
from customspec.compiler.costs import estimate_of
from customspec.compiler.models import ResolvedModel
from customspec.compiler.problems import Problems
from customspec.errors import Code, Exit
from customspec.estimate.predicted import BYTES
from customspec.report.quantities import size
from customspec.spec import TrainingOptions, varied

BATCH = ("per_device_train_batch_size", "gradient_accumulation_steps")


def make_room(ready: Sequence[Ready], problems: Problems) -> tuple[list[Ready], tuple[str, ...]]:
    """The candidates, some with smaller batches, and what was changed. What cannot fit is added to `problems`."""
    fitting: list[Ready] = []
    notes: list[str] = []
    for one in ready:
        smaller = _smaller_batch(one) if _lacks(one) else None
        if not _lacks(one):
            fitting.append(one)
        elif smaller is not None and _is_open(one):
            fitting.append(_with_batch(one, smaller))
            notes.append(f"{one.key}: {_batches(smaller)}, to fit {size(one.room)} of memory")
        else:
            _refuse(one, smaller, ready, problems)
    return fitting, tuple(notes)


def _lacks(ready: Ready) -> bool:
    peak = ready.estimate.peak_memory_bytes
    return peak is not None and ready.room is not None and peak > ready.room


def _is_open(ready: Ready) -> bool:
    """Whether the person left batch and accumulation to the plan."""
    given = ready.draft.main.options
    assert isinstance(given, TrainingOptions)
    return all(getattr(given, option) is None for option in BATCH)


def _with_batch(ready: Ready, smaller: TrainingOptions) -> Ready:
    """The candidate as if the person had asked for this batch: trials of a search, and sizes of a learning curve, have
    recipes of their own, and are to keep it."""
    main = ready.draft.main
    given = varied(main.options, smaller.model_dump(include=set(BATCH)))
    return replace(ready, draft=replace(ready.draft, tuning=replace(main, options=given)), options=smaller)


def _smaller_batch(ready: Ready) -> TrainingOptions | None:
    """The largest smaller batch that fits, with as much more accumulation; None where none does."""
    for options in _halved(ready.options) if ready.options is not None else ():
        peak = estimate_of(ready, options).peak_memory_bytes
        if peak is not None and ready.room is not None and peak <= ready.room:
            return options
    return None


def _halved(options: TrainingOptions) -> Iterator[TrainingOptions]:
    batch, steps = options.per_device_train_batch_size or 1, options.gradient_accumulation_steps or 1
    for part in (part for part in range(batch - 1, 0, -1) if batch % part == 0):
        yield options.model_copy(
            update={"per_device_train_batch_size": part, "gradient_accumulation_steps": steps * batch // part}
        )


def _refuse(ready: Ready, smaller: TrainingOptions | None, beside: Sequence[Ready], problems: Problems) -> None:
    main = ready.draft.main
    needs, there = size(ready.estimate.peak_memory_bytes), size(ready.room)
    message = f"`{ready.draft.id}` needs about {needs} of memory; {there} can be had on this machine"
    at = main.at if smaller is None else (*main.at, "per_device_train_batch_size")
    named = smaller is not None and getattr(main.options, "per_device_train_batch_size", None) is not None
    hint = _nearest(ready, smaller, beside)
    problems.add(Code.MEMORY, at if named else main.at, message, hint=hint, key=True, exit=Exit.ENVIRONMENT)


def _nearest(ready: Ready, smaller: TrainingOptions | None, beside: Sequence[Ready]) -> str:
    if smaller is not None:
        return f"{_batches(smaller)} fit, and train on as many rows a step"
    assert isinstance(ready.model, ResolvedModel)
    weights = BYTES[ready.choices.compute_dtype] * ready.model.shape.parameters
    if ready.room is not None and weights > ready.room:
        return f"the model's weights alone take {size(weights)}: take a smaller base_model"
    fitting = [one for one in beside if one.draft.main.technique.family == "tuning" and not _lacks(one)]
    if fitting:
        largest = max(fitting, key=lambda one: one.estimate.peak_memory_bytes or 0)
        return f"`{largest.draft.id}` fits: {size(largest.estimate.peak_memory_bytes)}"
    return "a technique that trains less may fit, or a smaller base_model"


def _batches(options: TrainingOptions) -> str:
    batch, steps = options.per_device_train_batch_size, options.gradient_accumulation_steps
    return f"per_device_train_batch_size: {batch} with gradient_accumulation_steps: {steps}"
