"""`search` beside a technique: which options are searched, over what, each value checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import prod
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from customspec.compiler.problems import Problems
from customspec.compiler.suggesting import described_as, hint_of, spot, suggestion
from customspec.compiler.wording import described, expectation
from customspec.errors import Code, Exit
from customspec.source import KeyPath
from customspec.spec import Options, Range, SearchTrials, varied
from customspec.suggest import closest, did_you_mean

if TYPE_CHECKING:
    from customspec.compiler.entries import ChosenTechnique

TRIALS = "trials"
MOST_TRIALS = 16  # where the spec does not say, and a grid is larger


@dataclass(frozen=True)
class PlannedSearch:
    """The options that are searched: for each its `values`, or `low`, `high`, `log` and whether it is an `integer`."""

    space: Mapping[str, Mapping[str, Any]]
    trials: int
    at: KeyPath

    @property
    def tried(self) -> int:
        """How many combinations: of lists no more than there are."""
        sizes = [len(part["values"]) if "values" in part else self.trials for part in self.space.values()]
        return min(self.trials, prod(sizes))

    def ends(self, option: str) -> Sequence[tuple[KeyPath, Any]]:
        """The values of a list, or both ends of a range, each with its place."""
        return list(_written(self.space[option], (*self.at, option)))


def _written(part: Mapping[str, Any], at: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if "values" in part:
        yield from (((*at, index), value) for index, value in enumerate(part["values"]))
    else:
        yield from (((*at, end), part[end]) for end in ("low", "high"))


def read_search(raw: Mapping[str, Any], main: ChosenTechnique, at: KeyPath, problems: Problems) -> PlannedSearch | None:
    """What is searched of the technique's options; None with problems added. `at` is the key `search`."""
    before = len(problems)
    if find_spec("optuna") is None:
        message = "`search` needs optuna, which is not installed"
        hint = "pip install 'customspec[search]'"
        problems.add(Code.EXTRA_MISSING, at, message, hint=hint, key=True, exit=Exit.ENVIRONMENT)
    trials = _trials(raw.get(TRIALS), (*at, TRIALS), problems)
    space = {option: _part(option, value, main, at, problems) for option, value in raw.items() if option != TRIALS}
    if not space:
        message = "`search` names no option"
        problems.add(Code.WRONG_VALUE, at, message, hint="for instance {learning_rate: [1e-4, 1e-3]}", key=True)
    if len(problems) > before:
        return None
    found = {option: part for option, part in space.items() if part is not None}
    return PlannedSearch(found, trials or _few(found), at)


def _few(space: Mapping[str, Mapping[str, Any]]) -> int:
    """Every combination of a small grid, else a bounded number."""
    grid = prod(len(part["values"]) if "values" in part else MOST_TRIALS for part in space.values())
    return min(grid, MOST_TRIALS)


def _trials(raw: object, at: KeyPath, problems: Problems) -> int | None:
    if raw is None:
        return None
    try:
        return SearchTrials.model_validate({TRIALS: raw}).trials
    except ValidationError as invalid:
        errors = invalid.errors()
        message = f"`{TRIALS}` must be {expectation(errors[0])}; found {described(raw)}"
        problems.add(Code.WRONG_VALUE, at, message, hint=suggestion(errors, spot(SearchTrials, (TRIALS,))))
        return None


def _part(option: str, raw: object, main: ChosenTechnique, at: KeyPath, problems: Problems) -> Mapping[str, Any] | None:
    known, name, place = main.technique.options.model_fields, main.technique.name, (*at, option)
    if option not in known:
        nearest = closest(option, sorted(known))
        hint = did_you_mean(nearest, f"options: {', '.join(sorted(known))}")
        problems.add(Code.UNKNOWN_KEY, place, f"`{name}` has no option `{option}` to search", hint=hint, key=True)
        return None
    if option in main.options.model_fields_set:
        message = f"`{option}` is searched, and fixed under `{name}` as well"
        problems.add(Code.WRONG_VALUE, place, message, hint="remove one", key=True)
        return None
    if isinstance(raw, list) and raw:
        return _listed(option, raw, main, place, problems)
    if isinstance(raw, dict):
        return _range(option, raw, main, place, problems)
    message = f"`{option}` must be a list of values, or a range; found {described(raw)}"
    problems.add(Code.WRONG_TYPE, place, message, hint="write [1e-4, 1e-3], or {low: 1e-5, high: 1e-2, log: true}")
    return None


def _listed(
    option: str, raw: list[Any], main: ChosenTechnique, at: KeyPath, problems: Problems
) -> Mapping[str, Any] | None:
    values = [_checked(option, value, main, (*at, index), problems) for index, value in enumerate(raw)]
    twice = next((index for index, value in enumerate(raw) if value in raw[:index]), None)
    if twice is not None:
        message = f"{described(raw[twice])} is already among the values"
        problems.add(Code.WRONG_VALUE, (*at, twice), message, hint="remove one of the two")
    return {"values": [value for _, value in filter(None, values)]}


def _range(
    option: str, raw: dict[str, Any], main: ChosenTechnique, at: KeyPath, problems: Problems
) -> Mapping[str, Any] | None:
    try:
        found = Range.model_validate(raw)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        fault = first["ctx"]["error"] if first["type"] == "value_error" else None
        where = [part for part in first["loc"] if part in raw]
        parts = "a range has `low` and `high`, two numbers, and perhaps `log: true`"
        reason = str(fault) if fault else f"{parts}: {_said(first)}"
        hint = (fault and hint_of(fault)) or "for instance {low: 1e-5, high: 1e-2, log: true}"
        problems.add(Code.WRONG_VALUE, (*at, *where), f"`{option}`: {reason}", hint=hint, key=not where)
        return None
    ends = [_checked(option, raw[end], main, (*at, end), problems) for end in ("low", "high")]
    if None in ends or not all(isinstance(end[1], int | float) for end in ends if end):
        return None
    low, high = (end[1] for end in ends if end)
    integer = isinstance(low, int) and isinstance(high, int)
    return {"low": low, "high": high, "log": found.log, "integer": integer}


def _said(error: Any) -> str:
    key = error["loc"][-1]
    return {"missing": f"`{key}` is missing", "extra_forbidden": f"`{key}` is none of them"}.get(
        error["type"], f"`{key}` must be {expectation(error)}"
    )


def _checked(
    option: str, value: Any, main: ChosenTechnique, at: KeyPath, problems: Problems
) -> tuple[bool, Any] | None:
    """The value as the technique's own model takes it; None with a problem added."""
    try:
        validated = varied(main.options, {option: value})
    except ValidationError as invalid:
        errors, place = invalid.errors(), spot(type(main.options), (option,))
        fault = errors[0]["ctx"]["error"] if errors[0]["type"] == "value_error" else None
        message = str(fault or "") or f"`{option}` must be {expectation(errors[0])}; found {described(value)}"
        hint = hint_of(fault) if fault else suggestion(errors, place)
        problems.add(Code.WRONG_VALUE, at, message, hint=hint or described_as(place))
        return None
    return True, getattr(validated, option)


def with_most_shots(main: ChosenTechnique, searched: PlannedSearch) -> ChosenTechnique:
    """The draft with those of the searched options that show the most demonstrations: lengths, rows and costs are
    checked with these."""
    technique, options = main.technique, main.options
    assert technique.family == "prompting"
    for option in searched.space:
        tried = [_try(options, option, value) for _, value in searched.ends(option)]
        options = max([one for one in tried if one is not None] or [options], key=technique.shots)
    return replace(main, options=options)


def _try(options: Options, option: str, value: Any) -> Options | None:
    try:
        return varied(options, {option: value})
    except ValidationError:
        return None
