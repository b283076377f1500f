"""What to write at a place of a spec, by its model there: a value within bounds, an example, what counts without."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from customspec.compiler.wording import as_yaml, remedy
from customspec.source import KeyPath
from customspec.spec import UnfitError, descriptions

EXAMPLES: Mapping[str, str] = {
    "customspec": "1",
    "name": "my-task",
    "base_model": "{path: FOLDER}",
    "hub": "HuggingFaceTB/SmolLM2-135M",
    "revision": "main",
    "data": "{train: train.jsonl, test: test.jsonl}",
    "train": "train.jsonl",
    "validation": "validation.jsonl",
    "test": "test.jsonl",
    "prompt": '{user: "{{ QUESTION }}", answer: "{{ ANSWER }}"}',
    "system": '"Answer with one word."',
    "user": '"{{ QUESTION }}"',
    "answer": '"{{ ANSWER }}"',
    "techniques": "[zero_shot, lora]",
    "metrics": "[accuracy]",
    "metric": "NAME",
    "at_least": "0.8",
    "at_most": "10",
    "margin": "0.02",
    "minutes": "30",
    "memory": "8GiB",
    "trainable_parameters": "1000000",
    "prompt_tokens": "500",
    "artifact": "20MB",
    "requests_per_month": "100000",
    "price_per_device_hour": "2.5",
    "bits": "4",
    "trials": "16",
    "max_new_tokens": "64",
    "stop": '["###"]',
    "rows": "[1, 2]",
    "target_modules": "[q_proj, v_proj]",
    "learning_rate": "1e-3",
    "num_train_epochs": "3",
    "max_steps": "500",
    "per_device_train_batch_size": "8",
    "gradient_accumulation_steps": "2",
    "warmup_steps": "0.1",
    "weight_decay": "0.01",
    "max_grad_norm": "1",
    "eval_steps": "50",
    "early_stopping_patience": "3",
    "lora_alpha": "16",
    "lora_dropout": "0.05",
}
"""A usual value of a key, as it is written; capitals stand for what only the person knows."""
MORE: Mapping[str, str] = {
    "prompt": ", with your columns' names",
    "metric": "; `customspec metrics` lists the names",
}
"""What to say after an example."""
NUMBERS = {"int_type", "int_from_float", "float_type", "finite_number"}
BOUNDS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
TEXTS = {"string_type", "string_too_short", "string_pattern_mismatch"}
SENTENCE = re.compile(r"(?:[^.;]|[.](?=\S))+")


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a model: the field that it belongs to, and the types that may stand there, each with its bounds."""

    key: str
    field: FieldInfo | None
    arms: Sequence[tuple[Any, Sequence[Any]]]
    about: str = ""
    """The field's description."""
    is_item: bool = False
    """Whether it is one of a list, and not the field's whole value."""

    @property
    def default(self) -> object:
        """What counts where the key is absent; None where that is nothing, or nothing that can be written."""
        return None if self.field is None or self.field.is_required() else self.field.default

    @property
    def example(self) -> str | None:
        """A usual value, as it is written."""
        known = EXAMPLES.get(self.key)
        return str(as_yaml(self.default)) if known is None and isinstance(self.default, int | float | str) else known


NOWHERE = Spot("", None, ())


def spot(model: type[BaseModel], path: KeyPath) -> Spot:
    """The place at a path inside a model; without types where the model has none there."""
    found, arms = NOWHERE, [(model, ())]
    for part in path:
        found, arms = _inside(found, arms, part)
    return replace(found, arms=arms)


def _inside(outer: Spot, arms: Sequence[tuple[Any, Sequence[Any]]], part: str | int) -> tuple[Spot, list[Any]]:
    for kind, _ in arms:
        if isinstance(part, str) and isinstance(kind, type) and issubclass(kind, BaseModel):
            if part in kind.model_fields:
                field = kind.model_fields[part]
                about = descriptions(kind).get(part, "")
                return Spot(part, field, (), about), list(_arms(field.annotation, field.metadata))
        elif isinstance(part, int) and get_origin(kind) in {tuple, list}:
            return replace(outer, is_item=True), list(_arms(get_args(kind)[0], ()))
    return Spot(str(part), None, ()), []


def _arms(annotation: Any, bounds: Sequence[Any]) -> Iterator[tuple[Any, Sequence[Any]]]:
    """The types that an annotation allows; what stands in `Annotated` or in `Field` around one are its bounds."""
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        own = [one for mark in marks for one in (mark.metadata if isinstance(mark, FieldInfo) else [mark])]
        yield from _arms(inner, [*bounds, *own])
    elif get_origin(annotation) in {Union, UnionType}:
        for arm in get_args(annotation):
            yield from _arms(arm, bounds)
    else:
        yield annotation, bounds


def suggestion(errors: Sequence[ErrorDetails], place: Spot) -> str | None:
    """What to write instead: what was certainly meant, else what may stand there."""
    first = errors[0]
    kinds = {error["type"] for error in errors}
    fits = first["input"] != "" and _takes(place, first["input"])
    listed = _list_example(place) if "tuple_type" in kinds and not fits else None
    if listed:
        return f"for instance: {listed}"
    meant = next(filter(None, map(remedy, errors)), None)
    if meant:
        return meant
    if kinds & BOUNDS and (share := _share(first["input"], place)):
        return f"write {share}"
    if kinds & (NUMBERS | BOUNDS) and (number := _number(place)):
        between = _between(first["input"]) if number.startswith("a whole") else None
        return f"write {between or number}"
    return _other(first, place)


def _other(error: ErrorDetails, place: Spot) -> str | None:
    kind, value = error["type"], error["input"]
    if kind == "literal_error":
        return _of_the_named(value, place)
    if kind == "string_type" and isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return f'write one text: "{", ".join(value)}"'
    if kind == "string_pattern_mismatch" and place.key == "hub":
        return _other_hub_name(str(value))
    if kind == "too_short":
        return _list_of_some(place)
    if kind in TEXTS and place.example:
        return f"for instance: {place.example}"
    return described_as(place)


def _other_hub_name(value: str) -> str:
    if value[:1] in {".", "/", "~"}:
        return "what lies on this machine is named by `path`"
    if re.fullmatch(r"\w[\w.-]*", value):
        return f"write OWNER/{value}: its page on the hub names the owner"
    return f"for instance: {EXAMPLES['hub']}"


def _of_the_named(value: object, place: Spot) -> str | None:
    """Of fixed values: the nearest number, or the one that counts without the key."""
    fixed = [one for kind, _ in place.arms if get_origin(kind) is Literal for one in get_args(kind)]
    numbers = [one for one in fixed if isinstance(one, int)]
    if numbers and isinstance(value, int | float):
        return f"did you mean {min(numbers, key=lambda one: (abs(one - value), one))}?"
    return f"without `{place.key}` it is `{place.default}`" if isinstance(place.default, str) else described_as(place)


def _takes(place: Spot, value: object) -> bool:
    """Whether a list there takes the value as an item, by its type."""
    if isinstance(value, Mapping):
        return True  # it is told how a list is written
    items = [kind for arm, _ in place.arms if get_origin(arm) is tuple for kind, _ in _arms(get_args(arm)[0], ())]
    plain = [kind for kind in items if kind in {int, float, str}]
    return not plain or any(isinstance(value, kind) for kind in plain)


def _list_example(place: Spot) -> str | None:
    default = place.default if isinstance(place.default, tuple) else ()
    known = place.example or (f"[{', '.join(str(as_yaml(one)) for one in default)}]" if default else None)
    return known if known is None or known.startswith("[") else f"[{known}]"


def _list_of_some(place: Spot) -> str | None:
    listed = _list_example(place)
    return f"for instance: {listed}{_or_nothing(place)}" if listed else described_as(place)


def _or_nothing(place: Spot) -> str:
    is_needed = place.is_item or place.field is None or place.field.is_required()
    return "" if is_needed else f", or leave `{place.key}` out"


def _share(value: object, place: Spot) -> str | None:
    """A percentage as a share, where only that fits."""
    most = _bound(place, "le") or _bound(place, "lt")
    return f"{value / 100:g}" if most == 1 and isinstance(value, int | float) and 1 < value < 100 else None


def _between(value: object) -> str | None:
    """Both whole numbers around a fraction."""
    text = str(value)
    return f"{int(text.partition('.')[0])} or {int(text.partition('.')[0]) + 1}" if _FRACTION.fullmatch(text) else None


_FRACTION = re.compile(r"[1-9]\d{0,8}\.\d+")


def _bound(place: Spot, name: str) -> float | None:
    found = (getattr(mark, name, None) for kind, marks in place.arms if kind in {int, float} for mark in marks)
    return next((one for one in found if one is not None), None)


def _number(place: Spot) -> str | None:
    """`a whole number from 1 to 4096, such as 8`."""
    kinds = {kind for kind, _ in place.arms}
    if not kinds & {int, float}:
        return None
    noun = "a number" if float in kinds else "a whole number"
    lowest, above, most, below = (_bound(place, name) for name in ("ge", "gt", "le", "lt"))
    low = f" from {as_yaml(lowest)}" if lowest is not None else f" above {as_yaml(above)}" if above is not None else ""
    high = f" below {as_yaml(below)}" if below is not None else ""
    if most is not None:
        high = f" to {as_yaml(most)}" if lowest is not None else f" at most {as_yaml(most)}"
    joined = f"{low}{',' if low and high and not high.startswith(' to') else ''}{high}"
    if place.example:
        what = "a size" if place.example.endswith("B") else f"{noun}{joined}"
        return f"{what}, such as {place.example}"
    return f"{noun}{joined}{_or_nothing(place)}"


def described_as(place: Spot) -> str | None:
    """The first sentence of the field's description, as what the key is for."""
    sentence = SENTENCE.match(place.about)
    return f"`{place.key}`: {' '.join(sentence[0].split())}" if sentence and place.key else None


def addition(place: Spot) -> str:
    """How a key that is missing is written."""
    key = place.key
    if key in EXAMPLES:
        return f"add `{key}: {EXAMPLES[key]}`{MORE.get(key, '')}"
    about = described_as(place)
    return f"add `{key}: …`" + (about.removeprefix(f"`{key}`") if about else "")


def filling(place: Spot) -> str:
    """What to do with a key that has no value."""
    if not place.key or place.is_item:
        return "write a value behind it, or delete the line"
    known = f": {place.example}" if place.example else ""
    value = f"write its value, such as `{place.key}{known}`" if known else f"write a value behind `{place.key}:`"
    is_needed = place.field is not None and place.field.is_required()
    return value if is_needed else f"{value}, or delete the line"


def hint_of(fault: Exception) -> str | None:
    """What a model's own check says to do about it."""
    return fault.hint if isinstance(fault, UnfitError) else None
