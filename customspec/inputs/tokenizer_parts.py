"""How much a tokenizer.json can lengthen or shorten texts, judged by its parts: no text is tokenized."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, Final

_COMPOSED: Final = 4  # times fewer bytes has a text in its composed form; three letters of Hangul become one
# parts under which every byte of a text ends up in a token
_KEEPING: Final = frozenset({"NFC", "NFD", "Prepend", "ByteLevel", "Metaspace", "Digits"})


_NORMALIZERS: Final = frozenset(
    {
        *("NFC", "NFD", "NFKC", "NFKD", "Nmt", "Lowercase", "Strip", "StripAccents", "BertNormalizer"),
        *("Prepend", "Replace", "Precompiled", "ByteLevel"),
    }
)
_PRE_TOKENIZERS: Final = frozenset(
    {
        *("BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits", "FixedLength", "Metaspace", "Punctuation"),
        *("Split", "UnicodeScripts", "Whitespace", "WhitespaceSplit"),
    }
)
_MOST_GROWTH: Final = 128  # characters that one may become; sentencepiece's normalizers make 18 of one
_MOST_PREPENDED: Final = 64  # characters


def fault_of_parts(tokenizer: Mapping[str, Any]) -> str | None:
    """Why a tokenizer.json is not used: a part that is not known, or one that multiplies texts."""
    growth = 1
    for part in parts(tokenizer["normalizer"]):
        if part["type"] not in _NORMALIZERS:
            return f"customspec knows no normalizer {part['type']}"
        growth *= _growth(part)
    if growth > _MOST_GROWTH:
        return f"its normalizer is not used: a text may become {growth} times as long"
    for part in parts(tokenizer["pre_tokenizer"]):
        if part["type"] not in _PRE_TOKENIZERS:
            return f"customspec knows no pre-tokenizer {part['type']}"
    if tokenizer.get("model", {}).get("dropout"):
        return "its tokenizer is not used: it leaves out merges at random, so that a text is never read twice alike"
    if replaces_by_pattern(tokenizer.get("decoder")):
        return "its decoder is not used: it looks for a pattern in what a model writes"
    longer = prod(map(_growth, parts(tokenizer.get("decoder"))))
    if longer > _MOST_GROWTH:
        return f"its decoder is not used: what a model writes may become {longer} times as long"
    return None


def replaces_by_pattern(part: Mapping[str, Any] | None) -> bool:
    """Whether a normalizer or decoder looks for a regular expression, which may take for ever."""
    return any(one["type"] == "Replace" and "Regex" in one["pattern"] for one in parts(part))


def _growth(part: Mapping[str, Any]) -> int:
    """How many characters may stand for one. Forms of Unicode count as one: a second time they change nothing."""
    match part["type"]:
        case "Replace":
            found = part["pattern"].get("String")
            # a pattern may match between all characters
            return max(1, -(-len(part["content"]) // len(found))) if found else 1 + len(part["content"])
        case "ByteLevel":
            return 2
        case "Prepend":
            return 1 if len(part["prepend"]) <= _MOST_PREPENDED else len(part["prepend"])
        case "Precompiled":
            return _longest(part["precompiled_charsmap"])
    return 1


def _longest(charsmap: str) -> int:
    """The longest text, in bytes, that sentencepiece's map has for some characters: behind a trie, ended by NULs."""
    raw = b64decode(charsmap)
    trie = int.from_bytes(raw[:4], "little")
    return max(1, *map(len, raw[4 + trie :].split(b"\0")))


def widest_token(tokenizer: Mapping[str, Any]) -> int:
    """The most bytes of a text that a token stands for; 0 where text may be dropped, or a token takes any."""
    model = tokenizer["model"]
    both = (*parts(tokenizer["normalizer"]), *parts(tokenizer["pre_tokenizer"]))
    kept = all(map(_keeps, both))
    kinds = {part["type"] for part in both}
    known = model["type"] == "BPE" and _bytes_of(model, kinds) <= model["vocab"].keys()
    greedy = any(token["lstrip"] or token["rstrip"] for token in tokenizer["added_tokens"])
    if not (kept and known) or greedy:
        return 0
    texts = (*model["vocab"], *(token["content"] for token in tokenizer["added_tokens"]))
    return max(len(text.encode()) for text in texts) * (_COMPOSED if "NFC" in kinds else 1)


def parts(part: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """A normalizer, pre-tokenizer or decoder, or what a sequence holds."""
    if part is None:
        return
    if part.get("type") != "Sequence":
        yield part
        return
    for inner in part.get("normalizers") or part.get("pretokenizers") or part.get("decoders") or ():
        yield from parts(inner)


def _keeps(part: Mapping[str, Any]) -> bool:
    if part["type"] == "Replace":
        found = part["pattern"].get("String")
        return found is not None and len(part["content"].encode()) >= len(found.encode())
    return part["type"] in _KEEPING or (part["type"] in ("Split", "Punctuation") and part["behavior"] != "Removed")


def _bytes_of(model: Mapping[str, Any], kinds: set[str]) -> set[str]:
    """What must be in a vocabulary for every byte to have a token: what has none is left out in silence."""
    if model.get("byte_fallback"):
        return {f"<0x{byte:02X}>" for byte in range(256)}
    from tokenizers.pre_tokenizers import ByteLevel

    return set(ByteLevel.alphabet()) if "ByteLevel" in kinds else {""}
