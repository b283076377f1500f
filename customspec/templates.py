"""One prompt template: sandboxed Jinja2. A module apart from `prompts`, since commands that run nothing fill no
template in their own process, and importing Jinja takes as long as checking a spec.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from customspec.prompts import TemplateError


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
            self.variables = frozenset(meta.find_undeclared_variables(tree) - environment.globals.keys())
            self.printed = _printed(tree) & self.variables
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
            return self._compiled.render(fields)
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
        return self._compiled.generate(fields)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    # a row must give the same prompt every time
    del environment.globals["lipsum"], environment.filters["random"]
    return environment


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
