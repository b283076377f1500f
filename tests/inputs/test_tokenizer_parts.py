"""How few tokens a text has at least, against its tokens."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from customspec.inputs.encoding import LONG, Asking, TooLongError, check_plainly
from customspec.inputs.tokenizer_parts import fault_of_parts
from customspec.inputs.tokens import Chat
from customspec.prompts import Example
from support import make_tokenizer

Make = Callable[[], Tokenizer]


def of_bytes(*, merges: bool = True) -> Tokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = [("a", "b"), ("ab", "ab"), ("\u0120", "\u0120")] if merges else []
    words = {text: place for place, text in enumerate([*letters, *(first + second for first, second in pairs)])}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def composed() -> Tokenizer:
    tokenizer = of_bytes()
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(" ", "__")])
    return tokenizer


def normalized(one: Any) -> Make:
    def make() -> Tokenizer:
        tokenizer = of_bytes()
        tokenizer.normalizer = one
        return tokenizer

    return make


def without_a_letter() -> Tokenizer:
    letters = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - {"x"})
    tokenizer = Tokenizer(models.BPE(vocab={text: place for place, text in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def greedy() -> Tokenizer:
    tokenizer = of_bytes()
    tokenizer.add_tokens([AddedToken("<x>", lstrip=True)])
    return tokenizer


def words() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "?": 1}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


BOUNDED: dict[str, Make] = {"bytes": of_bytes, "composed": composed, "decomposed": normalized(normalizers.NFD())}
UNBOUNDED: dict[str, Make] = {
    "drops-spaces": normalized(normalizers.Replace(" ", "")),
    "drops-by-pattern": normalized(normalizers.Strip()),
    "drops-a-letter": without_a_letter,
    "takes-spaces": greedy,
    "words": words,
}


def chat(tokenizer: Tokenizer, folder: Path) -> Chat:
    tokenizer.save(str(folder / "tokenizer.json"))
    return Chat(folder, None, {}, "\n")


@pytest.mark.parametrize("name", BOUNDED)
def test_a_text_never_has_fewer_tokens_than_said(name: str, tmp_path: Path) -> None:
    asked, draw = chat(BOUNDED[name](), tmp_path), random.Random(0)
    texts = ["ab" * 200, " " * 400, "\u1112\u1161\u11ab" * 100, "e\u0301" * 200]
    texts += ["".join(draw.choices("abx \u00e9\u4e2d\u0301\n", k=draw.randrange(300))) for _ in range(50)]
    for text in texts:
        assert asked.fewest_tokens(text) <= len(asked.encode(text))
    assert asked.fewest_tokens("ab" * 200) >= 25


@pytest.mark.parametrize("name", UNBOUNDED)
def test_of_a_tokenizer_that_may_drop_text_nothing_is_said(name: str, tmp_path: Path) -> None:
    assert chat(UNBOUNDED[name](), tmp_path).fewest_tokens("ab x" * 100) == 0


def test_a_prompt_that_cannot_fit_is_told_without_tokenizing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tokenizer(chat=False).save_pretrained(tmp_path)
    asked = Chat.load(tmp_path)

    def tokenized(*_: object, **__: object) -> list[int]:
        raise AssertionError("tokenized")

    monkeypatch.setattr(Chat, "encode", tokenized)
    check_plainly(Example("test:1", None, "x" * 500, "y"), Asking(), asked, 512)
    widest = max(len(token) for token in json.loads(asked.tokenizer.to_str())["model"]["vocab"])
    tokens = -(-(LONG + 2) // widest)
    with pytest.raises(TooLongError, match=f"row test:1 needs at least {tokens} tokens; the model's context holds 512"):
        check_plainly(Example("test:1", None, "x" * (LONG + 1), "y"), Asking(), asked, 512)


# --- what a tokenizer may make of a text


def growing(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"normalizer": {"type": "Sequence", "normalizers": list(parts)}, "pre_tokenizer": None}


def replaced(found: str, by: str, *, pattern: str = "String") -> dict[str, Any]:
    return {"type": "Replace", "pattern": {pattern: found}, "content": by}


@pytest.mark.parametrize(
    "tokenizer",
    [
        growing(*[replaced("r", "r" * 30)] * 5),
        growing(*[replaced("r", "r" * 30)] * 2),
        growing(replaced("", "r" * 200)),
        growing(replaced("x?", "r" * 200, pattern="Regex")),
        growing(*[{"type": "ByteLevel"}] * 12),
        growing({"type": "Prepend", "prepend": "x" * 100_000}),
    ],
    ids=lambda one: str(one["normalizer"]["normalizers"][0])[:30],
)
def test_a_tokenizer_that_multiplies_text_is_refused(tokenizer: dict[str, Any]) -> None:
    assert "a text may become" in str(fault_of_parts(tokenizer))


@pytest.mark.parametrize("kind", ["Magic", 5, None])
def test_a_part_that_nobody_knows_is_refused(kind: object) -> None:
    assert "knows no" in str(fault_of_parts(growing({"type": kind})))
    assert "knows no" in str(fault_of_parts({"normalizer": None, "pre_tokenizer": {"type": kind}}))


def test_the_tokenizers_of_well_known_models_are_taken() -> None:
    t5 = growing({"type": "Precompiled", "precompiled_charsmap": "AAAA"}, replaced(" {2,}", "_", pattern="Regex"))
    llama = growing({"type": "Prepend", "prepend": "\u2581"}, replaced(" ", "\u2581"))
    bert = growing({"type": "BertNormalizer"}, {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"})
    for one in (t5, llama, bert, json.loads(of_bytes().to_str()), json.loads(composed().to_str())):
        assert fault_of_parts(one) is None


def test_a_decoder_that_looks_for_a_pattern_is_refused() -> None:
    plain = {"normalizer": None, "pre_tokenizer": None}
    parts = [replaced("_", " "), {"type": "ByteFallback"}]
    assert fault_of_parts({**plain, "decoder": {"type": "Sequence", "decoders": parts}}) is None
    parts.append(replaced("(a+)+b", "", pattern="Regex"))
    assert "its decoder is not used" in str(
        fault_of_parts({**plain, "decoder": {"type": "Sequence", "decoders": parts}})
    )


def test_a_decoder_that_multiplies_what_a_model_writes_is_refused() -> None:
    plain: dict[str, Any] = {"normalizer": None, "pre_tokenizer": None, "model": {}}
    wide = {"type": "Replace", "pattern": {"String": "a"}, "content": "b" * 100}
    assert fault_of_parts({**plain, "decoder": wide}) is None
    told = fault_of_parts({**plain, "decoder": {"type": "Sequence", "decoders": [wide, {"type": "Fuse"}, wide]}})
    assert told == "its decoder is not used: what a model writes may become 10000 times as long"
