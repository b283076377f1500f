"""The store: results by content. A result is published whole or not at all, and verified whenever it is read.

objects/<2 hex>/<key>/manifest.json, files/…   read-only; the manifest holds its own checksum and each file's
checkpoints/<key>/00000120/   of trainings that are not finished, laid out as objects are
runs/<name>-0001/   memo/<kind>/<key>.json   locks/   tmp/   quarantine/
"""

from __future__ import annotations

from customspec.store.checkpoints import Checkpoint, Checkpoints
from customspec.store.disk import trouble, writing_under
from customspec.store.drafts import draft, room
from customspec.store.objects import digests_of, link_tree, sync, sync_tree
from customspec.store.store import Draft, Memo, Store, store_key

__all__ = [
    "Checkpoint",
    "Checkpoints",
    "Draft",
    "Memo",
    "Store",
    "digests_of",
    "draft",
    "link_tree",
    "room",
    "store_key",
    "sync",
    "sync_tree",
    "trouble",
    "writing_under",
]
