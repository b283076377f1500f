"""The JSON documents of a run folder: sealed, so that what reads them need not doubt every key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from customspec.inputs.regular import read_regular
from customspec.plan import digest
from customspec.saved import SEAL

MOST = 2**30  # bytes


def sealed_document(told: Mapping[str, Any]) -> dict[str, Any]:
    """The document with a digest of all that it says under `seal`."""
    return {**told, SEAL: digest(told)}


def read_document(path: Path) -> dict[str, Any]:
    """A document that `sealed_document` made, with its seal. Raises OSError; ValueError for what has changed since."""
    content = read_regular(path, MOST, follow=True)
    try:
        told = json.loads(content)
        seal = told.pop(SEAL, None)
        whole = seal == digest(told)
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{path.name} is damaged: it is no JSON object") from error
    if not whole:
        raise ValueError(f"{path.name} is not as it was written: its seal does not fit what it says")
    return {**told, SEAL: seal}
