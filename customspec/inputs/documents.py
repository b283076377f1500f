"""The JSON documents of a run folder: sealed, so that what reads them need not doubt every key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from customspec.inputs.regular import read_regular
from customspec.saved import SEAL, fits

MOST = 2**30  # bytes


def read_document(path: Path) -> dict[str, Any]:
    """A document that `with_seal` made, with its seal. Raises OSError; ValueError for what has changed since."""
    content = read_regular(path, MOST, follow=True)
    try:
        told = json.loads(content)
        seal = told.pop(SEAL, None)
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{path.name} is damaged: it is no JSON object") from error
    if not fits(seal, told):
        raise ValueError(f"{path.name} is not as it was written: its seal does not fit what it says")
    return {**told, SEAL: seal}
