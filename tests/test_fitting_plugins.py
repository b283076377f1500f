"""What a technique's `fit` is given and may give: what the scorer says, the options found, and its mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support import Ended, Workspace, run

Command = Callable[..., Ended]
Install = Callable[..., None]


ASKER = """
from customspec.hookspecs import hookimpl
from customspec.spec import PromptingOptions
from pydantic import Field


class AskerOptions(PromptingOptions):
    shots: int = 0
    scores: tuple[float, ...] = Field((), strict=False)


class Asker:
    name, family, options = "asker", "prompting", AskerOptions
    summary = "Says what the scorer says."

    def shots(self, options):
        return options.shots

    def select(self, options, rows, seed):
        return lambda query: [row for row in rows if row.id != query.id][: options.shots]

    def written(self, options, example):
        return f"So: {example.answer}"

    def fit(self, options, rows, scorer, seed):
        FIT


@hookimpl
def customspec_techniques():
    return [Asker()]
"""


def asker(fit: str) -> str:
    return ASKER.replace("FIT", fit)


def reference(folder: Path, rows: list[dict[str, str]], queries: int, shots: int) -> list[float]:
    """Log-likelihoods by transformers alone, one row after another."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(folder).float().eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    found = []
    for query in rows[:queries]:
        turns = [{"role": "system", "content": "Say whether the colour is warm or cold."}]
        for shot in [row for row in rows if row is not query][:shots]:
            turns.append({"role": "user", "content": shot["text"]})
            turns.append({"role": "assistant", "content": f"So: {shot['label']}"})
        turns.append({"role": "user", "content": query["text"]})
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        before = tokenizer(text, add_special_tokens=False)["input_ids"]
        answer = tokenizer(f"So: {query['label']}<|end|>", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([[*before, *answer]])).logits[0]
        likely = logits.log_softmax(-1)[len(before) - 1 : -1]
        found.append(float(likely.gather(1, torch.tensor(answer)[:, None]).sum()))
    return found


def test_the_scorer_says_how_likely_each_answer_is(workspace: Workspace, customspec: Command, install: Install) -> None:
    install("acme-asker", "asker", asker('return {"scores": [*scorer({"shots": 2}, rows[:3]), *scorer({}, rows[:2])]}'))
    document = run(customspec, workspace.spec("techniques: [{asker: {shots: 1}}]"))
    fit = document["candidates"][0]["fit"]
    rows = [json.loads(line) for line in (workspace.root / "train.jsonl").read_text().splitlines()]
    folder = workspace.root / "model"
    by_hand = [*reference(folder, rows, 3, 2), *reference(folder, rows, 2, 1)]
    # in bfloat16, where the machine computes in it, to two or three digits
    close = 1e-4 if document["environment"]["compute_dtype"] == "float32" else 0.05
    assert fit["options"]["scores"] == pytest.approx(by_hand, rel=close)
    assert fit["scored"] == 5


NAMED = """
from customspec.hookspecs import hookimpl
from customspec_prompting.few_shot import FewShot


class Named(FewShot):
    name, summary = "named", "Rows that were found."

    def fit(self, options, rows, scorer, seed):
        scorer({"select": "fixed", "rows": [2]}, rows[:1])
        return {"select": "fixed", "rows": [3, 1]}


@hookimpl
def customspec_techniques():
    return [Named()]
"""


def test_what_is_as_by_default_was_not_written_when_a_fit_is_looked_at(
    workspace: Workspace, customspec: Command, install: Install
) -> None:
    install("acme-named", "named", NAMED)
    ended = customspec("run", workspace.spec("techniques: [named, {id: six, named: {shots: 6}}]"), "--json")
    named, six = ended.json["candidates"]
    assert named["fit"]["options"] == {"select": "fixed", "rows": [3, 1]}
    assert six["reason"].endswith("options that it refuses itself: `select: fixed` shows exactly the `rows`")


# ------------------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        ('raise RuntimeError("no such thing")', "RuntimeError: no such thing"),
        ('return {"shot": 2}', "`fit` gives `shot`: Extra inputs are not permitted"),
        (
            'return {"scores": scorer({"shots": "2"}, rows)}',
            "the scorer is asked about `shots`: Input should be a valid in",
        ),
    ],
)
def test_a_fit_that_fails_is_the_plugins_fault_and_others_go_on(
    workspace: Workspace, customspec: Command, install: Install, fit: str, message: str
) -> None:
    install("acme-asker", "asker", asker(fit))
    ended = customspec("run", workspace.spec("techniques: [asker, zero_shot]"), "--limit", "2", "--json")
    assert ended.code == 1
    asked, bare = ended.json["candidates"]
    assert (asked["status"], bare["status"]) == ("failed", "done")
    assert asked["reason"].startswith(f"plugin acme-asker 1.0: technique `asker`: {message}")
