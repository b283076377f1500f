"""What befalls a training: too little memory, numbers that are not finite, signals."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from benches import Bench, Valley
from tiny import Make
from torch import nn
from transformers import PreTrainedModel

from customspec.errors import MachineError, StepError

# --- memory


class Scarce:
    """A model's forward that has room for so many rows, and draws on it as torch's allocators do."""

    def __init__(self, model: PreTrainedModel, rows: int, error: Callable[[], BaseException]) -> None:
        self.forward, self.rows, self.error = model.forward, rows, error
        self.failed = 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if len(named["input_ids"]) > self.rows:
            self.failed += 1
            raise self.error()
        return self.forward(*arguments, **named)


def allocator() -> BaseException:
    return RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 1000 bytes. Error code 12 (Cannot allocate memory)"
    )


def scarce(make: Callable[[], PreTrainedModel], rows: int, error: Callable[[], BaseException]) -> PreTrainedModel:
    model = make()
    model.forward = Scarce(model, rows, error)
    return model


ERRORS = [allocator, MemoryError, lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("accumulation", [1, 2])
def test_short_of_memory_it_takes_fewer_rows_at_once_and_learns_the_same(
    tiny_model: Make, bench: Callable[..., Bench], error: Callable[[], BaseException], accumulation: int
) -> None:
    options = {"per_device_train_batch_size": 5, "gradient_accumulation_steps": accumulation}
    plain = bench("full", options=options)
    plain.make = lambda: tiny_model("llama")
    expected = plain.train()
    short = bench("full", options=options)
    short.make = lambda: scarce(lambda: tiny_model("llama"), 2, error)
    found = short.train()
    assert found.trained.rows == expected.trained.rows
    assert found.trained.notes == (
        "memory was short: at most 2 rows went through at once; a step is of as many as before",
    )
    furthest = max(float((part - expected.weights[name]).abs().max()) for name, part in found.weights.items())
    assert furthest < 1e-3  # sums are rounded in another order; a step moves a weight by up to 1e-2
    assert [loss for _, loss in found.trained.losses] == pytest.approx(
        [loss for _, loss in expected.trained.losses], rel=1e-3
    )


def test_when_one_row_is_too_much_it_says_so(tiny_model: Make, bench: Callable[..., Bench]) -> None:
    short = bench("full")
    short.make = lambda: scarce(lambda: tiny_model("llama"), 0, allocator)
    with pytest.raises(MachineError, match=r"not enough memory to train on one row of \d+ tokens at step 1"):
        short.train()


def test_another_error_is_not_taken_for_want_of_memory(tiny_model: Make, bench: Callable[..., Bench]) -> None:
    broken = bench("full")
    broken.make = lambda: scarce(lambda: tiny_model("llama"), 0, lambda: RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        broken.train()


# --- NaN


def test_what_is_not_finite_is_never_in_a_checkpoint(bench: Callable[..., Bench]) -> None:
    poisoned = bench("full")

    def poison(model: nn.Module) -> float:
        if len(asked) == 2:
            with torch.no_grad():
                next(model.parameters())[0, 0] = math.nan
        asked.append(1)
        return 0.0

    asked: list[int] = []
    poisoned.measure = poison  # at step 6, after which the loss is not finite
    with pytest.raises(StepError, match="not finite"):
        poisoned.train()
    newest = poisoned.checkpoints.newest()
    assert newest is not None
    assert newest.number == 5


# --- signals


@pytest.fixture
def heard() -> Iterator[Callable[[int], None]]:
    """A function: this process gets a signal; SIGINT's handler raises KeyboardInterrupt."""
    assert threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run in a shell's background
    yield lambda number: os.kill(os.getpid(), number)
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("at", [1, 4])
def test_a_signal_ends_the_step_first_and_leaves_a_checkpoint(
    bench: Callable[..., Bench], heard: Callable[[int], None], at: int
) -> None:
    options = {"r": 2, "lora_dropout": 0.3}
    expected = bench(options=options).train()
    stopped = bench(options=options, seconds=3600.0)
    with pytest.raises(KeyboardInterrupt):
        stopped.train(tell=lambda done: heard(signal.SIGINT) if done == at else None)
    newest = stopped.checkpoints.newest()
    assert newest is not None
    assert newest.number == at
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert stopped.train() == expected


def test_a_second_signal_does_not_wait(bench: Callable[..., Bench], heard: Callable[[int], None]) -> None:
    stopped = bench(options={"r": 2}, seconds=3600.0)

    def twice(done: int) -> None:
        if done == 4:
            heard(signal.SIGINT)
            heard(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        stopped.train(tell=twice)
    assert stopped.checkpoints.newest() is None


def test_a_signal_in_an_evaluation_does_not_wait_for_it(
    bench: Callable[..., Bench], heard: Callable[[int], None]
) -> None:
    class Interrupted(Valley):
        def __call__(self, model: nn.Module) -> float:
            if self.asked == 1:
                heard(signal.SIGINT)
                pytest.fail("the evaluation went on")
            return super().__call__(model)

    options = {"r": 2, "lora_dropout": 0.3}
    expected = bench(options=options, measure=Valley()).train()
    stopped = bench(options=options, seconds=3600.0, measure=Interrupted())
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    stopped.measure = Valley()
    assert stopped.train() == expected
