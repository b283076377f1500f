"""Unknown keys that can mean one known key only, which does not stand there already."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from customspec.errors import Rename
from customspec.source import Document, KeyPath
from customspec.suggest import SYNONYMS, certain


def certain_rename(
    document: Document, parent: KeyPath, key: str, known: Collection[str], synonyms: Mapping[str, str] = SYNONYMS
) -> Rename | None:
    """What the key of the mapping at `parent` is certainly meant to be; None where another key there is, or may be."""
    meant = certain(key, known, synonyms)
    if meant is None:
        return None
    beside = {path[-1] for path in document.marks if path[:-1] == parent and path[-1] != key}
    rivals = (other for other in beside if other == meant or certain(str(other), known, synonyms) == meant)
    return None if any(rivals) else Rename(key, meant)
