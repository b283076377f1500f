"""The JSON Schema of specs: the envelope's models, with every installed technique's options in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from customspec.errors import PluginError
from customspec.hookspecs import Technique
from customspec.registry import Registry
from customspec.spec import RESERVED, Spec, TechniqueEntry

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
    """JSON Schema 2020-12. Techniques that cannot be imported are left out."""
    techniques = _usable(registry)
    models: list[type[BaseModel]] = [Spec, TechniqueEntry, *(technique.options for technique in techniques)]
    refs, document = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], ref_template="#/$defs/{model}"
    )
    definitions: dict[str, Any] = document["$defs"]
    root = definitions.pop("Spec")
    entry = definitions.pop("TechniqueEntry")
    beside = {key: schema for key, schema in entry["properties"].items() if key in RESERVED}
    offered = {technique.name: _technique(technique, refs[technique.options, "validation"]) for technique in techniques}
    root["properties"]["techniques"] = _techniques(root["properties"]["techniques"], offered, beside)
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


def _usable(registry: Registry) -> list[Technique]:
    found = []
    for name in registry.names("technique"):
        try:
            found.append(registry.technique(name))
        except PluginError:
            continue  # a broken plugin is reported by the spec that needs it, and by `techniques`
    return found


def _technique(technique: Technique, reference: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": technique.summary, "anyOf": [dict(reference), {"type": "null"}]}


def _techniques(envelope: Mapping[str, Any], offered: Mapping[str, Any], beside: Mapping[str, Any]) -> dict[str, Any]:
    """A list whose items are a name, or exactly one technique's key with its options and the reserved keys."""
    named = {"enum": sorted(offered), "description": "A technique with its defaults."}
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
    told = [words.format(field[key]) for key, words in CONSTRAINTS.items() if key in field]
    return [*told, *(each for arm in field.get("anyOf", ()) for each in _constraints(arm, definitions))]


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
