"""The rules for a prompting technique's optional methods: what it shows, writes, samples and reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from customspec.hookspecs import Converses, Decodes, Reading, Reads, ReadsColumns, ReadsFiles, Sampling, Writes
from customspec.inputs.encoding import Asking
from customspec.prompts import Example, Message
from customspec.testing.checks import Check, require
from customspec.testing.rows import ANSWERS, SEED, examples, in_conversation, outputs_for, queries
from customspec.testing.subject import Subject

ROLES = ("system", "user", "assistant")
Rule = Callable[[Any, Subject], None]


def conversing_checks(subject: Subject) -> Iterator[Check]:
    """A rule for each method that the technique has."""
    for method, (protocol, sentence, rule) in RULES.items():
        if isinstance(subject.technique, protocol):
            yield Check(method, sentence, partial(rule, subject.technique, subject))


def _columns(technique: ReadsColumns, subject: Subject) -> None:
    _named(technique.columns(subject.options), subject)


def _files(technique: ReadsFiles, subject: Subject) -> None:
    _named(technique.files(subject.options), subject)


def _named(names: Mapping[str, str], subject: Subject) -> None:
    for option, name in names.items():
        require(option in type(subject.options).model_fields, f"`{option}` is none of the options")
        require(isinstance(name, str) and name, f"`{option}` names {name!r}")


def _written(technique: Writes, subject: Subject) -> None:
    # rows to evaluate on need not have the technique's own columns
    for row in (*subject.training(), *examples(3, split="test")):
        text = technique.written(subject.options, row)
        require(isinstance(text, str) and text.strip(), f"{text!r} is written for {row.id}")
        require(text == technique.written(subject.options, row), f"two different texts are written for {row.id}")
        if isinstance(technique, Reads):
            for choices in (None, ANSWERS):
                found = technique.read(subject.options, [text], choices).prediction
                problem = f"{found!r} is read out of {text!r}, which is written for the answer {row.answer!r}"
                require(found == row.answer, problem)


def _messages(_: Converses, subject: Subject) -> None:
    rows = subject.training()
    asking = Asking.of(subject.prompting, subject.options, rows, SEED)  # type: ignore[arg-type]  # their base is a rule
    for query in (*queries(rows), *map(in_conversation, queries(rows))):
        conversation = asking.conversation(query, asking.select(query))
        _check_turns(conversation, query)
        again = asking.conversation(query, asking.select(query))
        require(tuple(conversation) == tuple(again), f"two different conversations ask {query.id}")
        blind = replace(query, answer="", fields={"text": query.user})
        unknown = asking.conversation(blind, asking.select(query))
        require(tuple(conversation) == tuple(unknown), f"the conversation that asks {query.id} depends on its answer")


def _check_turns(conversation: Any, query: Example) -> None:
    turns = (
        isinstance(conversation, tuple | list)
        and conversation
        and all(isinstance(turn, Message) for turn in conversation)
    )
    require(turns, f"{conversation!r} is no conversation: `Message`s, one at least")
    roles = [turn.role for turn in conversation]
    strange = [role for role in roles if role not in ROLES]
    require(not strange, f"unknown roles: {', '.join(map(str, strange))}")
    require(all(isinstance(turn.content, str) for turn in conversation), f"a turn of {query.id} has no text")
    require(roles[-1] == "user", f"the last turn that asks {query.id} is the {roles[-1]}'s, not the user's")
    require("system" not in roles[1:], f"a system message of {query.id} is not the first")


def _decoding(technique: Decodes, subject: Subject) -> None:
    sampling = technique.decoding(subject.options)
    if sampling is None:
        return
    require(isinstance(sampling, Sampling), f"{sampling!r} is no `Sampling`")
    whole = isinstance(sampling.samples, int) and sampling.samples >= 1
    require(whole, f"`samples` is {sampling.samples!r}; it must be 1 or more")
    warm = math.isfinite(sampling.temperature) and sampling.temperature >= 0
    require(warm, f"`temperature` is {sampling.temperature}; it must be 0 or more")
    require(0 < sampling.top_p <= 1, f"`top_p` is {sampling.top_p}; it must be above 0 and at most 1")
    limit = sampling.max_new_tokens
    require(limit is None or limit >= 1, f"`max_new_tokens` is {limit}; it must be 1 or more")
    if sampling.samples > 1:
        require(sampling.temperature > 0, f"{sampling.samples} samples at temperature 0 are all the same")
        require(isinstance(technique, Reads), f"{sampling.samples} samples, and no `read` to make one answer of them")


def _read(technique: Reads, subject: Subject) -> None:
    for outputs in outputs_for(technique, subject.options):
        for choices in (None, ANSWERS):
            reading = technique.read(subject.options, outputs, choices)
            _check_reading(reading, f"for {list(outputs)}")
            counted = sum(reading.votes.values()) + reading.unread
            require(counted == len(outputs), f"votes and unread texts are {counted} for {list(outputs)}")
            chosen = choices is None or reading.prediction in ("", *choices)
            require(chosen, f"{reading.prediction!r} is none of the choices, for {list(outputs)}")


def _check_reading(reading: Any, where: str) -> None:
    require(isinstance(reading, Reading), f"{reading!r} is no `Reading`, {where}")
    prediction, votes = reading.prediction, reading.votes
    require(isinstance(prediction, str), f"the prediction is {prediction!r}, {where}")
    most = max(votes.values(), default=0)
    require(
        bool(prediction) == bool(votes), f"the prediction is {prediction!r} with {len(votes)} answers read, {where}"
    )
    require(votes.get(prediction, 0) == most, f"{prediction!r} has not the most votes, {where}")
    tied = sum(count == most for count in votes.values()) > 1
    require(reading.tie is tied, f"`tie` is {reading.tie!r} with the votes {dict(votes)}, {where}")


RULES: Mapping[str, tuple[type, str, Rule]] = {
    "columns": (ReadsColumns, "The columns that it needs are named by options that it has.", _columns),
    "files": (ReadsFiles, "The files that it needs are named by options that it has.", _files),
    "written": (Writes, "What it writes for a row is one text, and is read back as the row's answer.", _written),
    "messages": (Converses, "A conversation ends with the user's turn and does not depend on the answer.", _messages),
    "decoding": (Decodes, "It samples as can be done: more than one text only above temperature 0.", _decoding),
    "read": (Reads, "Whatever was generated, it reads a choice, an answer or nothing, and counts the votes.", _read),
}
