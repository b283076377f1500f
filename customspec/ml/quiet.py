"""Libraries that draw their own progress bars and tell their own future are kept off the person's terminal."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator

from transformers.utils import logging as transformers_logging


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """No bars of transformers' own, and no warnings about names that peft still uses."""
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
            yield
    finally:
        transformers_logging.enable_progress_bar()


def swallowing_bars() -> contextlib.AbstractContextManager[object]:
    """For code whose bars cannot be switched off: they are written nowhere."""
    return contextlib.redirect_stderr(io.StringIO())
