"""What stands under a field, as its description: read from the source where a schema is made, and not at import.

Pydantic can do so itself, at every import of a model: for all models of a spec that takes longer than all else that a
command such as `validate` does.
"""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema


class Described(BaseModel):
    """A model in whose JSON Schema the docstring of a field is its description."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core_schema)
        fields = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in descriptions(cls).items():
            if name in fields:
                fields[name].setdefault("description", text)
        return schema


def descriptions(model: type[BaseModel]) -> Mapping[str, str]:
    """The description of each field that has one: as `Field` gives it, or the docstring under the field."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if issubclass(owner, Described):
            _read(owner, found)
    given = {name: field.description for name, field in model.model_fields.items() if field.description}
    return {name: text for name, text in {**found, **given}.items() if name in model.model_fields}


def _read(owner: type, found: dict[str, str]) -> None:
    """Lay a class's own docstrings over those of the classes it extends."""
    try:
        written = _classes(inspect.getsourcefile(owner) or "").get(owner.__qualname__)
    except (TypeError, SyntaxError, ValueError):  # made without a file, or by a file that has changed
        return
    for line, below in pairwise([*(written.body if written else ()), ast.Pass()]):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            found.pop(line.target.id, None)  # a field that is written anew has a description of its own
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                found[line.target.id] = inspect.cleandoc(str(below.value.value))


@cache
def _classes(file: str) -> Mapping[str, ast.ClassDef]:
    """The classes that a file writes, by their qualified names."""
    found: dict[str, ast.ClassDef] = {}

    def look(inside: ast.AST, name: str) -> None:
        for node in ast.iter_child_nodes(inside):
            if isinstance(node, ast.ClassDef):
                found.setdefault(f"{name}{node.name}", node)
                look(node, f"{name}{node.name}.")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                look(node, f"{name}{node.name}.<locals>.")
            elif isinstance(node, ast.stmt):
                look(node, name)

    look(ast.parse("".join(linecache.getlines(file))), "")
    return found
