"""A stranger's tokenizer, tried in the process that reads headers, where it may hang or break."""

from __future__ import annotations

import json
import resource
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from customspec.inputs.chat_errors import OTHER_MODEL, is_panic
from customspec.inputs.tokenizer_parts import fault_of_parts
from customspec.inputs.unusable import unusable

CPU: Final = 30  # seconds more than were needed so far, to load it and to tokenize the probe
_MOST_TOKENS: Final = 64  # for a character of the probe
# letters, digits and signs alone, in long runs (which patterns with two ways to match them take for ever), and mixed
PROBE: Final = "\n".join(
    (
        string.printable * 4,
        *(char * 200 + "!" for char in "aA1 .-_\n\t"),
        "ab" * 100 + "!",
        "\u00e9\u4e2d\u6587 \u0645\u0631 \uac00 \U0001f600\u200d\u0301 \ufdfa" * 20,
    )
)


def try_tokenizer(file: Path) -> None:
    """Raises ModelError for a tokenizer.json that multiplies texts or fails. One that hangs ends the process."""
    fault = fault_of_parts(json.loads(file.read_bytes()))
    if fault is not None:
        raise unusable(fault, OTHER_MODEL)
    try:
        with _limited():
            tokens = _try(Tokenizer.from_file(str(file)))
    except BaseException as error:
        if not is_panic(error) and not isinstance(error, Exception):
            raise
        raise unusable("its tokenizer fails on a text of plain characters", OTHER_MODEL) from error
    if tokens > _MOST_TOKENS * len(PROBE):
        raise unusable(f"its tokenizer makes {tokens} tokens of {len(PROBE)} characters", OTHER_MODEL)


def _try(tokenizer: Tokenizer) -> int:
    """How many tokens the probe has. Every token of the vocabulary is written as text, too."""
    tokenizer.decode_batch([[id] for id in tokenizer.get_vocab().values()], skip_special_tokens=False)
    return len(tokenizer.encode(PROBE).ids)


@contextmanager
def _limited() -> Iterator[None]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    most = int(usage.ru_utime + usage.ru_stime) + CPU
    resource.setrlimit(resource.RLIMIT_CPU, (most if soft == resource.RLIM_INFINITY else min(most, soft), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
