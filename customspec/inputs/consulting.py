"""What a technique's planning must ask of libraries too heavy for it: asked once in a helper process, and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from customspec.errors import PluginError
from customspec.inputs.checksummed import read_checksummed, write_checksummed
from customspec.inputs.helper import helper
from customspec.plan import digest

LIBRARIES = ("peft", "transformers")  # whose versions an answer may depend on
CPU: Final = 240  # seconds of computing; the largest models there are take a minute
MEMORY: Final = 32 << 30  # bytes


def consult(technique: str, distribution: str, question: Mapping[str, Any], cache: Path) -> Mapping[str, Any]:
    """The technique's answer to its own question, from `cache` or by the helper process. Both are plain JSON.

    `distribution` names the plugin's distribution and version. Raises PluginError when the technique does not answer.
    """
    key = digest([technique, distribution, question, [version(name) for name in LIBRARIES]])
    file = cache / f"{key.removeprefix('sha256:')}.json"
    kept = read_checksummed(file)
    if isinstance(kept, dict) and kept:
        return kept
    answer: Mapping[str, Any] = json.loads(_ask(technique, distribution, question))
    write_checksummed(file, answer)
    return answer


def _ask(technique: str, distribution: str, question: Mapping[str, Any]) -> str:
    answered = helper().ask("consulting", [technique, question], cpu=CPU, memory=MEMORY)
    if answered.code:
        reason = "it asks for too much time or memory" if answered.asks_too_much else answered.last_words
        raise PluginError(f"plugin {distribution}: technique `{technique}` gave no answer: {reason}")
    if not answered.out.strip():  # the plugin ended the process, as if all were well
        raise PluginError(f"plugin {distribution}: technique `{technique}` gave no answer: it ended the helper process")
    return answered.out.splitlines()[-1]
