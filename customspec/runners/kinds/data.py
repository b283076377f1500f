"""Prepare the data: read the very bytes that the plan saw, divide them, keep each split's rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from customspec.errors import RefusedError
from customspec.inputs.digests import folder_digest, sha256_file
from customspec.inputs.splits import SPLITS, divide, read_splits
from customspec.plan import Step
from customspec.runners.rows import save_rows
from customspec.runners.work import Work


def run(step: Step, _: Work, folder: Path) -> dict[str, Any]:
    """Writes `train.jsonl`, `validation.jsonl`, `test.jsonl`. Raises RefusedError when a file has changed."""
    files = {name: [(label, Path(path)) for label, path in paths] for name, paths in step.sources.items()}
    splits = divide(read_splits(files), step.params["rule"])
    for name, paths in files.items():
        # hashed after reading: a file that changed before or while it was read cannot pass
        found = folder_digest({str(index): sha256_file(path) for index, (_, path) in enumerate(paths)})
        if found != step.params["splits"][name]:
            labels = ", ".join(label for label, _ in paths)
            raise RefusedError(f"the {name} data ({labels}) changed after the plan was made; run again")
    for name in SPLITS:
        save_rows(folder / f"{name}.jsonl", splits.named(name))
    return {"rows": {name: len(splits.named(name)) for name in SPLITS}}
