"""The prompt bundle: all that another program needs to ask as the candidate was asked, as plain JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from customspec.hookspecs import Decodes
from customspec.prompts import Example
from customspec.runners.reopened import Reopened
from customspec.runners.work import asking_of, prompting_of, settled, template_of

VERSION = 1
LOOKED = 32  # questions whose demonstrations are compared, to see whether all get the same


def bundle(opened: Reopened) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The bundle, and the pool of demonstrations where each question gets its own of them."""
    step = opened.evaluation("validation")
    work = opened.work
    params = settled(step, work)
    template = template_of(params)
    queries = template.render_all(work.rows(step.params["split"])[:LOOKED])
    train = tuple(template.render_all(work.rows("train"))) if params["prompting"] is not None else ()
    asking = asking_of(params, train, work.registry)
    shots = [tuple(asking.select(query)) for query in queries]
    own = len({tuple(shot.id for shot in each) for each in shots}) > 1
    _, chat = work.header_and_chat
    messages = asking.conversation(queries[0], shots[0])
    document = {
        "bundle": VERSION,
        "candidate": opened.key,
        "prompt": params["prompt"],
        "choices": params["choices"],
        "generation": params["generation"],
        "prompting": None if params["prompting"] is None else _named(opened.params_as_found(step)["prompting"]),
        "decoding": _decoding(opened, params),
        "shots_by_question": own,
        "shots": [] if own else [_shot_json(shot, asking.write(shot)) for shot in shots[0]],
        "example": {
            "row": queries[0].id,
            "messages": [asdict(message) for message in messages],
            "text": chat.prompt_text(messages),
            "answer": asking.write(queries[0]),
            "answer_end": chat.end,
        },
    }
    return document, [_shot_json(shot, asking.write(shot)) for shot in train] if own else []


def _named(prompting: dict[str, Any]) -> dict[str, Any]:
    return {"technique": prompting["name"], "options": prompting["options"]}


def _decoding(opened: Reopened, params: Any) -> dict[str, Any] | None:
    technique, options = prompting_of(params, opened.registry)
    sampling = technique.decoding(options) if isinstance(technique, Decodes) else None
    return None if sampling is None else asdict(sampling)


def _shot_json(shot: Example, answer: str) -> dict[str, Any]:
    history: Sequence[dict[str, Any]] = [asdict(turn) for turn in shot.history]
    return {"id": shot.id, **({"history": history} if history else {}), "user": shot.user, "answer": answer}
