"""What the steps of one run share in memory: the base model, its tokenizer, and rows that are tokenized already."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from customspec.header import ModelHeader
from customspec.inputs.encoding import Encodings
from customspec.inputs.tokens import Chat

if TYPE_CHECKING:
    from customspec.ml.bases import Bases

KEPT = 8  # tokenized splits: those of two candidates, and some that others share


@dataclass
class Warm:
    """Made anew for each run. A step that finds nothing in it gives the same result, only later."""

    encoded: dict[bytes, Encodings] = field(default_factory=dict)
    read: dict[str, tuple[ModelHeader, Chat]] = field(default_factory=dict)

    @cached_property
    def bases(self) -> Bases:
        """Made on first use: torch comes with it."""
        from customspec.ml.bases import Bases

        return Bases()

    def reading(self, digest: str, read: Callable[[], tuple[ModelHeader, Chat]]) -> tuple[ModelHeader, Chat]:
        """The header and the chat of the model of that digest, read by the first step that asks."""
        if digest not in self.read:
            self.read[digest] = read()
        return self.read[digest]

    def encodings(self, question: Mapping[str, Any], encode: Callable[[], Encodings]) -> Encodings:
        """The answer to `question` (plain JSON: all that it depends on), from the last few or by `encode`."""
        key = sha256(json.dumps(question, sort_keys=True).encode()).digest()
        found = self.encoded.pop(key, None)
        self.encoded[key] = encode() if found is None else found
        while len(self.encoded) > KEPT:
            del self.encoded[next(iter(self.encoded))]
        return self.encoded[key]
