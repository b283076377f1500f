"""Options told otherwise, and which of them a person wrote."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from customspec.spec import PromptingOptions, Texts, TrainingOptions, as_written, varied


class Words(PromptingOptions):
    shots: int = 8
    most: int | None = 3
    words: Texts = ("a", "b")


def test_what_is_chosen_counts_as_written_and_what_is_as_by_default_does_not() -> None:
    found = varied(Words(shots=8), {"words": ["c"]})
    assert found == Words(shots=8, words=("c",))
    assert found.model_fields_set == {"shots", "words"}


def test_what_is_chosen_takes_the_place_of_what_was_written() -> None:
    assert varied(Words(shots=2), {"shots": 4}) == Words(shots=4)


def test_nothing_that_was_written_stays_nothing() -> None:
    assert varied(Words(most=None), {"shots": 1}).most is None
    assert as_written(Words(most=None)).most is None


def test_options_that_do_not_go_together_are_an_error() -> None:
    with pytest.raises(ValidationError, match="not both"):
        varied(TrainingOptions(max_steps=3), {"num_train_epochs": 1.0})


def test_options_out_of_a_plan_tell_what_is_not_as_by_default() -> None:
    planned = json.loads(Words(words=("c",), shots=8).model_dump_json())
    assert planned.keys() == Words.model_fields.keys()
    found = as_written(Words.model_validate(planned))
    assert found == Words(words=("c",))
    assert found.model_fields_set == {"words"}
