"""A technique's answer to its own question, in the helper process: commands that only look never import torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, cast

from customspec.hookspecs import Consulting
from customspec.registry import discover


def main(technique: str, question: Mapping[str, Any]) -> int:
    """Writes the answer as the last line of stdout."""
    answer = cast(Consulting, discover().tuning(technique)).answer(question)
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    return 0
