"""The JSON Schema of specs: the envelope's models, with the options of all techniques and metrics in their place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from customspec.containment import plugin_code
from customspec.errors import PluginError
from customspec.hookspecs import Metric, Technique
from customspec.registry import Kind, Registry, metric_options
from customspec.spec import METRIC_RESERVED, RESERVED, MetricEntry, Options, Spec, TechniqueEntry

CONSTRAINTS: Mapping[str, str] = {
    "exclusiveMinimum": "above {}",
    "minimum": "at least {}",
    "exclusiveMaximum": "below {}",
    "maximum": "at most {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} in number",
    "maxItems": "at most {} in number",
    "pattern": "matching {}",
}
"""JSON Schema's keywords in words."""


def spec_schema(registry: Registry) -> dict[str, Any]:
    """JSON Schema 2020-12. Techniques and metrics that cannot be imported are left out."""
    techniques: list[Technique] = _usable("technique", registry)
    metrics: list[Metric] = _usable("metric", registry)
    options = [*(technique.options for technique in techniques), *map(metric_options, metrics)]
    models: list[type[BaseModel]] = [Spec, TechniqueEntry, MetricEntry, *options]
    refs, document = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], ref_template="#/$defs/{model}"
    )
    definitions: dict[str, Any] = document["$defs"]
    root = definitions.pop("Spec")
    technique, metric = (definitions.pop(model.__name__)["properties"] for model in (TechniqueEntry, MetricEntry))

    def offered(item: Technique | Metric, options: type[Options]) -> dict[str, Any]:
        arms = [dict(refs[options, "validation"]), *([] if _needed(options) else [{"type": "null"}])]
        return {"description": item.summary, "anyOf": arms}

    root["properties"]["techniques"] = _entries(
        root["properties"]["techniques"],
        {item.name: offered(item, item.options) for item in techniques},
        {item.name for item in techniques if _needed(item.options)},
        {key: schema for key, schema in technique.items() if key in RESERVED},
        "A technique with its defaults.",
    )
    root["properties"]["metrics"] = _entries(
        root["properties"]["metrics"],
        {item.name: offered(item, metric_options(item)) for item in metrics},
        {item.name for item in metrics if _needed(metric_options(item))},
        {key: schema for key, schema in metric.items() if key in METRIC_RESERVED},
        "A metric with its defaults.",
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "$defs": definitions}


def options_table(options: type[BaseModel]) -> list[dict[str, Any]]:
    """One row per option: name, type, whether it must be given, default, constraints in words, description."""
    schema = options.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        {
            "name": name,
            "type": _type(field, definitions),
            "required": name in schema.get("required", ()),
            "default": field.get("default"),
            "constraints": _constraints(field, definitions),
            "description": field.get("description", ""),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _usable(kind: Kind, registry: Registry) -> list[Any]:
    found = []
    for name in registry.names(kind):
        with suppress(PluginError):  # a broken plugin is reported by the spec that needs it, and where they are listed
            item = registry.item(kind, name)
            with plugin_code(registry.offer(kind, name).item):
                (metric_options(item) if kind == "metric" else item.options).model_json_schema()
            found.append(item)
    return found


def _needed(options: type[Options]) -> bool:
    """Whether an option has no default."""
    return any(field.is_required() for field in options.model_fields.values())


def _entries(
    envelope: Mapping[str, Any],
    offered: Mapping[str, Any],
    needy: Collection[str],
    beside: Mapping[str, Any],
    bare: str,
) -> dict[str, Any]:
    """A list whose items are a name, or exactly one plugin's key with its options and the reserved keys."""
    named = {"enum": sorted(name for name in offered if name not in needy), "description": bare}
    keyed = {
        "type": "object",
        "properties": {**beside, **offered},
        "additionalProperties": False,
        "oneOf": [{"required": [name]} for name in sorted(offered)],
    }
    items = {"type": "array", "minItems": 1, "items": {"anyOf": [named, keyed]}}
    return {"anyOf": [items, {"type": "null"}], "default": None, "description": envelope.get("description", "")}


def _constraints(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[str]:
    if "$ref" in field:
        return _constraints(definitions[field["$ref"].rsplit("/", 1)[-1]], definitions)
    own = [words.format(field[key]) for key, words in CONSTRAINTS.items() if key in field]
    return [*own, *(each for arm in field.get("anyOf", ()) for each in _constraints(arm, definitions))]


def _type(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "$ref" in field:
        return _type(definitions[field["$ref"].rsplit("/", 1)[-1]], definitions)
    if "anyOf" in field:
        kinds = [_type(arm, definitions) for arm in field["anyOf"]]
        return " | ".join(kind for kind in kinds if kind != "null")
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "const" in field:
        return str(field["const"])
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}), definitions)}"
    return str(field.get("type", "any"))
