"""The files of an export: the artifact copied, or merged into the base's weights and tried before it is given away."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customspec.errors import CustomspecError, RefusedError, StepError, UsageError
from customspec.hookspecs import Merging, TuningTechnique
from customspec.report.serving import Base, Form
from customspec.runners.answers import load_candidate, reserve_of
from customspec.runners.blame import failure_text
from customspec.runners.export.parity import Parity, ask, compare, tolerance_of
from customspec.runners.reopened import Reopened
from customspec.runners.tokenizer import copy_tokenizer
from customspec.runners.work import Work, encode_rows, settled

if TYPE_CHECKING:
    from torch import nn

OURS = frozenset({"predictions", "prompt.json"})  # what the run folder adds to an artifact
NAMED = 3  # rows in a message


def copy_artifact(opened: Reopened, folder: Path, base: Base) -> Form:
    """What training left, as it is; a whole model with its tokenizer, an adapter with its base's name on the hub."""
    for path in opened.artifact.iterdir():
        if path.name not in OURS:
            _copy(path, folder / path.name)
    if (folder / "adapter_config.json").is_file():
        _name_base(folder / "adapter_config.json", base)
        return "adapter"
    if (folder / "config.json").is_file():
        copy_tokenizer(opened.work.model_files(), opened.work.cache, folder)
        return "model"
    return "other"


def copy_base(opened: Reopened, folder: Path) -> None:
    """The base as a folder of safetensors, with its tokenizer."""
    shutil.copytree(opened.work.model_folder(), folder, copy_function=shutil.copyfile, dirs_exist_ok=True)


def merge(opened: Reopened, technique: TuningTechnique, folder: Path) -> Parity:
    """The base with the adapter in its weights, written whole and read again, if it answers the same.

    Raises UsageError for a technique that changes no weights, RefusedError for a model that answers otherwise.
    """
    if not isinstance(technique, Merging):
        raise UsageError(
            f"technique `{technique.name}` cannot be merged: what it learned is no change of the base's weights; "
            "export it without --merge"
        )
    step = opened.evaluation("validation")
    work = opened.work
    params = settled(step, work)
    if "quantization" in params:
        bits = params["quantization"]["bits"]
        raise UsageError(
            f"{opened.key} was trained beside weights of {bits} bits, which cannot take it in; export without --merge"
        )
    _, chat = work.header_and_chat
    queries = work.rows(params["split"])[: params["limit"]]
    rows = encode_rows(params, queries, work, reserve=reserve_of(params, chat)).rows
    opened.watcher.started(opened.does, len(rows))
    model = load_candidate(params, work)
    before = ask(params, model, rows, chat, work)
    _save(technique, model, folder, work)
    del model
    copy_tokenizer(work.model_files(), work.cache, folder)
    after = ask(params, _loaded(folder, work), rows, chat, work)
    tolerance, unmerged = tolerance_of(opened.machine.compute_dtype), partial(load_candidate, params, work)
    parity = compare(before, after, rows, chat, unmerged, split=params["split"], tolerance=tolerance)
    if parity.apart:
        named = ", ".join(parity.apart[:NAMED]) + (", ..." if len(parity.apart) > NAMED else "")
        raise RefusedError(
            f"the merged model is not handed over: on {len(parity.apart)} of {parity.rows} {parity.split} rows it "
            f"answers otherwise than the model with its adapter beside it, and these are no ties ({named})"
        )
    return parity


def _save(technique: Merging, model: nn.Module, folder: Path, work: Work) -> None:
    from customspec.ml.models import save_whole

    try:
        merged = technique.merge(model)
    except CustomspecError:
        raise
    except Exception as error:
        raise StepError(f"merging failed: {failure_text(error, work.registry)}") from error
    save_whole(merged, folder)


def _loaded(folder: Path, work: Work) -> nn.Module:
    from customspec.ml.models import DTYPES, load_model

    return load_model(folder, DTYPES[work.machine.compute_dtype], work.machine.torch_device)


def _name_base(file: Path, base: Base) -> None:
    """PEFT and its servers look for the base under the name that stands here; a path would not travel."""
    if base.revision is None:
        return
    config: dict[str, Any] = json.loads(file.read_bytes())
    named = {**config, "base_model_name_or_path": base.name, "revision": base.revision}
    file.write_text(json.dumps(named, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    """Bytes alone: the store's files are read-only, and a copy should not be."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)
