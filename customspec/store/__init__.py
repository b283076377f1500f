"""The store: results by content. A result is published whole or not at all, and verified whenever it is read.

objects/<2 hex>/<key>/manifest.json, files/…   read-only; the manifest is sealed and holds every file's sha256
runs/<name>-0001/   memo/<kind>/<key>.json   locks/   tmp/   quarantine/
"""

from __future__ import annotations

from customspec.store.objects import link_tree
from customspec.store.store import Draft, Memo, Store, store_key

__all__ = ["Draft", "Memo", "Store", "link_tree", "store_key"]
