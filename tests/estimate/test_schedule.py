"""How often a training is looked at."""

from __future__ import annotations

from math import ceil

import pytest

from customspec.estimate import comparisons, evaluation_interval, training_steps
from customspec.estimate.schedule import searched
from customspec.spec import TrainingOptions


def options(**given: float) -> TrainingOptions:
    return TrainingOptions(per_device_train_batch_size=4, gradient_accumulation_steps=2, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("epochs", "interval", "count"),
    [(1, 7, 4), (3, 19, 4), (4, 25, 4), (6, 25, 6), (10, 25, 10), (11, 28, 10), (20, 50, 10), (4.5, 23, 5)],
)
def test_states_are_compared_once_an_epoch_four_to_ten_times(epochs: float, interval: int, count: int) -> None:
    steps = training_steps(options(num_train_epochs=epochs), 200)  # 25 an epoch
    assert evaluation_interval(options(num_train_epochs=epochs), steps, 200) == interval
    assert ceil(steps / interval) == count


def test_a_training_told_in_steps_is_compared_as_one_told_in_epochs() -> None:
    assert evaluation_interval(options(max_steps=150), 150, 200) == 25
    assert evaluation_interval(options(max_steps=150), 150, 2000) == 38
    assert evaluation_interval(options(max_steps=3), 3, 200) == 1


@pytest.mark.parametrize(
    ("trials", "measurements", "worth"),
    [(1, 10, 1.0), (9, 1, 9.0), (9, 3, (9 * 1 + 3 * 2) / 3), (9, 10, (9 * 1 + 3 * 2 + 1 * 6 + 1 * 1) / 10)],
)
def test_a_search_is_worth_fewer_trials_than_it_makes(trials: int, measurements: int, worth: float) -> None:
    assert searched(trials, measurements) == pytest.approx(worth)


def test_a_state_that_stands_alone_is_not_compared() -> None:
    assert comparisons(options(max_steps=100, eval_steps=50), 100, 200) == 2
    assert comparisons(options(max_steps=100, eval_steps=100), 100, 200) == 0
    assert comparisons(options(max_steps=1), 1, 200) == 0


@pytest.mark.parametrize(("asked", "interval"), [(0.5, 50), (0.001, 1), (7.0, 7)])
def test_what_is_told_has_its_way(asked: float, interval: int) -> None:
    assert evaluation_interval(options(num_train_epochs=4, eval_steps=asked), 100, 200) == interval
