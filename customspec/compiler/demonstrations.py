"""Whether the data has what a candidate's prompting technique needs: rows, columns, choices to calibrate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from customspec.compiler.entries import ChosenTechnique, Draft, blaming_plugin, prompting_of, shots_of
from customspec.compiler.models import refuse
from customspec.compiler.problems import Problems
from customspec.compiler.prompting import Rendered
from customspec.compiler.template_faults import sentence
from customspec.errors import Code
from customspec.hookspecs import Fits, Reads, ReadsColumns, Refuses
from customspec.prompts import CONTENT_FREE, TemplateError
from customspec.source import KeyPath
from customspec.suggest import closest

_OTHER_RUNGS = "add `train`, or name under `techniques` what needs no rows"


def check_shots(draft: Draft, train: Sequence[Any] | None, problems: Problems, *, has_train: bool) -> None:
    """Add a problem where the technique needs training rows and there are none, or too few. `train` is None while the
    rows are not there."""
    if draft.tuning is not None and not has_train:
        _needs_train(f"`{draft.tuning.technique.name}` needs training rows", draft.main.at, problems)
    chosen = prompting_of(draft)
    if chosen is None or draft.prompting is None:
        return
    technique, _ = chosen
    shots, fitted = shots_of(draft), isinstance(technique, Fits)
    # a training row is never its own demonstration
    needed = shots + (draft.tuning is not None or fitted)
    if fitted and not has_train:
        _needs_train(f"`{technique.name}` is fitted to training rows", draft.prompting.at, problems)
    elif shots and not has_train:
        _needs_train(f"`{technique.name}` needs training rows for its demonstrations", draft.prompting.at, problems)
    elif shots and train is not None and needed > len(train):
        message = f"`{technique.name}` needs {needed} training rows for its demonstrations; there are {len(train)}"
        hint = _fewer_shots(len(train) - (needed - shots), alone=needed == shots)
        problems.add(Code.TOO_FEW_ROWS, (*draft.prompting.at, "shots"), message, hint=hint)


def _fewer_shots(most: int, *, alone: bool) -> str:
    fewer = f"take at most {most} shot{'s' if most > 1 else ''}, or " if most > 0 else ""
    return f"{fewer}add training rows{'' if alone else '; no row is shown to itself'}"


def _needs_train(message: str, at: KeyPath, problems: Problems) -> None:
    named = problems.document.data.get("techniques") is not None
    hint = "add `train` under `data`, or remove the entry" if named else _OTHER_RUNGS
    at = at if named else ("data",)  # a rung of the default ladder stands nowhere in the file
    problems.add(Code.DATA_NEEDED, at, f"{message}: `data` has no `train`", hint=hint, key=True)


def check_prompting(draft: Draft, rendered: Rendered, problems: Problems) -> None:
    """Add a problem where a column that the technique names is missing, it refuses the rows, or its calibration has no
    scores to correct."""
    chosen = prompting_of(draft)
    if chosen is None or draft.prompting is None:
        return
    technique, options = chosen
    train, before = rendered.examples.get("train", ()), len(problems)
    _check_calibration(draft.prompting, rendered, options.calibrate, problems)
    with blaming_plugin(draft.prompting):
        named = technique.columns(options) if isinstance(technique, ReadsColumns) else {}
        for option, column in named.items() if train else ():
            check_column(column, (*draft.prompting.at, option), train, problems)
        if isinstance(technique, Refuses) and rendered.examples and len(problems) == before:
            refusal = technique.refusal(options, train)
            if refusal is not None:
                refuse(refusal, draft.prompting, problems)


def check_column(column: str, at: KeyPath, train: Sequence[Any], problems: Problems) -> None:
    """Whether the training rows have the column that an option names."""
    columns = sorted(train[0].fields)
    if column not in columns:
        nearest = closest(column, columns, {})
        listed = f"columns: {', '.join(columns)}"
        hint = f"did you mean `{nearest}`? {listed}" if nearest else listed
        problems.add(Code.TEMPLATE_VARIABLE, at, f"`{column}` is not a column of the train rows", hint=hint)


def _check_calibration(chosen: ChosenTechnique, rendered: Rendered, calibrate: str, problems: Problems) -> None:
    if calibrate == "none" or problems.doubts("prompt.choices"):
        return
    at = (*chosen.at, "calibrate")
    if rendered.prompt.choices is None:
        message = "`calibrate` corrects the scores of choices, but the prompt has no `choices`"
        problems.add(Code.WRONG_VALUE, at, message, hint="remove it, or list the answers as `choices`", key=True)
    elif isinstance(chosen.technique, Reads):
        message = f"`{chosen.technique.name}` reads its answer out of generated text: there are no scores to calibrate"
        hint = "remove it; `few_shot` and `zero_shot` score the choices"
        problems.add(Code.WRONG_VALUE, at, message, hint=hint, key=True)
    else:
        _check_content_free(at, rendered, calibrate, problems)


def _check_content_free(at: KeyPath, rendered: Rendered, calibrate: str, problems: Problems) -> None:
    firsts = [examples[0] for examples in rendered.examples.values() if examples]
    for stand_in in CONTENT_FREE.get(calibrate, ()):
        try:
            for example in firsts:
                rendered.template.without_content(example, stand_in)
        except TemplateError as fault:
            message = "calibration asks without content, but the prompt cannot be filled with"
            hint = "let the template take any text for a column, or write `calibrate: length`"
            problems.add(Code.WRONG_VALUE, at, f"{message} `{stand_in}`: {sentence(fault)}", hint=hint)
            return
