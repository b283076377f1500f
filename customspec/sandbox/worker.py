"""The process that compiles and fills templates: a line of JSON in, a line of JSON out, until its input ends.

Imports Jinja and nothing heavier, so that it starts in some 50 ms. A template that takes too much time ends the
process by a signal; one that takes too much memory, or writes too much, is answered.
"""

from __future__ import annotations

import encodings.unicode_escape
import html
import json
import pprint
import signal
import sys
import textwrap
import time
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import jinja2.debug

from customspec.prompts import TemplateError
from customspec.sandbox.chat import ChatTemplate
from customspec.templates import Template

MEMORY = 192 * 2**20  # bytes of address space, the interpreter's 40 MB included
FULL = 77  # exit code for a memory that was full outside of a template
OUTPUT = 4 * 2**20  # characters of one filled template
KINDS: Mapping[str, type[Template | ChatTemplate]] = {"prompt": Template, "chat": ChatTemplate}
# what Jinja, and Python for names beyond ASCII, import late, when no file can be opened any more
LOADED = (jinja2.debug, html, pprint, textwrap, unicodedata, encodings.unicode_escape)


class OutputError(Exception):
    """A text that grew beyond its limit."""


def main() -> None:
    """Answer requests until there are no more."""
    _confine()
    templates: dict[int, Template | ChatTemplate] = {}
    try:
        for line in sys.stdin.buffer:
            sys.stdout.write(json.dumps(_answer_in_time(json.loads(line), templates)) + "\n")
            sys.stdout.flush()
    except MemoryError:
        sys.exit(FULL)


def _confine() -> None:
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the one that asks; this process ends with its input
    limits = ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, 3))
    for limit, value in limits:
        with suppress(ValueError, OSError):  # macOS knows no RLIMIT_AS
            resource.setrlimit(limit, (value, value))


def _answer_in_time(request: Mapping[str, Any], templates: dict[int, Template | ChatTemplate]) -> dict[str, Any]:
    began = time.process_time()
    try:
        # the signal's own action ends the process, wherever it is; a handler would wait for the interpreter
        signal.setitimer(signal.ITIMER_PROF, request["cpu"])
        answer = _answer(request, templates)
    except MemoryError:
        answer = {"limit": "memory"}
    except OutputError:
        answer = {"limit": "output"}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return {**answer, "cpu": time.process_time() - began}


def _answer(request: Mapping[str, Any], templates: dict[int, Template | ChatTemplate]) -> dict[str, Any]:
    id = request["id"]
    try:
        if id not in templates:
            templates[id] = KINDS[request["kind"]](request["source"])
    except TemplateError as error:
        if isinstance(error.__cause__, MemoryError):  # a constant that Jinja computed, too long to be compiled
            raise MemoryError from error
        return {"error": str(error), "line": error.line, "word": error.word}
    except MemoryError:
        raise
    except Exception as error:  # whatever else a compiler raises: the process stays, the text is refused
        return {"error": f"it cannot be compiled ({type(error).__name__}: {error})", "line": 1, "word": None}
    template = templates[id]
    texts: list[str | dict[str, str]] = []
    for row, fields in enumerate(request["rows"]):
        try:
            texts.append(_filled(template, fields))
        except (MemoryError, OutputError):
            raise
        except Exception as error:  # a value of the wrong kind makes Jinja's filters raise whatever they like
            fault = str(error) or type(error).__name__
            if not request["each"]:
                return {"error": fault, "row": row}
            texts.append({"error": fault})
    return {"texts": texts, **_described(template)}


def _described(template: Template | ChatTemplate) -> dict[str, Any]:
    if isinstance(template, ChatTemplate):
        return {}
    return {"variables": sorted(template.variables), "printed": sorted(template.printed)}


def _filled(template: Template | ChatTemplate, fields: Mapping[str, Any]) -> str:
    parts: list[str] = []
    size = 0
    for part in template.stream(fields):
        size += len(part)
        if size > OUTPUT:
            raise OutputError
        parts.append(part)
    text = "".join(parts)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(text[error.start]):04X}"
        raise ValueError(f"it writes {half}, half of a surrogate pair, which is no text") from error
    return text
