"""One prompt template: sandboxed Jinja2. A module apart from `prompts`, since commands that run nothing fill no
template in their own process, and importing Jinja takes as long as checking a spec.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from customspec.prompts import TemplateError

UNREPEATABLE: Final = frozenset({"random"})
"""Jinja2's filters that no template has."""


class Template:
    """One template, compiled in this process: for trusted texts. See `sandbox` for those that others wrote.

    Raises TemplateError when the text is not a template that we accept.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        environment = _environment()
        try:
            tree = environment.parse(source)
            _check(tree)  # first: compiling computes constants, `9**(9**9)` too
            self._quoted = _name_quoted_columns(tree)
            named = meta.find_undeclared_variables(tree) - environment.globals.keys()
            self.variables = frozenset(self._quoted.get(name, name) for name in named)
            self.printed = frozenset(self._quoted.get(name, name) for name in _printed(tree) & named)
            self._compiled = environment.from_string(tree)
        except TemplateSyntaxError as error:
            raise TemplateError(error.message or "not a template", line=error.lineno) from error
        except TemplateError:
            raise
        except (RecursionError, SyntaxError, MemoryError) as error:  # Python's own limits, met by Jinja's compiler
            raise TemplateError("the template is nested too deeply") from error
        except ValueError as error:  # a number of thousands of digits, half of a surrogate pair
            raise TemplateError(str(error)) from error

    def render(self, fields: Mapping[str, Any]) -> str:
        """The filled text. Raises TemplateError when a value does not fit the template."""
        try:
            return self._compiled.render(self._with_quoted(fields))
        except Exception as error:  # a value of the wrong kind makes Jinja's filters raise whatever they like
            raise TemplateError(str(error) or type(error).__name__) from error

    def render_all(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """The filled text of each row."""
        texts: list[str] = []
        for row, fields in enumerate(rows):
            try:
                texts.append(self.render(fields))
            except TemplateError as error:
                error.row = row
                raise
        return texts

    def stream(self, fields: Mapping[str, Any]) -> Iterator[str]:
        """The parts of the filled text, one after another; raises whatever a value makes Jinja's filters raise."""
        return self._compiled.generate(self._with_quoted(fields))

    def _with_quoted(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self._quoted:
            return fields
        return {**fields, **{name: fields[column] for name, column in self._quoted.items() if column in fields}}


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    # a row must give the same prompt every time
    del environment.globals["lipsum"]
    for name in UNREPEATABLE:
        del environment.filters[name]
    return environment


def _name_quoted_columns(tree: nodes.Template) -> dict[str, str]:
    """Puts a name in the place of each `column('...')`, which no column's own name can clash with, since what a row
    holds cannot be called; returns the columns by these names."""
    names = list(tree.find_all(nodes.Name))
    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    if "column" in macros | {name.name for name in names if name.ctx != "load"}:
        return {}  # the template has a `column` of its own
    named = _Naming({name.name for name in names})
    named.visit(tree)
    return {name: column for column, name in named.names.items()}


class _Naming(NodeTransformer):
    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self.names: dict[str, str] = {}

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802
        if not (isinstance(node.node, nodes.Name) and node.node.name == "column"):
            return self.generic_visit(node)
        if len(node.args) != 1 or node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise _no_column(node)
        [named] = node.args
        if not (isinstance(named, nodes.Const) and isinstance(named.value, str)):
            raise _no_column(node)
        return nodes.Name(self._name(named.value), "load", lineno=node.lineno)

    def _name(self, column: str) -> str:
        free = (f"column_{number}" for number in count())
        return self.names.setdefault(column, next(name for name in free if name not in self._used()))

    def _used(self) -> set[str]:
        return {*self._taken, *self.names.values()}


def _no_column(node: nodes.Call) -> TemplateError:
    return TemplateError("`column` takes the name of a column, in quotes", line=node.lineno, word="column")


def _printed(tree: nodes.Template) -> frozenset[str]:
    """The names whose values stand in the text as they are: `{{ text }}`, not `{{ text | upper }}`."""
    parts = (part for output in tree.find_all(nodes.Output) for part in output.nodes)
    return frozenset(part.name for part in parts if isinstance(part, nodes.Name))


def _check(tree: nodes.Template) -> None:
    for power in tree.find_all(nodes.Pow):
        raise TemplateError("operator `**` is not allowed in templates", line=power.lineno, word="**")
    for outside in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        raise TemplateError("a template may not load another template", line=outside.lineno)
    for access in tree.find_all(nodes.Getattr):
        if access.attr.startswith("_"):
            raise TemplateError(
                f"access to `{access.attr}` is not allowed in templates", line=access.lineno, word=access.attr
            )
