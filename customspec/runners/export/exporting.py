"""One candidate of a run written into a folder of its own, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from customspec.errors import CustomspecError, RefusedError, UsageError
from customspec.inputs.licence import licence_of
from customspec.inputs.paths import resolved
from customspec.inputs.splits import SPLITS
from customspec.plan import digest
from customspec.report.card import Facts, card
from customspec.report.serving import ELSEWHERE, Base, Form, Served, servings
from customspec.runners.export.bundle import bundle
from customspec.runners.export.files import copy_artifact, copy_base, merge
from customspec.runners.export.parity import Parity
from customspec.runners.reopened import Reopened, check_there
from customspec.runners.rows import write_lines
from customspec.source import read
from customspec.store import draft, sync, sync_tree, trouble

CARD = "README.md"
BUNDLE = "prompt.json"
POOL = "demonstrations.jsonl"


@dataclass(frozen=True)
class Exported:
    """What was handed over, and how it is served."""

    candidate: str
    folder: Path
    form: Form
    files: tuple[str, ...]
    parity: Parity | None
    served: tuple[Served, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "candidate": self.candidate,
            "folder": str(self.folder),
            "form": self.form,
            "files": list(self.files),
            "parity": None if self.parity is None else self.parity.to_json(),
            "serve": [served.to_json() for served in self.served],
        }


def export(opened: Reopened, document: Mapping[str, Any], out: Path, *, merged: bool) -> Exported:
    """Write the candidate into `out`. Raises RefusedError where something lies there, UsageError for what cannot be
    merged; nothing is then left."""
    _check_free(out)
    check_there(opened)
    base = _base(opened)
    with _drafting(out) as folder:
        form, parity = _write_model(opened, folder, base, merged=merged)
        prompt, pool = bundle(opened)
        _write_json(folder / BUNDLE, prompt)
        if pool:
            write_lines(folder / POOL, pool)
        adapter = _adapter(folder) if form == "adapter" else None
        name = opened.plan.name
        served = servings(form, out.name, name, _without_path(base), adapter)
        facts = _facts(opened, document, form=form, base=base, parity=parity, prompt=prompt, served=served)
        (folder / CARD).write_text(card(facts), encoding="utf-8")
        files = tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()))
    return Exported(opened.key, out, form, files, parity, servings(form, str(out), name, base, adapter))


def _write_model(opened: Reopened, folder: Path, base: Base, *, merged: bool) -> tuple[Form, Parity | None]:
    if opened.candidate.family == "prompting":
        if not merged:
            return "prompt", None
        if base.name is not None:
            raise UsageError(
                f"{opened.key} changes no weights: there is nothing to merge, and the base is {base.label}"
            )
        copy_base(opened, folder)
        return "base", None
    whole = (opened.artifact / "config.json").is_file()
    if not merged or whole:
        return copy_artifact(opened, folder, base), None
    technique = opened.registry.tuning(opened.candidate.technique)
    return "merged", merge(opened, technique, folder)


def _base(opened: Reopened) -> Base:
    step = next(opened.plan.step(id) for id in opened.evaluation().needs if opened.plan.step(id).kind == "model")
    label, ref = str(step.sources["label"]), step.sources["ref"]
    if step.params["kind"] == "gguf":
        return Base(label, None)
    if "hub" in ref:
        return Base(label, ref["hub"], ref.get("revision", "main"))
    return Base(label, step.sources["path"])


def _without_path(base: Base) -> Base:
    """The base as a card names it."""
    return base if base.name is None or base.revision is not None else Base(base.label, ELSEWHERE)


def _facts(
    opened: Reopened,
    document: Mapping[str, Any],
    *,
    form: Form,
    base: Base,
    parity: Parity | None,
    prompt: Mapping[str, Any],
    served: tuple[Served, ...],
) -> Facts:
    step = opened.evaluation()
    work = opened.work
    params = opened.params_as_found(step)
    named = params["technique"] or params["prompting"]
    technique = opened.registry.technique(named["name"])
    files = work.model_files()
    digests = work.need("data").step.params["splits"]
    return Facts(
        document=document,
        key=opened.key,
        form=form,
        technique=technique.name,
        options=named["options"],
        summary=technique.summary,
        base=_without_path(base),
        base_digest=files.digest,
        licence=licence_of(files),
        choices=prompt["choices"],
        by_question=prompt["shots_by_question"],
        splits={name: (len(work.rows(name)), digests.get(name)) for name in SPLITS},
        parity=None if parity is None else parity.to_json(),
        served=served,
        spec=_spec(opened),
    )


def _spec(opened: Reopened) -> str | None:
    """The spec's text, if the file still says what ran: `--set` and later edits make it another."""
    path = Path(opened.plan.sources.get("spec", ""))
    if not opened.roots.hold(resolved(path)):
        return None
    try:
        same = digest(read(path).data) == opened.plan.spec_digest
        return path.read_text(encoding="utf-8-sig") if same else None
    except (CustomspecError, OSError, ValueError):
        return None


def _adapter(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "adapter_config.json").read_bytes())
    return config


def _check_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RefusedError(f"{out} is there and not empty: name another folder with --out")


@contextmanager
def _drafting(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out`, which takes its place when the `with` block ends well, and is removed otherwise;
    what a killed export to `out` left goes with it."""
    beside = out.absolute().parent
    beside.mkdir(parents=True, exist_ok=True)
    with draft(beside, f".{out.name}-") as made:
        try:
            yield made
            made.chmod(0o755)
            sync_tree(made)
            _rename(made, out)
            sync(beside)
        except CustomspecError:
            raise
        except Exception as error:  # safetensors tells of a full disk in words of its own
            if (told := trouble(error, made, "name another folder with --out")) is not None:
                raise told from error
            raise


def _rename(made: Path, out: Path) -> None:
    try:
        made.rename(out.absolute())  # onto an empty folder, too
    except OSError as error:
        raise RefusedError(f"{out} was taken meanwhile: {error.strerror}") from error


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
