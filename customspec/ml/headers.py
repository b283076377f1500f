"""The header reader, in the helper process: commands that only look never import torch.

A model that cannot be used is told as one line of JSON on stdout and exit code 1.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers import __version__ as transformers_version
from transformers.pytorch_utils import Conv1D
from transformers.utils import GENERATION_CONFIG_NAME

from customspec.errors import Code, first_line
from customspec.header import Linear, ModelHeader
from customspec.inputs.chat_errors import is_panic
from customspec.inputs.gguf import check_gguf
from customspec.inputs.models import ModelError, weight_files, weight_shapes
from customspec.inputs.unusable import ANEW, ANOTHER, ITS_OWN, SAVED, unusable
from customspec.inputs.vetting import code_named_in, vetted
from customspec.ml.gguf_once import reading_once
from customspec.ml.tokenizing import try_tokenizer
from customspec.ml.wholeness import fault_of_shapes

LONGEST = 300  # characters of a message; libraries quote what they do not like, however long
ITS_TOKENIZER = "copy tokenizer.json and tokenizer_config.json anew: they have to be those saved with these weights"
NEWER = "pip install --upgrade transformers; if it is none that a newer one knows, name another model"
UNBOUNDED = 1 << 20  # tokens; state-space models name no limit


@reading_once()
def read_header(path: Path) -> tuple[ModelHeader, PreTrainedTokenizerBase]:
    """The header and tokenizer of a .gguf file or a folder.

    Raises ModelError for what is no causal decoder, and for a folder whose weights are not all that the decoder has.
    """
    where: dict[str, Any] = {"pretrained_model_name_or_path": str(path)}
    if path.is_file():
        where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    config = _config(where)
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    tokenizer = _tokenizer(where)
    header = _header(model, config, tokenizer)
    if fault := _fault_of_tokens(tokenizer, header.vocabulary):
        raise ModelError(Code.MODEL_UNUSABLE, fault, hint=_hint_of_tokenizer(path))
    if path.is_dir():
        _check_folder(path, type(model), config)
    return header, tokenizer


def _fault_of_tokens(tokenizer: PreTrainedTokenizerBase, embedded: int) -> str | None:
    used = len(tokenizer) - len(_beyond(tokenizer, embedded))
    if used > embedded:
        return f"its tokenizer has {used} tokens, the model embeds {embedded}"
    added = tokenizer.get_added_vocab()
    last = max((number for token, number in tokenizer.get_vocab().items() if token not in added), default=0)
    return f"its tokenizer has a token of number {last}, the model embeds {embedded}" if last >= embedded else None


def _hint_of_tokenizer(path: Path) -> str:
    return ITS_TOKENIZER if path.is_dir() else ANOTHER


def _check_folder(folder: Path, kind: type[PreTrainedModel], config: PreTrainedConfig) -> None:
    """What loading the model would stumble over. Raises ModelError."""
    if fault := fault_of_shapes(kind, config, weight_shapes(folder, str(folder))):
        raise ModelError(Code.MODEL_UNUSABLE, fault, hint=ITS_OWN if fault.startswith("config.json") else SAVED)
    for shard in weight_files(folder, str(folder)):
        try:
            with safe_open(shard, framework="pt"):
                pass
        except SafetensorError as error:
            raise unusable(f"{shard.name}: {first_line(error)}", ANEW) from error
    if (folder / GENERATION_CONFIG_NAME).is_file():
        GenerationConfig.from_pretrained(folder, local_files_only=True)


def _read(source: Path) -> tuple[ModelHeader, PreTrainedTokenizerBase, tuple[str, ...]]:
    """The header, the tokenizer, and the keys that name code, of which neither library saw any."""
    try:
        if source.is_file():
            check_gguf(source)
            return *read_header(source), ()
        code = code_named_in(source)
        kind = json.loads((source / "config.json").read_bytes()).get("model_type")
        if code and kind not in CONFIG_MAPPING:
            message = f"it needs code of its own, which is never run ({code[0]}): transformers {transformers_version} "
            raise ModelError(
                Code.MODEL_CODE, f"{message} knows no architecture `{kind}`".replace("  ", " "), hint=NEWER
            )
        with vetted(source) as view:
            return *_named(read_header, view, source), code
    except ValueError as error:
        if isinstance(error, ModelError):
            raise
        raise unusable(str(error), ANEW) from error


def _named(
    read: Callable[[Path], tuple[ModelHeader, PreTrainedTokenizerBase]], view: Path, source: Path
) -> tuple[ModelHeader, PreTrainedTokenizerBase]:
    """What is read of the view; a fault names the person's own folder."""
    try:
        header, tokenizer = read(view)
    except ModelError as error:
        message = str(error).replace(str(view), str(source))
        raise ModelError(error.code, message, hint=error.hint, exit=error.exit) from error
    tokenizer.name_or_path = str(source)
    return header, tokenizer


def _beyond(tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> set[int]:
    """Added tokens that a text model has no embedding of, such as those for images of Gemma 3; none that it needs."""
    needed = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    return {id for id in tokenizer.added_tokens_decoder if id >= vocabulary and id not in needed}


def _leave_out(file: Path, tokens: set[int]) -> None:
    """Without those added tokens: a text that names one is read as plain text."""
    tokenizer = json.loads(file.read_bytes())
    tokenizer["added_tokens"] = [one for one in tokenizer.get("added_tokens") or () if one["id"] not in tokens]
    file.write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")


def _config(where: dict[str, Any]) -> PreTrainedConfig:
    try:
        config = AutoConfig.from_pretrained(**where, trust_remote_code=False, local_files_only=True)
    except StrictDataclassError as error:  # its last line says which of config.json's values, and why
        reason = re.sub(r"^\w+Error: ", "", str(error).strip().splitlines()[-1].strip())
        raise unusable(reason, ITS_OWN) from error
    except (OSError, ValueError) as error:
        reason, hint = first_line(error), ANOTHER
        if unknown := re.search(r"model type `(\w+)` but Transformers does not", reason):
            reason, hint = f"transformers {transformers_version} knows no architecture `{unknown[1]}`", NEWER
        raise unusable(reason, hint) from error
    _check_kind(config)
    return cast(PreTrainedConfig, config)


def _check_kind(config: PreTrainedConfig) -> None:
    """Raises ModelError for what is no causal decoder."""
    named = (config.architectures or ["?"])[0]
    encoder = type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False)
    decoder = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and not config.is_encoder_decoder and not encoder
    what, hint = named, "name one whose config.json says `…ForCausalLM` under `architectures`"
    if named == "?" or named.endswith(("ForCausalLM", "LMHeadModel")):
        if decoder:
            return
        what, hint = _odd_kind(config), ANOTHER if named == "?" else f"its `architectures` says {named}: {ITS_OWN}"
    message = f"{what} is no causal decoder; format 1 of the spec speaks of causal decoders only"
    raise ModelError(Code.MODEL_KIND, message, hint=hint)


def _odd_kind(config: PreTrainedConfig) -> str:
    """What makes it another kind of model, whatever its architecture is called."""
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and config.is_encoder_decoder:
        return "what has `is_encoder_decoder: true` in config.json"
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return f"what has `model_type: {config.model_type}` in config.json, without `is_decoder: true`,"
    return f"what has `model_type: {config.model_type}` in config.json"


def _tokenizer(where: dict[str, Any]) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(**where, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # tokenizers raises nothing more special
        reason = _said(error)
        if "backend tokenizer" in reason:  # its first line ends before the reasons, which are about installing packages
            reason = "the folder holds no tokenizer.json and nothing to make one of"
        hint = ANOTHER if "gguf_file" in where else ITS_TOKENIZER
        raise unusable(f"no usable tokenizer: {reason}", hint) from error
    if tokenizer.eos_token is None:
        hint = ANOTHER if "gguf_file" in where else "write its `eos_token` in tokenizer_config.json"
        raise unusable("its tokenizer names no end-of-sequence token", hint)
    return cast(PreTrainedTokenizerBase, tokenizer)


def _header(model: PreTrainedModel, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> ModelHeader:
    text = config.get_text_config()
    plain = json.loads(config.to_json_string(use_diff=False))
    plain.pop("_name_or_path", None)  # where it lies on this machine is no part of what it is
    head = model.get_output_embeddings()
    linears = [
        _linear(name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    ]
    limit = getattr(text, "max_position_embeddings", None) or getattr(text, "n_positions", None)
    return ModelHeader(
        architecture=type(model).__name__,
        model_type=config.model_type,
        context_length=int(limit or min(tokenizer.model_max_length, UNBOUNDED)),
        vocabulary=cast(torch.nn.Embedding, model.get_input_embeddings()).weight.shape[0],
        hidden_size=int(text.hidden_size),
        layers=int(text.num_hidden_layers),
        parameters={name: tuple(parameter.shape) for name, parameter in model.named_parameters()},
        linears=tuple(linears),
        config=plain,
    )


def _linear(name: str, module: torch.nn.Linear | Conv1D) -> Linear:
    first, second = module.weight.shape
    if isinstance(module, Conv1D):
        return Linear(name, first, second, transposed=True)
    return Linear(name, second, first)


def _said(error: BaseException) -> str:
    """What a library says; where it says it to programs more than to people, the kind of error as well."""
    plain = isinstance(error, OSError | ValueError | ImportError) or type(error) is Exception
    return first_line(error) if plain else f"{type(error).__name__}: {first_line(error)}"


def _refuse(error: ModelError) -> int:
    message = str(error) if len(str(error)) <= LONGEST else str(error)[:LONGEST] + "…"
    sys.stdout.write(
        json.dumps({"code": error.code, "message": message, "hint": error.hint, "exit": error.exit}) + "\n"
    )
    return 1


def _write(source: Path, target: Path) -> None:
    header, tokenizer, code = _read(source)
    tokenizer.save_pretrained(target)
    if not (target / "tokenizer.json").is_file():
        raise unusable("its tokenizer cannot be written as tokenizer.json", ANOTHER)
    if beyond := _beyond(tokenizer, header.vocabulary):
        _leave_out(target / "tokenizer.json", beyond)
    try_tokenizer(target / "tokenizer.json")
    known = {"header": header.to_json(), "code": code}
    (target / "header.json").write_text(json.dumps(known), encoding="utf-8")


def main(source: str, target: str) -> int:
    """Write the header and tokenizer of `source` into the folder `target`; 1 and a line of JSON when it cannot be."""
    try:
        _write(Path(source), Path(target))
    except ModelError as error:
        return _refuse(error)
    except MemoryError:
        return _refuse(ModelError(Code.MODEL_UNUSABLE, "it cannot be read: it asks for too much memory"))
    except BaseException as error:  # libraries raise what a stranger's numbers happen to lead to
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        return _refuse(ModelError(Code.MODEL_UNUSABLE, f"transformers cannot use it: {_said(error)}"))
    return 0
