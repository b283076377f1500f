"""The rule for a prompting technique's `fit`: it gives options of its own, the same for equal arguments."""

from __future__ import annotations

from collections.abc import Sequence

from customspec.hookspecs import Scorer
from customspec.inputs.encoding import Encoded
from customspec.inputs.tokens import Chat
from customspec.prompts import Example
from customspec.runners.fitting import Likelihoods
from customspec.spec import PromptingOptions
from customspec.testing.checks import require
from customspec.testing.models import TinyModels
from customspec.testing.rows import SEED, fitted
from customspec.testing.subject import Subject

ARCHITECTURE = "llama"
SENTENCE = "It finds options that the technique itself takes, and for equal arguments the same."


def fit(subject: Subject, models: TinyModels) -> None:
    """Tried on a tiny model's likelihoods."""
    rows = subject.training()
    scorer = _likelihoods(subject, rows, models)
    found, again = (fitted(subject.prompting, subject.options, given, scorer) for given in (rows, list(rows)))
    require(found == again, f"`fit` found {found}, and then {again}")


def _likelihoods(subject: Subject, rows: Sequence[Example], models: TinyModels) -> Scorer:
    import torch

    from customspec.ml.likelihood import score_references
    from customspec.ml.models import load_model

    folder, options = models.folder(ARCHITECTURE), subject.options
    model, chat = load_model(folder, torch.float32), Chat.load(folder)

    def judge(rows: Sequence[Encoded]) -> list[float]:
        return score_references(model, [row.prompt for row in rows], [row.answer for row in rows], pad=chat.pad_id)

    assert isinstance(options, PromptingOptions)
    context = model.config.max_position_embeddings
    return Likelihoods(subject.prompting, options, rows, SEED, chat, context, "truncate", judge)
