"""`python -m customspec.runners.fetcher`: fetches from a hub what the question on stdin names, and keeps it.

Runs as a process of its own, which can be ended at once: the hub's libraries wait for every download that has begun.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from customspec.inputs.hub_rows import fetch_rows
from customspec.inputs.models import ModelError, fetch_snapshot
from customspec.inputs.rows import RowError
from customspec.spec import Split


def main() -> int:
    """0; or 1, and the reason as a line of JSON on stdout."""
    asked = json.load(sys.stdin)
    try:
        if "model" in asked:
            fetch_snapshot(asked["model"], asked["revision"])
        else:
            fetch_rows(Split.model_validate(asked["rows"]), Path(asked["cache"]))
    except (ModelError, RowError) as error:
        sys.stdout.write("\n" + json.dumps(str(error)) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
