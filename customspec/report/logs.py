"""Logs, on the terminal and in a run's folder: what others wrote is escaped, secrets are hidden."""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

from customspec.errors import redact
from customspec.report.text import escape

log = logging.getLogger("customspec")


class SafeFormatter(logging.Formatter):
    """Each line of a record, tracebacks included, holds nothing that moves a cursor, and no secret."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(escape(redact(line)) for line in super().format(record).splitlines())


class TerminalHandler(logging.Handler):
    """Warnings on stderr as it is at that moment. Errors are reported by their steps; the log has their tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(SafeFormatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:
            tell(self.format(record))


def say(text: str) -> None:
    """Tell a sentence, and log it."""
    tell(escape(text))
    log.info(text)


def tell(text: str) -> None:
    """Write a line to stderr. Where its reader has gone, nothing is told from then on: what a command does, and how it
    ends, does not depend on who looks on."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except BrokenPipeError:
        unheard(sys.stderr)


def unheard(stream: TextIO) -> None:
    """What is written from now on, and what waits to be, goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
