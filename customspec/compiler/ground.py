"""What a spec is looked at on: this machine's files, and what is known of them from before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from customspec.inputs.digests import Digests
from customspec.inputs.paths import Roots
from customspec.inputs.remembered import Remembered


@dataclass(frozen=True, slots=True)
class Ground:
    """`roots`: where the spec's files may lie. `cache`: the store's folder. `remembered`: what texts came to before."""

    roots: Roots
    cache: Path
    digests: Digests
    remembered: Remembered
