"""From a compiled spec to what the rules of advice look at."""

from __future__ import annotations

from collections.abc import Sequence

from customspec.compiler import Compiled
from customspec.compiler.candidates import Ready
from customspec.compiler.counting import prompt_lengths
from customspec.compiler.entries import blaming_plugin
from customspec.compiler.models import ResolvedModel
from customspec.decide.advice.advise import Advised, advise_rung
from customspec.hookspecs.advice import Advises, Facts, Rung
from customspec.inputs.encoding import Asking
from customspec.inputs.splits import SPLITS
from customspec.machine import Machine
from customspec.prompts import Example


def facts_of(compiled: Compiled, machine: Machine) -> Facts:
    """Rows and lengths by the spec's own prompt, costs by each candidate's."""
    first = compiled.ready[0]
    rows = compiled.data.rows
    examples = {name: first.rendered.examples.get(name, ()) for name in SPLITS}
    there = {name: found for name, found in examples.items() if found}
    model = first.model if isinstance(first.model, ResolvedModel) else None
    return Facts(
        examples=there,
        tokens={name: _lengths(found, model) for name, found in there.items()} if model else {},
        places={} if rows is None else {row.id: row.place for name in SPLITS for row in rows.named(name)},
        choices=first.rendered.choices,
        metric=compiled.plan.metrics[0],
        seeds=len(compiled.spec.seeds),
        rungs=tuple(_rung(ready) for ready in compiled.ready if ready.ships),
        parameters=None if model is None else model.known.header.total_parameters,
        context=None if model is None else model.known.header.context_length,
        memory_bytes=machine.memory_bytes,
    )


def advised_on(compiled: Compiled, facts: Facts) -> list[Advised]:
    """Each rung, by the rules of its family and those that its technique brings."""
    found = []
    for ready, rung in zip((ready for ready in compiled.ready if ready.ships), facts.rungs, strict=True):
        technique = ready.draft.main.technique
        with blaming_plugin(ready.draft.main):
            found.append(advise_rung(facts, rung, technique.rules if isinstance(technique, Advises) else ()))
    return found


def _lengths(examples: Sequence[Example], model: ResolvedModel) -> list[int]:
    asking = Asking()
    return prompt_lengths((asking.conversation(example, ()) for example in examples), model.chat)


def _rung(ready: Ready) -> Rung:
    main = ready.draft.main
    options = ready.options if ready.options is not None else main.options
    return Rung(
        key=ready.key,
        technique=main.technique.name,
        family=main.technique.family,
        options=options.model_dump(mode="json"),
        prompt_tokens=ready.estimate.prompt_tokens,
        trainable=ready.trainable,
        memory_bytes=ready.estimate.peak_memory_bytes,
    )
