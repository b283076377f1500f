"""`customspec show SPEC`: some rows as the model sees them: text, tokens, and what the loss sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from customspec.cli.options import choice_options, device_option, json_option, spec_argument, store_option
from customspec.cli.output import show_json
from customspec.cli.places import store_root
from customspec.cli.planning import make_plan
from customspec.compiler.candidates import Ready
from customspec.compiler.fitting import is_fitted
from customspec.compiler.lengths import reserve_for
from customspec.errors import Exit, UsageError
from customspec.inputs.encoding import Encoded, encode
from customspec.inputs.models import Unresolved
from customspec.inputs.tokens import Chat
from customspec.machine import detect
from customspec.report.logs import tell
from customspec.report.text import escape
from customspec.spec import Spec


@click.command("show")
@spec_argument
@choice_options
@device_option
@store_option
@click.option("--rows", type=click.IntRange(1), default=1, show_default=True, help="How many rows of each candidate.")
@click.option("--split", type=click.Choice(["train", "validation", "test"]), default="test", show_default=True)
@json_option
def command(
    spec: Path, store: Path | None, device: str, rows: int, split: str, *, as_json: bool, **choices: Any
) -> int:
    """Show rendered prompts and tokens of some rows, with what the loss sees."""
    compiled = make_plan(spec, store_root(spec, store), detect(device), **choices)
    shown = [row for ready in compiled.ready for row in _rows(ready, compiled.spec, split, rows)]
    if as_json:
        show_json(shown)
        return Exit.DONE
    for row in shown:
        _print(row)
    return Exit.DONE


def _rows(ready: Ready, spec: Spec, split: str, count: int) -> Iterator[dict[str, Any]]:
    if isinstance(ready.model, Unresolved):
        raise UsageError(f"{ready.model.label} is not in the local cache; `customspec run` fetches it")
    if is_fitted(ready.draft):
        tell(f"{ready.key}: its prompt is fitted in a run; shown is that of its options as given")
    examples = ready.rendered.examples.get(split, ())
    if not examples:
        raise UsageError(f"there are no {split} rows")
    chat = ready.model.chat
    with ready.contained():
        encoded = encode(
            examples[:count],
            ready.asking,
            chat,
            context=ready.model.known.header.context_length,
            reserve=None if split == "train" else reserve_for(ready, chat),
            on_long=spec.data.on_long,
        )
    for id in encoded.dropped:
        tell(f"{ready.key}, row {id}: dropped, longer than the model's context")
    for id in encoded.last_only:
        tell(f"{ready.key}, row {id}: the chat template changes earlier turns; the loss sees the last")
    for row in encoded.rows:
        yield _row(ready, row, chat)


def _row(ready: Ready, row: Encoded, chat: Chat) -> dict[str, Any]:
    with ready.contained():
        answer = ready.asking.write(row.example)
    return {
        "candidate": ready.key,
        "row": row.example.id,
        "prompt": chat.tokenizer.decode(list(row.prompt), skip_special_tokens=False),
        "answer": answer + chat.end,
        "prompt_tokens": len(row.prompt),
        "prompt_ids": list(row.prompt),
        "answer_ids": list(row.answer),
        "answer_pieces": chat.pieces(row.answer),
        "learned": [list(span) for span in row.learned],
        "learned_pieces": [chat.pieces(row.prompt[start:stop]) for start, stop in row.learned],
        "scored": ready.generation is None,
        "choices": None if ready.rendered.choices is None else list(ready.rendered.choices),
    }


def _print(row: dict[str, Any]) -> None:
    click.secho(f"── {row['candidate']}, row {row['row']}: {row['prompt_tokens']} prompt tokens", bold=True)
    click.echo("\n".join(escape(line) for line in row["prompt"].splitlines()))
    counted = "the loss sees, and scoring counts," if row["scored"] else "the loss sees"
    click.echo(f"{counted} {len(row['answer_ids'])} answer tokens: {_marked(row['answer_pieces'])}")
    for pieces in row["learned_pieces"]:
        click.echo(f"in training the loss sees {len(pieces)} tokens of an earlier answer as well: {_marked(pieces)}")
    if row["choices"]:
        click.echo(f"one of {len(row['choices'])} choices: {', '.join(map(escape, row['choices']))}")
    click.echo()


def _marked(pieces: Sequence[str]) -> str:
    return " ".join(f"⟨{escape(piece)}⟩" for piece in pieces)
