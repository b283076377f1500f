"""What can go wrong, as values: a place, a problem, and one exception per way to end."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final


class Exit(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    STEP_FAILED = 1
    BAD_INPUT = 2
    GOAL_NOT_MET = 3
    ENVIRONMENT = 4
    REFUSED = 5
    INTERRUPTED = 130
    UNHEARD = 141
    TERMINATED = 143


class Code(StrEnum):
    """Stable names of problems; the hundreds tell the stage that finds them."""

    YAML_SYNTAX = "CS101"
    YAML_DUPLICATE_KEY = "CS102"
    YAML_KEY_NOT_TEXT = "CS103"
    YAML_ALIAS = "CS104"
    YAML_TAG = "CS105"
    YAML_DOCUMENTS = "CS106"
    YAML_LIMIT = "CS107"
    YAML_EMPTY = "CS108"
    YAML_NOT_MAPPING = "CS109"
    YAML_ENCODING = "CS110"
    YAML_NUMBER = "CS111"
    FILE_MISSING = "CS112"

    UNKNOWN_KEY = "CS201"
    MISSING_KEY = "CS202"
    WRONG_TYPE = "CS203"
    WRONG_VALUE = "CS204"
    FORMAT_VERSION = "CS205"
    NOT_YET = "CS206"
    PATH_REFUSED = "CS207"
    SECRET = "CS208"
    MORE_PROBLEMS = "CS209"

    UNKNOWN_TECHNIQUE = "CS301"
    TECHNIQUE_ENTRY = "CS302"
    DUPLICATE_ID = "CS303"
    UNKNOWN_METRIC = "CS304"
    METRIC_TASK = "CS305"
    GOAL_RANGE = "CS306"
    TEMPLATE_SYNTAX = "CS307"
    TEMPLATE_VARIABLE = "CS308"
    TEMPLATE_RENDER = "CS309"
    NOTHING_TO_RUN = "CS310"
    ANSWER_SHOWN = "CS311"
    METRIC_ENTRY = "CS312"
    TEMPLATE_LIMIT = "CS313"
    GOAL_ROWS = "CS314"
    BUDGET = "CS315"

    DATA_MISSING = "CS401"
    DATA_EMPTY = "CS402"
    DATA_FORMAT = "CS403"
    DATA_ROW = "CS404"
    DATA_NEEDED = "CS405"
    ANSWER_NOT_A_CHOICE = "CS406"
    TOO_FEW_ROWS = "CS407"
    TOO_LONG = "CS408"
    DATA_SAME_FILE = "CS409"
    DATA_GROUP = "CS410"
    ANSWER_EMPTY = "CS411"
    DATA_OVERLAP = "CS412"

    MODEL_MISSING = "CS501"
    MODEL_UNUSABLE = "CS502"
    MODEL_KIND = "CS503"
    MODEL_REFUSES_TECHNIQUE = "CS504"
    MODEL_CODE = "CS505"

    PLUGIN_BROKEN = "CS601"
    PLUGIN_CLASH = "CS602"
    PLUGIN_CONTRACT = "CS603"

    DEVICE_MISSING = "CS701"
    EXTRA_MISSING = "CS702"
    MEMORY = "CS703"


MOST_PROBLEMS: Final = 50  # that are told at once: as many as a person mends before they look again


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file a person wrote; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Rename:
    """A key, and the one that it is certainly meant to be."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what, and what to do about it; `rename` where a program may do it. `length`:
    characters from its place on that are at fault, where these are not one word or one text in quotes."""

    code: Code
    message: str
    location: Location
    hint: str | None = None
    exit: Exit = Exit.BAD_INPUT
    rename: Rename | None = None
    length: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", _shown(self.message))
        object.__setattr__(self, "hint", self.hint and _shown(self.hint))


_SECRET: Final = re.compile(
    r"(?P<token>\b(?:hf_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA)[0-9A-Z]{16}\b|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----)"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
    r"|(?<=[Bb]earer )[\w.~+/=-]{8,}"
    r"|(?i:(?<=token=)|(?<=secret=)|(?<=signature=)|(?<=password=)|(?<=api_key=)|(?<=credential=))[^&\s'\"]{4,}"
)
_NAMES: Final = re.compile(r"(^|_)(TOKEN|SECRET|PASSWORD|PASSPHRASE|API_?KEY|ACCESS_KEY|CREDENTIALS?)$", re.IGNORECASE)
_LONGEST: Final = 2000  # characters of a message
_SHORTEST: Final = 8  # characters of a secret in the environment; less may be any word


def _shown(text: str) -> str:
    """What names a text of a spec has an end, however long that text is."""
    safe = redact(text)
    return safe if len(safe) <= _LONGEST else f"{safe[: _LONGEST // 2]}…{safe[-_LONGEST // 2 :]}"


def redact(text: str) -> str:
    """The text with whatever is a secret, by its form or because the environment holds it, as stars of its length."""
    hidden = _SECRET.sub(_stars, text)
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and _NAMES.search(name) and value in hidden:
            hidden = hidden.replace(value, "*" * len(value))
    return hidden


def holds_secret(text: str) -> bool:
    """Whether a part of the text has the form of a token or a private key."""
    return any(found["token"] for found in _SECRET.finditer(text))


def first_line(error: BaseException) -> str:
    """The first line that an exception says; its type's name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _stars(found: re.Match[str]) -> str:
    return "*" * len(found[0])


class Terminated(BaseException):
    """SIGTERM, raised where the program stands so that every `finally` runs."""


class CustomspecError(Exception):
    """An end that was foreseen: shown as a sentence, never as a traceback. No message holds a secret."""

    exit = Exit.STEP_FAILED

    def __init__(self, message: str = "") -> None:
        super().__init__(redact(message))


class SpecError(CustomspecError):
    """The spec, its data or its model is wrong; holds every problem that was found, in the file's order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(f"{p.location}: {p.code} {p.message}" for p in problems))
        self.problems = tuple(sorted(problems, key=lambda p: (p.location.file, p.location.line, p.location.column)))
        self.exit = min(p.exit for p in problems)


def too_many(problems: Sequence[Problem]) -> SpecError:
    """The error for as many problems as are told at once, where there are more."""
    last = SpecError(tuple(problems)).problems[-1]
    message = f"there are more problems than these {len(problems)}"
    end = Problem(Code.MORE_PROBLEMS, message, last.location, "mend these; the others are then told", last.exit)
    return SpecError((*problems, end))


class UnfitError(ValueError):
    """What the check of an option raises for a value that does not fit; `hint` is what to do about it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(CustomspecError):
    """The command line is wrong, or names something that is not there."""

    exit = Exit.BAD_INPUT


class PluginError(CustomspecError):
    """An installed plugin cannot be used; the message names it, its distribution and the cause."""

    exit = Exit.ENVIRONMENT

    def __init__(self, message: str, code: Code = Code.PLUGIN_BROKEN, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class MachineError(CustomspecError):
    """This machine or environment cannot do it: no such device, a missing extra, not enough memory."""

    exit = Exit.ENVIRONMENT


class StepError(CustomspecError):
    """A step failed while it ran; what other steps reached is kept."""

    exit = Exit.STEP_FAILED


class RefusedError(CustomspecError):
    """Refused, to protect what is there: a stale plan, a damaged store object."""

    exit = Exit.REFUSED
