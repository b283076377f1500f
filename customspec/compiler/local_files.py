"""What the compiler may read of this machine, and what it remembers of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from customspec.inputs.digests import Digests
from customspec.inputs.paths import Roots
from customspec.inputs.remembered import Remembered


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """`roots`: the folders that the spec may name files in. `cache`: the store's folder. `digests`: of files; those of
    large ones are remembered. `remembered`: templates filled and tokens counted by an earlier command."""

    roots: Roots
    cache: Path
    digests: Digests
    remembered: Remembered
