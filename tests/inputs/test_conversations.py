"""Chat data: conversations as rows, and where the loss finds the earlier answers in every kind of template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from chat_styles import chat_of
from hypothesis import given, settings
from hypothesis import strategies as st

from customspec.inputs.encoding import Asking, Encoded, Encodings, OnLong, encode
from customspec.inputs.tokens import Chat
from customspec.prompts import ConversationTemplate, Example, Message, Row, TemplateError, messages
from support import CHAT_TEMPLATE

TEMPLATE = ConversationTemplate("talk")
TALK = [
    {"role": "system", "content": " Be brief. "},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": " eins\n"},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "zwei"},
    {"role": "user", "content": " And three? "},
    {"role": "assistant", "content": "drei"},
]


def turn(role: str, content: object = "text", **more: object) -> dict[str, object]:
    return {"role": role, "content": content, **more}


def render(talk: object, *, answered: bool = True) -> Example:
    return TEMPLATE.render(Row("train:1", {"talk": talk}, "train.jsonl:1"), answered=answered)


# ---------------------------------------------------------------------------------------------------------- as a row


def test_the_last_assistant_turn_is_the_answer_and_the_turn_before_it_the_question() -> None:
    example = render(TALK)
    assert (example.system, example.user, example.answer) == ("Be brief.", " And three? ", "drei")
    assert example.history == (
        Message("user", "One?"),
        Message("assistant", "eins"),
        Message("user", "Two?"),
        Message("assistant", "zwei"),
    )
    assert messages(example) == (
        Message("system", "Be brief."),
        *example.history,
        Message("user", " And three? "),
    )


def test_a_demonstration_is_a_whole_conversation_without_its_system_message() -> None:
    query = render([turn("user", "And four?"), turn("assistant", "vier")])
    shown = messages(query, [render(TALK)])
    assert [message.role for message in shown] == ["user", "assistant"] * 3 + ["user"]
    assert [message.content for message in shown][-2:] == ["drei", "And four?"]


def test_new_rows_may_end_with_the_question_and_an_answer_that_is_there_is_not_looked_at() -> None:
    assert render(TALK[:-1], answered=False) == render(TALK, answered=False)
    assert render(TALK, answered=False).answer == ""


def test_without_content_the_question_alone_is_replaced_and_the_turns_before_it_are_gone() -> None:
    assert messages(TEMPLATE.without_content(render(TALK), "N/A")) == (
        Message("system", "Be brief."),
        Message("user", "N/A"),
    )


@pytest.mark.parametrize(
    ("talk", "message"),
    [
        ("Hello", "a conversation is a list of turns, not text"),
        (None, "a conversation is a list of turns, not null"),
        ([], "the conversation has no turns"),
        (["Hello"], "turn 1 is text; a turn is an object with `role` and `content`"),
        ([turn("user"), {"role": "assistant"}], "turn 2 has no text `content`"),
        ([turn("user"), {"content": "a"}], "turn 2 has no text `role`"),
        ([turn("user"), turn("assistant", None)], "turn 2 has no text `content`"),
        ([turn("user"), turn("assistant", [{"type": "text"}])], "turn 2 has no text `content`"),
        ([turn("user"), turn("bot")], "turn 2 has the unknown role `bot`; roles: system, user, assistant"),
        ([turn("user", " \n"), turn("assistant")], "turn 1 is empty"),
        ([turn("user"), turn("assistant", "")], "turn 2 is empty"),
        ([turn("user"), turn("assistant"), turn("user")], "the last turn must be the assistant's: it is the answer"),
        ([turn("system")], "the last turn must be the assistant's: it is the answer"),
        ([turn("assistant")], "the turn before the answer must be the user's: it is the question"),
        ([turn("user"), turn("assistant"), turn("assistant")], "the turn before the answer must be the user's"),
        ([turn("user"), turn("system"), turn("assistant")], "a `system` turn is only read as the first"),
        ([turn("user"), turn("assistant", tool_calls=[])], "turn 2 has `tool_calls`, which is not read"),
    ],
)
def test_what_is_no_conversation_is_refused(talk: object, message: str) -> None:
    with pytest.raises(TemplateError) as refused:
        render(talk)
    assert message in str(refused.value)


def test_fields_without_a_value_are_no_obstacle() -> None:
    assert render([turn("user", name=None), turn("assistant", tool_calls=None)]).answer == "text"


# ---------------------------------------------------------------------------------------------- what the loss may see

CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are helpful.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HEADERS = (
    "<s>{% for m in messages %}<|head|>{{ m.role }}<|/head|>\n\n{{ m.content | trim }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|head|>assistant<|/head|>\n\n{% endif %}"
)
INST = (  # the answer follows a space, and the system message stands in the first question
    "<s>{% if messages[0].role == 'system' %}{% set told = messages[0].content ~ '\n\n' %}{% set rest = messages[1:] %}"
    "{% else %}{% set told = '' %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}{% if m.role == 'user' %}[INST] {{ (told if loop.first else '') ~ m.content }} [/INST]"
    "{% else %} {{ m.content }}</s>{% endif %}{% endfor %}"
)
THINKING = (  # the last answer is given empty thoughts, and a question invites them
    "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' and loop.last %}<think></think>{% endif %}"
    "{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|><think>{% endif %}"
)
LATE_SYSTEM = (  # the system message stands in the last question
    "{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>"
    "{% if m.role == 'user' and loop.last and messages[0].role == 'system' %}{{ messages[0].content }} {% endif %}"
    "{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
FORGETFUL = (  # of earlier answers only the last words are shown
    "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}{{ m.content.split(' ')[-1] }}"
    "{% else %}{{ m.content }}{% endif %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ENDS: Mapping[str | None, str] = {
    CHAT_TEMPLATE: "<|end|>",
    CHATML: "<|im_end|>",
    HEADERS: "<|eot|>",
    INST: "</s>",
    THINKING: "<|end|>",
    None: "\n\n",
}
NAMES = ["usual", "chatml", "headers", "inst", "thinking", "plain"]


def encoded(
    chat: Chat, example: Example, shots: Sequence[Example] = (), context: int = 4096, on_long: OnLong = "error"
) -> Encodings:
    return encode([example], Asking(lambda _: shots), chat, context=context, reserve=None, on_long=on_long)


def learned(chat: Chat, row: Encoded) -> list[str]:
    texts = [
        chat.tokenizer.decode(list(row.prompt[start:stop]), skip_special_tokens=False) for start, stop in row.learned
    ]
    return [text.removeprefix(" ") for text in texts]


@pytest.mark.parametrize(("template", "end"), ENDS.items(), ids=NAMES)
def test_the_loss_finds_every_earlier_answer_with_its_end(template: str | None, end: str, tmp_path: Path) -> None:
    chat = chat_of(tmp_path, template)
    (row,) = encoded(chat, render(TALK)).rows
    assert learned(chat, row) == [f"eins{end}", f"zwei{end}"]
    assert list(row.prompt) == chat.prompt_ids(messages(render(TALK)))
    assert list(row.answer) == chat.answer_ids("drei")


@pytest.mark.parametrize("template", ENDS, ids=NAMES)
def test_equal_answers_are_each_found_in_their_own_turn(template: str | None, tmp_path: Path) -> None:
    chat = chat_of(tmp_path, template)
    talk = [turn("user", "a"), turn("assistant", "a"), turn("user", "a a"), turn("assistant", "a"), *TALK[-2:]]
    (row,) = encoded(chat, render(talk)).rows
    (first, _), (second, _) = row.learned
    between = chat.tokenizer.decode(list(row.prompt[first:second]), skip_special_tokens=False)
    assert "a a" in between
    assert len(learned(chat, row)) == 2


@pytest.mark.parametrize("template", [LATE_SYSTEM, FORGETFUL], ids=["late system", "forgetful"])
def test_where_a_template_changes_earlier_turns_only_the_last_answer_is_learned_and_it_is_told(
    template: str, tmp_path: Path
) -> None:
    chat = chat_of(tmp_path, template)
    talk = [TALK[0], turn("user", "One?"), turn("assistant", "it is eins"), *TALK[-2:]]
    found = encoded(chat, render(talk))
    assert found.rows[0].learned == ()
    assert found.last_only == ("train:1",)


def test_answers_of_demonstrations_are_not_learned(tmp_path: Path) -> None:
    chat = chat_of(tmp_path, CHAT_TEMPLATE)
    query = render([turn("user", "a"), turn("assistant", "b"), turn("user", "c"), turn("assistant", "d")])
    (row,) = encoded(chat, query, [render(TALK)]).rows
    assert learned(chat, row) == ["b<|end|>"]
    alone = Example("train:2", None, "e", "f")
    assert encoded(chat, alone, [render(TALK)]).rows[0].learned == ()
    assert encoded(chat, alone, [render(TALK)]).last_only == ()


def test_a_conversation_that_a_technique_wrote_itself_has_no_earlier_answers(tmp_path: Path) -> None:
    chat = chat_of(tmp_path, CHAT_TEMPLATE)
    asking = Asking(converse=lambda query, shots: (Message("user", "all in one: " + query.user),))
    found = encode([render(TALK)], asking, chat, context=512, reserve=None, on_long="error")
    assert (found.rows[0].learned, found.last_only) == ((), ())


def test_of_a_long_conversation_the_earliest_turns_are_cut_first(tmp_path: Path) -> None:
    chat = chat_of(tmp_path, CHAT_TEMPLATE)
    whole = encoded(chat, render(TALK)).rows[0]
    shorter = encoded(chat, render([TALK[0], *TALK[3:]])).rows[0]
    room = len(whole.prompt) + len(whole.answer) - 1
    found = encoded(chat, render(TALK), context=room, on_long="truncate")
    assert found.cut == ("train:1",)
    assert found.rows[0].prompt == shorter.prompt
    assert learned(chat, found.rows[0]) == ["zwei<|end|>"]
    least = encoded(chat, render([TALK[0], *TALK[5:]])).rows[0]
    found = encoded(chat, render(TALK), context=len(least.prompt) + len(least.answer), on_long="truncate")
    assert (found.rows[0].prompt, found.rows[0].learned) == (least.prompt, ())


CONTENT = st.text(alphabet="ab é\n|<>🙂assistant", min_size=1, max_size=12).filter(str.strip)
TURNS = st.lists(st.tuples(CONTENT, CONTENT), min_size=1, max_size=4)


@settings(deadline=None)
@given(turns=TURNS, system=st.none() | CONTENT, kind=st.sampled_from(range(len(NAMES))))
def test_what_is_learned_is_always_the_answers(
    turns: list[tuple[str, str]], system: str | None, kind: int, chats: list[Chat]
) -> None:
    chat, end = chats[kind], list(ENDS.values())[kind]
    talk = [turn(role, text) for pair in turns for role, text in zip(("user", "assistant"), pair, strict=True)]
    (row,) = encoded(chat, render([*([turn("system", system)] if system else []), *talk])).rows
    assert learned(chat, row) == [answer.strip() + end for _, answer in turns[:-1]]


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> list[Chat]:
    return [chat_of(tmp_path_factory.mktemp("tokenizer"), template) for template in ENDS]


def test_the_columns_of_a_row_reach_the_example() -> None:
    fields: dict[str, Any] = {"talk": TALK, "why": "because"}
    assert TEMPLATE.render(Row("train:1", fields, "train.jsonl:1")).fields == fields
