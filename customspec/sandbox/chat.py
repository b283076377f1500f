"""A model's chat template, as transformers would fill it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from customspec.prompts import TemplateError
from customspec.templates import UNREPEATABLE


class ChatTemplate:
    """One compiled chat template. Raises TemplateError when it is none."""

    def __init__(self, source: str) -> None:
        try:
            self._compiled = _environment().from_string(source)
        except Exception as error:  # Jinja's own errors, and Python's limits that its compiler meets
            raise TemplateError(str(error) or type(error).__name__) from error

    def stream(self, fields: Mapping[str, Any]) -> Any:
        """The parts of the filled text, one after another."""
        return self._compiled.generate(fields)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, optimized=False, extensions=["jinja2.ext.loopcontrols", _Generation]
    )
    for name in UNREPEATABLE:
        del environment.filters[name]
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _fixed_date
    return environment


class _Generation(Extension):
    """`{% generation %}` … `{% endgeneration %}` marks answers for transformers' masks, and prints nothing itself."""

    tags = {"generation"}  # noqa: RUF012  # declared so by Jinja

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


def _refuse(message: str) -> str:
    raise ValueError(message)


def _fixed_date(form: str) -> str:
    # the day of the run must not change a prompt, or no result could be repeated
    return datetime(2024, 7, 26, tzinfo=UTC).strftime(form)
