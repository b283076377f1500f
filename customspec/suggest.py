"""The name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

_CUTOFF = 0.65  # above difflib's 0.6, which takes `intent` for `text`
_LONGEST = 100  # characters: no name is longer, and to compare takes long
_SHORTEST_TYPO = 3  # below, everything is near to everything

SYNONYMS: Mapping[str, str] = MappingProxyType(
    {
        "lr": "learning_rate",
        "epochs": "num_train_epochs",
        "num_epochs": "num_train_epochs",
        "n_epochs": "num_train_epochs",
        "batch_size": "per_device_train_batch_size",
        "train_batch_size": "per_device_train_batch_size",
        "micro_batch_size": "per_device_train_batch_size",
        "grad_accum": "gradient_accumulation_steps",
        "grad_accumulation": "gradient_accumulation_steps",
        "grad_accum_steps": "gradient_accumulation_steps",
        "gradient_accumulation": "gradient_accumulation_steps",
        "accumulate_grad_batches": "gradient_accumulation_steps",
        "warmup": "warmup_steps",
        "warmup_ratio": "warmup_steps",
        "scheduler": "lr_scheduler_type",
        "lr_scheduler": "lr_scheduler_type",
        "clip_grad_norm": "max_grad_norm",
        "gradient_clipping": "max_grad_norm",
        "rank": "r",
        "lora_r": "r",
        "lora_rank": "r",
        "alpha": "lora_alpha",
        "dropout": "lora_dropout",
        "prompt_length": "num_virtual_tokens",
        "prefix_length": "num_virtual_tokens",
        "virtual_tokens": "num_virtual_tokens",
        "k": "shots",
        "n_shots": "shots",
        "num_shots": "shots",
        "num_fewshot": "shots",
        "model": "base_model",
        "dataset": "data",
        "datasets": "data",
        "val": "validation",
        "valid": "validation",
        "dev": "validation",
        "system_prompt": "system",
        "labels": "choices",
        "classes": "choices",
        "max_tokens": "max_new_tokens",
        "stop_sequences": "stop",
        "until": "stop",
        "methods": "techniques",
        "version": "customspec",
    }
)
"""What other tools and people call a key, and its name here: the same thing, so that it can be renamed."""

LIKELY: Mapping[str, str] = MappingProxyType(
    {
        "target": "answer",
        "completion": "answer",
        "input": "user",
        "instruction": "system",
        "examples": "shots",
        "min": "at_least",
        "minimum": "at_least",
        "threshold": "at_least",
        "max": "at_most",
        "maximum": "at_most",
        "model_name": "hub",
        "model_name_or_path": "hub",
        "repo_id": "hub",
        "template": "user",
        "steps": "max_steps",
    }
)
"""What else may be meant: worth a suggestion, not certain enough to be renamed."""

SUGGESTED: Mapping[str, str] = MappingProxyType({**SYNONYMS, **LIKELY})

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "acc": "accuracy",
        "em": "exact_match",
        "f1": "macro_f1",
        "f1_macro": "macro_f1",
        "f1_weighted": "weighted_f1",
        "mcc": "matthews_correlation",
        "matthews_corrcoef": "matthews_correlation",
        "ppl": "perplexity",
        "rouge": "rougeL",
        "regexp": "regex",
        "cot": "chain_of_thought",
        "icl": "few_shot",
        "finetune": "full",
        "fine_tune": "full",
        "fine_tuning": "full",
        "full_finetune": "full",
        "full_fine_tuning": "full",
        "sft": "full",
        "ptuning": "p_tuning",
    }
)
"""What techniques and metrics are called elsewhere, and their names here."""

_BY_INIT = "write `lora: {{init_lora_weights: {}}}`"
RECIPES: Mapping[str, str] = MappingProxyType(
    {
        "qlora": "write `lora`, and `quantization: {bits: 4}` beside it",
        "dora": "write `lora: {use_dora: true}`",
        "rslora": "write `lora: {use_rslora: true}`",
        **{name: _BY_INIT.format(name) for name in ("pissa", "olora", "eva")},
    }
)
"""Names of techniques that are another one here, with an option, and how it is written."""

NO_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "attn_implementation": "customspec chooses the attention by the model; a spec cannot name code",
        "trust_remote_code": "a model's own code is never run, and a spec cannot ask for it",
        "env": "a spec cannot change the environment",
        "environment": "a spec cannot change the environment",
        "plugins": "a plugin is an installed package; its techniques and metrics are named where they are used",
        "include": "a spec is one file; `--set KEY=VALUE` changes a key from the command line",
        "extends": "a spec is one file; `--set KEY=VALUE` changes a key from the command line",
        "device": "the person who runs chooses: `customspec run SPEC --device cuda`",
        "output": "a run's folder is `runs/NAME-0001` beside the spec; `--store` moves the store",
        "output_dir": "a run's folder is `runs/NAME-0001` beside the spec; `--store` moves the store",
        "resume_from": "run the same command again: what is finished is found in the store",
        "resume_from_checkpoint": "run the same command again: what is finished is found in the store",
        "optim": "the optimizer is AdamW",
        "optimizer": "the optimizer is AdamW",
        "temperature": "`generation` is greedy; a technique that samples has options of its own",
        "do_sample": "`generation` is greedy; a technique that samples has options of its own",
        "sha256": "write the path alone: a saved plan holds the digest of every file",
        "from": "each technique starts from the base model",
    }
)
"""Keys of other tools that no spec has, and what to do instead."""


def did_you_mean(nearest: str | None, otherwise: str | None = None) -> str | None:
    """The hint that names what `closest` found; another hint where it found nothing."""
    return f"did you mean `{nearest}`?" if nearest else otherwise


def closest(name: str, known: Iterable[str], synonyms: Mapping[str, str] = SUGGESTED) -> str | None:
    """The one of `known` that `name` means: spelled otherwise, by a synonym, or mistyped; None if nothing is near."""
    if len(name) > _LONGEST:
        return None
    options: dict[str, str] = {}
    for option in known:
        options.setdefault(_spelling(option), option)
    by_synonym = {_spelling(other): options.get(_spelling(meant)) for other, meant in synonyms.items()}
    meanings = {other: option for other, option in by_synonym.items() if option} | options
    spelling = _spelling(name)
    if spelling in meanings or len(spelling) < _SHORTEST_TYPO:
        return meanings.get(spelling)
    near = difflib.get_close_matches(spelling, meanings, n=1, cutoff=_CUTOFF)
    return meanings[near[0]] if near else None


def certain(name: str, known: Iterable[str], synonyms: Mapping[str, str] = SYNONYMS) -> str | None:
    """The one of `known` that `name` can only be: another spelling of it, a synonym, or one slip of the hand away."""
    options = list(known)
    spelled = {option for option in options if _spelling(option) == _spelling(name)}
    meant = {synonyms[other] for other in synonyms if _spelling(other) == _spelling(name)} & set(options)
    slipped = {option for option in options if len(name) >= _SHORTEST_TYPO and _one_slip(name, option)}
    found = spelled or meant or slipped
    return next(iter(found)) if len(found) == 1 else None


def _one_slip(one: str, other: str) -> bool:
    """Whether one letter is missing, added, changed, or swapped with its neighbour."""
    pairs = enumerate(zip(one, other, strict=False))
    start = next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))
    rest, meant = one[start:], other[start:]
    swapped = rest[:2] == meant[1::-1] and rest[2:] == meant[2:]
    return one != other and (rest[1:] == meant[1:] or rest[1:] == meant or rest == meant[1:] or swapped)


def _spelling(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "").replace(" ", "")
