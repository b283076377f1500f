"""A prompting technique that looks at the training rows with the base model at hand before it is used."""

from __future__ import annotations

from collections.abc import Iterable

from customspec.compiler.entries import Draft
from customspec.hookspecs import Fits


def is_fitted(draft: Draft) -> bool:
    """Whether the candidate's prompt is fitted to the training rows."""
    return draft.prompting is not None and isinstance(draft.prompting.technique, Fits)


def fit_notes(drafts: Iterable[Draft]) -> tuple[str, ...]:
    """A note for each prompt that is still to be fitted: what the plan tells of it is told of its options as given."""
    fitted = [draft.id for draft in drafts if is_fitted(draft)]
    if not fitted:
        return ()
    return (
        f"the prompt of {', '.join(fitted)} is fitted in the run: tokens, memory and time are those of the options as "
        "given, and the fit's own time is not among them",
    )
