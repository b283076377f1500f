"""What a technique's planning must ask of libraries too heavy for it: asked once in a helper process, and kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from customspec.errors import PluginError
from customspec.inputs.checksummed import read_checksummed, write_checksummed
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
    command = [sys.executable, "-P", "-m", "customspec.ml.consulting", technique, str(CPU), str(MEMORY)]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    ended = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, env=quiet, check=False)
    if ended.returncode in {-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGABRT}:
        limit = "it asks for too much time or memory"
        raise PluginError(f"plugin {distribution}: technique `{technique}` gave no answer: {limit}")
    if ended.returncode:
        reason = (ended.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise PluginError(f"plugin {distribution}: technique `{technique}` gave no answer: {reason}")
    return ended.stdout.splitlines()[-1]
