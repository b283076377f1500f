"""Rows that fit the context, and what happens to those that don't."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from chat_styles import chat_of
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers

from customspec.inputs.chat_errors import ChatError
from customspec.inputs.encoding import Asking, Encoded, Encodings, OnLong, TooLongError, encode, no_shots, surely_fit
from customspec.inputs.tokens import Chat
from customspec.prompts import Example, Message, messages
from support import CHAT_TEMPLATE

TEXT = st.text(max_size=12) | st.text(alphabet="ab é\n<|end|>🙂ﷺ\ufb2c", max_size=30)
EXAMPLE = st.builds(Example, id=st.just("q"), system=st.none() | TEXT, user=TEXT, answer=st.text("abé", max_size=5))
SHOTS = st.lists(st.builds(Example, id=st.just("s"), system=st.none(), user=TEXT, answer=TEXT), max_size=3)
SHOT = Example("shot", None, "one?", "eins")


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Chat:
    return chat_of(tmp_path_factory.mktemp("tokenizer"), CHAT_TEMPLATE)


@pytest.fixture(scope="module")
def chats(chat: Chat, tmp_path_factory: pytest.TempPathFactory) -> list[Chat]:
    """With a template, without one, with one that says everything twice in JSON, with a normalizer that grows texts."""
    twice = "äöü{% for m in messages * 2 %}{{ m | tojson(indent=8) }}<|end|>{% endfor %}"
    growing = Tokenizer.from_str(chat.tokenizer.to_str())
    growing.normalizer = normalizers.NFKC()
    grown = shutil.copytree(chat.folder, tmp_path_factory.mktemp("tokenizer") / "grown")
    growing.save(str(grown / "tokenizer.json"))
    return [
        chat,
        chat_of(tmp_path_factory.mktemp("tokenizer"), None),
        chat_of(tmp_path_factory.mktemp("tokenizer"), twice),
        Chat.load(grown),
    ]


def example(id: str, user: str, answer: str = "warm") -> Example:
    return Example(id, None, user, answer)


def run(
    chat: Chat,
    examples: Sequence[Example],
    context: int,
    on_long: OnLong,
    reserve: int | None = None,
    shots: Sequence[Example] = (),
) -> Encodings:
    return encode(examples, Asking(lambda _: shots), chat, context=context, reserve=reserve, on_long=on_long)


def needed(chat: Chat, query: Example, shots: Sequence[Example] = ()) -> int:
    return len(chat.prompt_ids(messages(query, shots))) + len(chat.answer_ids(query.answer))


def test_a_row_is_its_prompt_and_its_answer_as_tokens(chat: Chat) -> None:
    query = Example("train:1", "s", "a?", "b")
    encoded = encode([query], Asking(lambda _: [SHOT]), chat, context=512, reserve=None, on_long="error")
    expected = Encoded(query, tuple(chat.prompt_ids(messages(query, [SHOT]))), tuple(chat.answer_ids("b")))
    assert encoded == Encodings((expected,))


def test_each_row_gets_the_demonstrations_that_are_selected_for_it(chat: Chat) -> None:
    rows = [example("1", "a"), example("2", "b")]
    asking = Asking(lambda row: [SHOT] if row.id == "2" else [])
    encoded = encode(rows, asking, chat, context=512, reserve=None, on_long="error")
    assert [chat.decode(row.prompt) for row in encoded.rows] == ["a\n", "one?\neins\nb\n"]


@pytest.mark.parametrize("on_long", ["error", "truncate", "drop"])
def test_a_row_that_fits_exactly_is_left_as_it_is(chat: Chat, on_long: OnLong) -> None:
    query = example("1", "hello")
    fitting = run(chat, [query], needed(chat, query), on_long)
    assert fitting == run(chat, [query], 512, "error")
    assert (fitting.dropped, fitting.cut) == ((), ())


def test_the_first_row_that_does_not_fit_is_named_with_its_length(chat: Chat) -> None:
    short, long = example("test:1", "a"), example("test:2", "a" * 50)
    tokens = needed(chat, long)
    with pytest.raises(TooLongError) as caught:
        run(chat, [short, long, example("test:3", "a" * 90)], tokens - 1, "error")
    assert caught.value.id == "test:2"
    assert str(caught.value) == f"row test:2 needs {tokens} tokens; the model's context holds {tokens - 1}"


def test_the_reserve_counts_instead_of_the_answer(chat: Chat) -> None:
    query = example("1", "hello", answer="a very long answer that is never shown")
    prompt = len(chat.prompt_ids(messages(query)))
    assert len(run(chat, [query], prompt + 3, "error", reserve=3).rows) == 1
    with pytest.raises(TooLongError, match=f"needs {prompt + 3} tokens; the model's context holds {prompt + 2}"):
        run(chat, [query], prompt + 2, "error", reserve=3)


def test_dropped_rows_are_told_and_the_others_keep_their_order(chat: Chat) -> None:
    rows = [example("1", "a"), example("2", "a" * 99), example("3", "b"), example("4", "a" * 98)]
    encoded = run(chat, rows, 60, "drop")
    assert [row.example.id for row in encoded.rows] == ["1", "3"]
    assert (encoded.dropped, encoded.cut) == (("2", "4"), ())


def test_cutting_takes_the_demonstrations_first_and_the_earliest_of_them(chat: Chat) -> None:
    shots = [replace(SHOT, user="first?"), replace(SHOT, user="second?"), replace(SHOT, user="third?")]
    query = example("1", "the whole question")
    encoded = run(chat, [query], needed(chat, query, shots[1:]), "truncate", shots=shots)
    assert encoded.rows[0].prompt == tuple(chat.prompt_ids(messages(query, shots[1:])))
    assert encoded.cut == ("1",)
    encoded = run(chat, [query], needed(chat, query), "truncate", shots=shots)
    assert encoded.rows[0].prompt == tuple(chat.prompt_ids(messages(query)))


def test_a_cut_prompt_keeps_the_system_message_and_the_templates_marks(chat: Chat) -> None:
    query = Example("1", "be brief", "abcdefgh", "w")
    row = run(chat, [query], needed(chat, query) - 3, "truncate").rows[0]
    assert chat.tokenizer.decode(list(row.prompt), skip_special_tokens=False) == (
        "<|system|>be brief<|end|>\n<|user|>abcde<|end|>\n<|assistant|>"
    )


def test_a_row_whose_answer_alone_does_not_fit_is_dropped_even_when_cutting(chat: Chat) -> None:
    query = example("1", "a", answer="a" * 50)
    encoded = run(chat, [query], 40, "truncate", shots=[SHOT])
    assert (encoded.rows, encoded.dropped, encoded.cut) == ((), ("1",), ())


def best_by_trying(query: Example, shots: Sequence[Example], chat: Chat, room: int) -> tuple[int, ...] | None:
    """Every prompt that may be made of a row, from the longest to the shortest: the first that fits."""
    tries = [(query, shots[start:]) for start in range(len(shots) + 1)]
    tries += [(replace(query, user=query.user[:end]), ()) for end in range(len(query.user) - 1, -1, -1)]
    prompts = (tuple(chat.prompt_ids(messages(*one))) for one in tries)
    return next((prompt for prompt in prompts if len(prompt) <= room), None)


@settings(derandomize=True, deadline=None)
@given(EXAMPLE, SHOTS, st.integers(1, 80), st.none() | st.integers(0, 10))
def test_a_cut_row_is_the_longest_that_fits_and_its_answer_is_whole(
    chat: Chat, query: Example, shots: list[Example], context: int, reserve: int | None
) -> None:
    answer = tuple(chat.answer_ids(query.answer))
    room = context - (len(answer) if reserve is None else reserve)
    expected = best_by_trying(query, shots, chat, room)
    encoded = run(chat, [query], context, "truncate", reserve, shots)
    if expected is None:
        assert encoded == Encodings((), dropped=("q",))
    else:
        whole = expected == tuple(chat.prompt_ids(messages(query, shots)))
        assert encoded == Encodings((Encoded(query, expected, answer),), cut=() if whole else ("q",))


@settings(derandomize=True, deadline=None)
@given(EXAMPLE, SHOTS, st.integers(1, 200))
def test_error_drop_and_truncate_agree_on_what_fits(
    chat: Chat, query: Example, shots: list[Example], context: int
) -> None:
    dropped = run(chat, [query], context, "drop", shots=shots)
    cut = run(chat, [query], context, "truncate", shots=shots)
    fits = needed(chat, query, shots) <= context
    assert bool(dropped.rows) == fits
    assert (cut.rows == dropped.rows and not cut.cut) if fits else (cut.cut or cut.dropped) == ("q",)
    if not fits:
        with pytest.raises(TooLongError):
            run(chat, [query], context, "error", shots=shots)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(EXAMPLE, SHOTS, st.integers(0, 3))
def test_what_surely_fits_does_fit(chats: list[Chat], query: Example, shots: list[Example], which: int) -> None:
    chat = chats[which]
    conversation = messages(query, shots)
    exact = len(chat.prompt_ids(conversation))
    assert surely_fit([conversation], chat, [exact - 1]) == [False]
    assert chat.most_tokens(query.answer + chat.end) >= len(chat.answer_ids(query.answer))


def test_a_short_prompt_surely_fits_a_usual_context(chat: Chat) -> None:
    assert surely_fit([(Message("user", "hello"),)], chat, [64]) == [True]


class Requests:
    """How many requests go to the process that fills templates, and of how many rows."""

    def __init__(self, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[int] = []
        assert chat.template is not None
        ask = chat.template._runner.ask

        def counting(kind: str, source: str, rows: Sequence[Any], cpu: float, **options: Any) -> dict[str, Any]:
            self.rows.append(len(rows))
            return ask(kind, source, rows, cpu, **options)

        monkeypatch.setattr(chat.template._runner, "ask", counting)


def test_prompts_are_filled_256_in_a_request(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [example(str(n), f"question {n}") for n in range(600)]
    expected = [run(chat, [row], 512, "error").rows[0] for row in rows]
    requests = Requests(chat, monkeypatch)
    assert list(run(chat, rows, 512, "error").rows) == expected
    assert requests.rows == [256, 256, 88]


def test_long_conversations_are_filled_few_at_a_time(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = Requests(chat, monkeypatch)
    texts = chat.prompt_texts([(Message("user", "a" * 400_000),)] * 5)
    assert [isinstance(text, str) and text.count("a") > 400_000 for text in texts] == [True] * 5
    assert requests.rows == [2, 2, 1]


def test_what_a_template_refuses_is_told_of_the_row_alone(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    picky = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{% if 'bad' in m.content %}{{ raise_exception('bad word') }}{% endif %}{{ m.content }}|{% endfor %}"
    )
    chat = chat_of(tmp_path_factory.mktemp("tokenizer"), picky)
    conversations = [
        messages(Example("1", system, user, "")) for system in (None, "brief") for user in ("a", "bad", "b")
    ]
    requests = Requests(chat, monkeypatch)
    found = chat.prompt_texts(conversations)
    assert requests.rows == [6, 3]
    assert [text if isinstance(text, str) else None for text in found] == [
        "a|",
        None,
        "b|",
        "brief\n\na|",
        None,
        "brief\n\nb|",
    ]
    for conversation, text in zip(conversations, found, strict=True):
        if isinstance(text, ChatError):
            assert str(text) == "the model's chat template refuses the conversation: bad word"
            with pytest.raises(ChatError, match="bad word"):
                chat.prompt_text(conversation)
        else:
            assert chat.prompt_text(conversation) == text


def test_a_row_at_a_limit_of_templates_is_told_of_the_row_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    huge = (
        "{% for m in messages %}{% if m.content == 'huge' %}{{ 'x' * 5000000 }}{% endif %}{{ m.content }}{% endfor %}"
    )
    chat = chat_of(tmp_path_factory.mktemp("tokenizer"), huge)
    found = chat.prompt_texts([(Message("user", text),) for text in ("a", "huge", "b")])
    assert (found[0], found[2]) == ("a", "b")
    assert "is refused: it writes more text" in str(found[1])


def test_texts_are_tokenized_together_as_they_are_alone(chats: list[Chat]) -> None:
    texts = ["", "ab é\n", "<|end|>🙂", "a" * 300, "\ufb2cﷺ"]
    for chat in chats:
        for special in (False, True):
            assert chat.encode_all(texts, special=special) == [chat.encode(text, special=special) for text in texts]


def test_without_a_prompting_technique_there_are_no_demonstrations() -> None:
    assert list(no_shots(SHOT)) == []
