"""Problems in the forms that other programs take: GitHub's workflow commands, and SARIF 2.1.0."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from customspec import __version__
from customspec.errors import Code, Problem
from customspec.report.explanations import Explanation
from customspec.report.text import escape

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_github(problem: Problem) -> str:
    """One `::error` line, which GitHub shows beside the line of the file in a pull request.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    place = problem.location
    values = {"file": place.file, "line": place.line, "col": place.column, "title": problem.code.value}
    properties = ",".join(f"{key}={_property(str(value))}" for key, value in values.items())
    text = "\n".join(filter(None, (escape(problem.message), problem.hint and escape(problem.hint))))
    return f"::error {properties}::{_data(text)}"


def as_sarif(problems: Sequence[Problem], explained: Mapping[Code, Explanation]) -> dict[str, Any]:
    """A SARIF log of one run, with a rule for each code that occurs."""
    codes = sorted({problem.code for problem in problems})
    driver = {
        "name": "customspec",
        "semanticVersion": __version__,
        "rules": [_rule(code, explained[code]) for code in codes],
    }
    results = [_result(problem, codes.index(problem.code)) for problem in problems]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: Code, explained: Explanation) -> dict[str, Any]:
    return {
        "id": code.value,
        "name": code.name,
        "shortDescription": {"text": explained.title},
        "fullDescription": {"text": explained.text},
    }


def _result(problem: Problem, rule: int) -> dict[str, Any]:
    text = problem.message if problem.hint is None else f"{problem.message}\n{problem.hint}"
    region = {"startLine": problem.location.line, "startColumn": problem.location.column}
    place = {"artifactLocation": {"uri": _uri(problem.location.file)}, "region": region}
    return {
        "ruleId": problem.code.value,
        "ruleIndex": rule,
        "level": "error",
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }


def _uri(file: str) -> str:
    path = Path(file)
    quoted = quote(os.fsencode(path.as_posix()))  # a name need not be UTF-8: the address has its bytes
    return f"file://{quoted}" if path.is_absolute() else quoted


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
