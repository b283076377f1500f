"""Libraries that draw their own progress bars and tell their own future are kept off the person's terminal."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Final

from transformers.utils import logging as transformers_logging

# what PEFT says of its own doing, where there is nothing to be done about it: the beginnings of its warnings
_KNOWN = (
    ".*is_gradient_checkpointing",  # a name of transformers' that PEFT still uses
    "The following rank_pattern keys did not match",  # AdaLoRA's ranks, read as if they were LoRA's
    ".* LoRA tensor\\(s\\) have invalid shape",  # AdaLoRA's rank 0: a module that it has dropped
    "Unsupported layer type",  # normalization layers, of whose inputs LN tuning wants no number
    "Found missing adapter keys",  # which is refused
    "Failed to load the CUDA extension",  # BOFT's, which is optional
    "Setting boft_n_butterfly_factor to 1",  # without it, which is what we ask for
)
_LOADER: Final = "transformers.modeling_utils"


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """No bars and no table of weights of transformers' own, and no warnings of peft's about its own doing."""
    transformers_logging.disable_progress_bar()
    loader = logging.getLogger(_LOADER)
    loader.addFilter(_is_no_table)
    try:
        with warnings.catch_warnings():
            for beginning in _KNOWN:
                warnings.filterwarnings("ignore", message=beginning)
            yield
    finally:
        loader.removeFilter(_is_no_table)
        transformers_logging.enable_progress_bar()


def _is_no_table(record: logging.LogRecord) -> bool:
    """What is wrong with a model's weights is told in a sentence of our own."""
    return "LOAD REPORT" not in record.getMessage()


def swallowing_bars() -> contextlib.AbstractContextManager[object]:
    """For code whose bars cannot be switched off: they are written nowhere."""
    return contextlib.redirect_stderr(io.StringIO())
