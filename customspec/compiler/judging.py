"""Whether the training rows have what a tuning technique's own loss looks at: its columns, and its texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from customspec.compiler.demonstrations import check_column
from customspec.compiler.entries import Draft, blaming_plugin, tuning_of
from customspec.compiler.problems import Problems
from customspec.compiler.prompting import Rendered
from customspec.errors import Code
from customspec.hookspecs import Judging, ReadsColumns, TuningTechnique
from customspec.prompts import Example, Row
from customspec.spec import TrainingOptions


def check_judging(draft: Draft, rendered: Rendered, train: Sequence[Row] | None, problems: Problems) -> None:
    """`train` is None while the rows are not there."""
    tuning = tuning_of(draft)
    if tuning is None or not train:
        return
    technique, options = tuning
    before = len(problems)
    with blaming_plugin(draft.main):
        for option, column in (technique.columns(options) if isinstance(technique, ReadsColumns) else {}).items():
            check_column(column, (*draft.main.at, option), rendered.examples["train"], problems)
        if isinstance(technique, Judging) and len(problems) == before:
            texts = (tuple(technique.texts(options, example)) for example in rendered.examples["train"])
            _check_texts(texts, draft, train, problems)


def own_texts(technique: TuningTechnique, options: TrainingOptions, rows: Sequence[Example]) -> set[str] | None:
    """All texts that training may put behind a row's prompt; None: each row's own answer."""
    if not isinstance(technique, Judging):
        return None
    return {text for row in rows for text in technique.texts(options, row)}


def _check_texts(
    texts_of_rows: Iterable[tuple[str, ...]], draft: Draft, rows: Sequence[Row], problems: Problems
) -> None:
    """Texts of every row, as many as the first has. Raises ValueError where a row has another number of them."""
    count = None
    for texts, row in zip(texts_of_rows, rows, strict=True):
        if bad := [text for text in texts if not isinstance(text, str) or not text.strip()]:
            message = f"{row.place}: `{draft.main.technique.name}` looks at {bad[0]!r}, which is no text to learn from"
            problems.add(Code.ANSWER_EMPTY, draft.main.at, message, hint="write its text, or remove the row", key=True)
            return
        if not texts or len(texts) != (count := count or len(texts)):
            raise ValueError(f"`texts` gives {len(texts)} texts for {row.id}; all rows need as many, one at least")
