"""Unknown keys that can mean one known key only, which does not stand there already."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from customspec.errors import Rename
from customspec.source import Document, KeyPath
from customspec.suggest import SYNONYMS, certain

MOST_BESIDE: Final = 100  # keys: among more, nothing is certain, and to look takes long


def certain_rename(
    document: Document, parent: KeyPath, key: str, known: Collection[str], synonyms: Mapping[str, str] = SYNONYMS
) -> Rename | None:
    """What the key of the mapping at `parent` is certainly meant to be; None where another key there is, or may be."""
    meant = certain(key, known, synonyms)
    if meant is None:
        return None
    siblings = document.value(parent)
    beside = (siblings.keys() if isinstance(siblings, dict) else set()) - {key}
    if len(beside) > MOST_BESIDE:
        return None
    rivals = (other for other in beside if other == meant or certain(str(other), known, synonyms) == meant)
    return None if any(rivals) else Rename(key, meant)
