"""What can go wrong, as values: a place, a problem, and one exception per way to end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Exit(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    STEP_FAILED = 1
    BAD_INPUT = 2
    GOAL_NOT_MET = 3
    ENVIRONMENT = 4
    REFUSED = 5
    INTERRUPTED = 130
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

    PLUGIN_BROKEN = "CS601"
    PLUGIN_CLASH = "CS602"
    PLUGIN_CONTRACT = "CS603"

    DEVICE_MISSING = "CS701"
    EXTRA_MISSING = "CS702"


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
    """One thing that is wrong: where, what, and what to do about it; `rename` where a program may do it."""

    code: Code
    message: str
    location: Location
    hint: str | None = None
    exit: Exit = Exit.BAD_INPUT
    rename: Rename | None = None


class Terminated(BaseException):
    """SIGTERM, raised where the program stands so that every `finally` runs."""


class CustomspecError(Exception):
    """An end that was foreseen: shown as a sentence, never as a traceback."""

    exit = Exit.STEP_FAILED


class SpecError(CustomspecError):
    """The spec, its data or its model is wrong; holds every problem that was found, in the file's order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(f"{p.location}: {p.code} {p.message}" for p in problems))
        self.problems = tuple(sorted(problems, key=lambda p: (p.location.file, p.location.line, p.location.column)))
        self.exit = min(p.exit for p in problems)


class UsageError(CustomspecError):
    """The command line is wrong, or names something that is not there."""

    exit = Exit.BAD_INPUT


class PluginError(CustomspecError):
    """An installed plugin cannot be used; the message names it, its distribution and the cause."""

    exit = Exit.ENVIRONMENT

    def __init__(self, message: str, code: Code = Code.PLUGIN_BROKEN) -> None:
        super().__init__(message)
        self.code = code


class MachineError(CustomspecError):
    """This machine or environment cannot do it: no such device, a missing extra, not enough memory."""

    exit = Exit.ENVIRONMENT


class StepError(CustomspecError):
    """A step failed while it ran; what other steps reached is kept."""

    exit = Exit.STEP_FAILED


class RefusedError(CustomspecError):
    """Refused, to protect what is there: a stale plan, a damaged store object."""

    exit = Exit.REFUSED
