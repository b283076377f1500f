"""`python -m customspec.ml.consulting TECHNIQUE CPU MEMORY`: a technique's answer to the question on stdin, as JSON on
stdout, within so many seconds of computing and bytes.

Runs as a process of its own, so that commands that only look never import torch.
"""

from __future__ import annotations

import json
import sys
from typing import cast

from customspec.hookspecs import Consulting
from customspec.ml.helper import limit
from customspec.registry import discover


def main(technique: str) -> int:
    """Reads the question, writes the answer as the last line of stdout."""
    answer = cast(Consulting, discover().tuning(technique)).answer(json.load(sys.stdin))
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    limit(*map(int, sys.argv[2:]))
    sys.exit(main(sys.argv[1]))
