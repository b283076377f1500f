"""A model folder as libraries may see it: known files only, and no key in its small JSON files that names code.

Libraries act on such keys, and more than once have done so although they were told not to trust the folder. What they
never see they cannot act on.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

MODEL: Final = (
    ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json"),
    (
        *("*.safetensors", "model.safetensors.index.json"),
        *("tokenizer.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "*.model"),
        *("chat_template.jinja", "chat_template.json"),
    ),
)
ADAPTER: Final = (("adapter_config.json",), ("adapter_model.safetensors",))
"""Patterns of the files that are cleaned, and of those that are linked as they are."""

_CODE: Final = re.compile(
    r"auto_map(ping)?|custom_\w+|trust_remote_code|code_revision|_target_|parent_library|base_model_class|model_file"
    r"|megatron_\w+|(use_)?kernels?(_\w+)?|__\w+__"
)
_CHOICE: Final = re.compile(r"\w*_implementation(_internal)?")
_KNOWN_CHOICES: Final = (None, True, False, "eager", "sdpa")
# named by folders from other machines: what is not installed here fails, and what is compiled takes minutes
_OTHER_CHOICES: Final = frozenset({*(f"flash_attention_{number}" for number in (2, 3, 4)), "flex_attention"})
# of classifiers, of which as many as a file says are made anew with each copy of a config, and of what a call returns
_UNWANTED: Final = frozenset(
    {"num_labels", "id2label", "label2id", "return_dict", "output_attentions", "output_hidden_states", "torchscript"}
)
_FILE: Final = re.compile(r"\w+_file|transformers_weights")
_DEPTH: Final = 32
_NULL: Final = (None, False, "megatron.core")  # what PEFT writes where nothing is meant


@contextmanager
def vetted(folder: Path, kind: tuple[tuple[str, ...], tuple[str, ...]] = MODEL) -> Iterator[Path]:
    """A folder with the clean files, and links to the others, for as long as the `with` block.

    Raises ValueError for a file to be made clean that is not a JSON object, and OSError.
    """
    clean, whole = kind
    with tempfile.TemporaryDirectory(prefix="customspec-") as temporary:
        view = Path(temporary)
        for name in clean:
            if (folder / name).is_file():
                value, _ = _without_code(_read(folder / name))
                (view / name).write_text(json.dumps(value), encoding="utf-8")
        for path in (path for pattern in whole for path in folder.glob(pattern)):
            if kind is ADAPTER or not path.name.startswith("adapter_"):  # transformers would put it on the model
                (view / path.name).symlink_to(path.resolve())
        yield view


def code_named_in(folder: Path) -> tuple[str, ...]:
    """Each key that names code in the folder's small JSON files, as `config.json: auto_map`. Raises as `vetted`."""
    found = []
    for name in (*MODEL[0], *ADAPTER[0]):
        if (folder / name).is_file():
            _, keys = _without_code(_read(folder / name))
            found += [f"{name}: {key}" for key in sorted(set(keys))]
    return tuple(found)


def _read(path: Path) -> Any:
    try:
        value = json.loads(path.read_bytes())
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return value


def _without_code(value: Any, depth: int = 0) -> tuple[Any, list[str]]:
    """The value without what names code or a file elsewhere, and the keys that named code."""
    if depth > _DEPTH:
        raise ValueError("a configuration is nested too deeply")
    if isinstance(value, list):
        parts = [_without_code(one, depth + 1) for one in value]
        return [part for part, _ in parts], [key for _, keys in parts for key in keys]
    if not isinstance(value, dict):
        return value, []
    kept, found = {}, []
    for key, inner in value.items():
        if _names_code(key, inner):
            found.append(key)
        elif not _is_left_out(key, inner):
            kept[key], keys = _without_code(inner, depth + 1)
            found += keys
    return kept, found


def _names_code(key: str, value: Any) -> bool:
    if _CHOICE.fullmatch(key):
        known = value in _KNOWN_CHOICES or value in _OTHER_CHOICES if isinstance(value, str) else True
        return not known or isinstance(value, dict | list)
    if key == "tokenizer_class":
        return not (value is None or re.fullmatch(r"\w*(Tokenizer|TokenizerFast|Backend)", str(value)))
    return _CODE.fullmatch(key) is not None and value not in _NULL


def _is_left_out(key: str, value: Any) -> bool:
    """Whether it is of no use here. A path leads to another machine's file, or on purpose to one of this machine."""
    path = _FILE.fullmatch(key) is not None and isinstance(value, str)
    attention = _CHOICE.fullmatch(key) is not None and isinstance(value, str) and value in _OTHER_CHOICES
    return path or attention or key in _UNWANTED
