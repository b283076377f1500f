"""How what was exported is served by other programs: the exact command, or why there is none."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Form = Literal["adapter", "model", "merged", "prompt", "base", "other"]
"""`adapter`: PEFT's layout, beside its base. `model`, `merged`: a whole model. `prompt`: the base as it is, asked as
the bundle says. `base`: the same, with the base written out. `other`: a plugin's own layout."""

# vLLM's MaxLoRARanks (vllm/config/lora.py): the flag takes one of these, 16 where it is not given
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
DEFAULT_RANK = 16
SOFT = frozenset({"PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "MULTITASK_PROMPT_TUNING", "CPT", "CARTRIDGE"})

ELSEWHERE = "BASE"
"""Stands in a card for the folder of a base model: a path on this machine means nothing on another."""


@dataclass(frozen=True, slots=True)
class Base:
    """The base model as a server could be told of it: `name` is a hub name, a folder, or ELSEWHERE for a folder that
    lies in another place on each machine; None for a GGUF file."""

    label: str
    name: str | None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """One server: the command that serves it, or the reason why there is none."""

    server: str
    command: str | None
    why: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"server": self.server, "command": self.command, "why": self.why}


def servings(form: Form, folder: str, name: str, base: Base, adapter: Mapping[str, Any] | None) -> tuple[Served, ...]:
    """For vLLM and for `transformers serve`. `name` is what requests call the model, `adapter` PEFT's configuration."""
    if form in {"merged", "model", "base"}:
        return (Served("vLLM", f"vllm serve {shlex.quote(folder)}"), _transformers(folder))
    if form == "prompt":
        if base.name is None:
            why = f"the base, {base.label}, is a GGUF file: export with --merge to have it written as a folder"
            return (Served("vLLM", None, why), Served("transformers serve", None, why))
        revised = "" if base.revision is None else f" --revision {shlex.quote(base.revision)}"
        return (
            Served("vLLM", f"vllm serve {shlex.quote(base.name)}{revised}"),
            _transformers(base.name, base.revision),
        )
    if adapter is None:
        why = "the artifact is in its plugin's own layout: `customspec predict` uses it"
        return (Served("vLLM", None, why), Served("transformers serve", None, why))
    return (_vllm_adapter(folder, name, base, adapter), Served("transformers serve", None, _whole_only(adapter)))


def _transformers(name: str, revision: str | None = None) -> Served:
    if "@" in name:  # it reads MODEL@REVISION
        why = f"it reads what stands behind `@` as a revision: move {name} to a path without one"
        return Served("transformers serve", None, why)
    return Served(
        "transformers serve", f"transformers serve {shlex.quote(name if not revision else name + '@' + revision)}"
    )


def _whole_only(adapter: Mapping[str, Any]) -> str:
    reason = "it serves whole models"
    return reason if adapter["peft_type"] in SOFT else f"{reason}: export with --merge"


def _vllm_adapter(folder: str, name: str, base: Base, adapter: Mapping[str, Any]) -> Served:
    why = _why_no_vllm(base, adapter)
    if why is not None:
        return Served("vLLM", None, why)
    assert base.name is not None
    rank = _rank(adapter)
    revised = "" if base.revision is None else f" --revision {shlex.quote(base.revision)}"
    ranked = "" if rank <= DEFAULT_RANK else f" --max-lora-rank {rank}"
    module = shlex.quote(f"{name}={folder}")
    return Served("vLLM", f"vllm serve {shlex.quote(base.name)}{revised} --enable-lora{ranked} --lora-modules {module}")


def _rank(adapter: Mapping[str, Any]) -> int:
    """The smallest of vLLM's ranks that holds every rank of the adapter; 0 where none does."""
    largest = max([adapter["r"], *(adapter.get("rank_pattern") or {}).values()])
    return next((rank for rank in RANKS if rank >= largest), 0)


def _why_no_vllm(base: Base, adapter: Mapping[str, Any]) -> str | None:
    kind = adapter["peft_type"]
    merge = "export with --merge"
    if kind in SOFT:
        return "vLLM serves no learned prompts (it took them out in 0.10.0): `customspec predict` or PEFT use it"
    if kind != "LORA":
        return f"vLLM serves LoRA adapters, not {kind}: {merge}"
    if adapter.get("use_dora"):
        return f"vLLM does not take DoRA (`use_dora`): {merge}"
    if adapter.get("modules_to_save"):
        return f"vLLM takes no adapter with whole modules (`modules_to_save`): {merge}"
    if not _rank(adapter):
        return f"vLLM takes ranks up to {RANKS[-1]}: {merge}"
    return f"the base, {base.label}, is a GGUF file: {merge}" if base.name is None else None
