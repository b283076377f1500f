"""A prompting technique's `fit` joined to the base model: what it may ask, and whether what it gives can be used."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from customspec.compiler.wording import described
from customspec.containment import containing
from customspec.errors import CustomspecError, StepError
from customspec.hookspecs import Fits, PromptingTechnique, ReadsFiles, Refuses, Scorer
from customspec.inputs.encoding import Asking, Encoded, OnLong, encode
from customspec.inputs.tokens import Chat
from customspec.prompts import Example
from customspec.registry import Registry
from customspec.runners.blame import failure_text
from customspec.runners.shortage import is_short_of_memory
from customspec.runners.work import Work, prompting_of, template_of
from customspec.spec import PromptingOptions, varied

if TYPE_CHECKING:
    from torch import nn


class UnfitError(ValueError):
    """Options that are none of the technique's, or that it cannot follow."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The options that were found, as plain JSON, and what it took: rows scored, seconds."""

    options: Mapping[str, Any]
    scored: int
    seconds: float


def fits(params: Mapping[str, Any], registry: Registry) -> bool:
    """Whether the candidate's prompt is fitted before it is used."""
    return isinstance(prompting_of(params, registry)[0], Fits)


def fit_prompt(params: Mapping[str, Any], model: nn.Module, work: Work) -> Fitted:
    """Let the prompting technique look at the training rows, with the untrained base model at hand.

    Raises StepError, which names the plugin, for whatever `fit` raises, and where it gives what cannot be used.
    """
    technique, options = prompting_of(params, work.registry)
    assert technique is not None
    if not isinstance(technique, Fits):  # a plan that somebody wrote
        raise StepError(f"technique `{technique.name}` has no `fit`")
    rows = tuple(template_of(params).render_all(work.rows("train")))
    header, chat = work.header_and_chat
    judge, began = _Judge(model, chat, work), time.monotonic()
    asked = Likelihoods(technique, options, rows, params["seed"], chat, header.context_length, params["on_long"], judge)
    fit = containing(technique.fit, f"technique `{technique.name}`")
    try:
        found = fit(options, rows, _answerable(asked, work.registry), params["seed"])
        work.check()
        chosen = checked(technique, options, found, rows)
    except CustomspecError:
        raise
    except Exception as error:
        if is_short_of_memory(error):
            raise
        plugin = work.registry.offer("technique", technique.name)
        cause = str(error) if isinstance(error, UnfitError) else f"{type(error).__name__}: {error}"
        raise StepError(f"plugin {plugin}: technique `{technique.name}`: {cause}") from error
    return Fitted(chosen, judge.scored, time.monotonic() - began)


def checked(
    technique: PromptingTechnique, options: PromptingOptions, found: object, rows: Sequence[Example]
) -> dict[str, Any]:
    """What `fit` gave, as plain JSON. Raises UnfitError where it cannot take the place of the options given."""
    if not isinstance(found, Mapping):
        raise UnfitError(f"`fit` gives no mapping of options, but {described(found)}")
    fitted = replaced(options, found, "`fit` gives")
    named = technique.files(options) if isinstance(technique, ReadsFiles) else {}
    if files := [option for option in found if option in named]:
        raise UnfitError(f"`fit` gives `{files[0]}`, which names a file of the person's")
    refusal = technique.refusal(fitted, rows) if isinstance(technique, Refuses) else None
    if refusal is not None:
        raise UnfitError(f"`fit` gives options that it refuses itself: {refusal.message}")
    if technique.shots(fitted) >= len(rows):  # a training row is never its own demonstration
        raise UnfitError(f"`fit` gives options for {technique.shots(fitted)} shots of {len(rows)} training rows")
    return fitted.model_dump(mode="json", include=set(found))


def replaced(options: PromptingOptions, values: Mapping[str, Any], who: str) -> PromptingOptions:
    """The options with these values in place of theirs. Raises UnfitError, which begins with `who`."""
    try:
        return varied(options, values)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        what = f"`{where}`" if where else "options that do not go together"
        raise UnfitError(f"{who} {what}: {first['msg'].removeprefix('Value error, ')}") from invalid


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """A `Scorer`: how likely the answers are under the technique's conversations over `rows`.

    `judge` has the natural logarithm of p(answer | prompt) for each of some encoded rows, one at least.
    """

    technique: PromptingTechnique
    options: PromptingOptions
    rows: Sequence[Example]
    seed: int
    chat: Chat
    context: int
    on_long: OnLong
    judge: Callable[[Sequence[Encoded]], Sequence[float]]

    def __call__(self, options: Mapping[str, Any], queries: Sequence[Example], /) -> list[float]:
        return self.under(self.validated(options), queries)

    def validated(self, options: Mapping[str, Any]) -> PromptingOptions:
        """All options, with these in place of those given. Raises UnfitError."""
        return replaced(self.options, options, "the scorer is asked about")

    def under(self, options: PromptingOptions, queries: Sequence[Example]) -> list[float]:
        """The log-likelihoods under all these options; -inf for what is too long."""
        asking = Asking.of(self.technique, options, self.rows, self.seed)
        on_long: OnLong = "truncate" if self.on_long == "truncate" else "drop"
        fitting = encode(queries, asking, self.chat, context=self.context, reserve=None, on_long=on_long).rows
        scores = self.judge(fitting) if fitting else ()
        found, place = [-inf] * len(queries), 0
        for index, query in enumerate(queries):
            if place < len(fitting) and fitting[place].example is query:
                found[index], place = scores[place], place + 1
        return found


@dataclass(slots=True)
class _Judge:
    """The base model, which tells its progress and can be interrupted."""

    model: nn.Module
    chat: Chat
    work: Work
    scored: int = 0

    def __call__(self, rows: Sequence[Encoded]) -> list[float]:
        from customspec.ml.likelihood import score_references
        from customspec.ml.memory import within_memory
        from customspec.ml.precision import computing

        prompts, answers = [row.prompt for row in rows], [row.answer for row in rows]

        def score(budget: int | None) -> list[float]:
            done = self.scored

            def passed(more: int) -> None:
                nonlocal done
                done += more
                self.work.tell(done, None, "rows scored")

            return score_references(
                self.model, prompts, answers, pad=self.chat.pad_id, tokens_per_batch=budget, progress=passed
            )

        with computing(self.work.machine.device, self.work.machine.compute_dtype):
            found, _ = within_memory(score, self.model)
        self.scored += len(rows)
        return found


def _answerable(likelihoods: Likelihoods, registry: Registry) -> Scorer:
    """The scorer, of which only wrong options are the fault of who calls it: the rest is raised as the step's own."""

    def scorer(options: Mapping[str, Any], queries: Sequence[Example], /) -> Sequence[float]:
        valid = likelihoods.validated(options)
        try:
            return likelihoods.under(valid, queries)
        except CustomspecError:
            raise
        except Exception as error:
            if is_short_of_memory(error):
                raise
            raise StepError(failure_text(error, registry)) from error

    return scorer
