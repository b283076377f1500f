"""A training that is cut off and goes on ends in the very weights, to the bit, of one that never was."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import Make
from torch import Tensor, nn
from transformers import PreTrainedModel

from customspec.errors import MachineError, StepError
from customspec.inputs.encoding import Encoded
from customspec.ml.checkpointing import UnusableError
from customspec.ml.selection import Selection
from customspec.ml.state import trained_weights
from customspec.ml.training import Trained, seed_everything, train
from customspec.prompts import Example
from customspec.registry import discover
from customspec.runners.artifact import Artifact
from customspec.runners.tuning import checkpointing_of, extras_of, task_of
from customspec.store import Checkpoints

STEPS = 9
ROWS = [
    Encoded(
        Example(f"train:{i}", None, "", ""),
        tuple(3 + (i * 31 + j * 17) % 94 for j in range(2 + i % 5)),
        (5 + i, 40 + i, 2),
    )
    for i in range(11)
]


class CutError(Exception):
    """Stands for a kill, in this process: nothing of the training looks out for it."""


@dataclass
class Bench:
    """Trainings of one technique that can be cut off after a step."""

    folder: Path
    make: Callable[[], PreTrainedModel]
    technique: str
    options: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Encoded] = tuple(ROWS)
    measure: Callable[[nn.Module], float] | None = None
    patience: int | None = None
    seconds: float = 0.0

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.folder / "store", "ab" * 32, "train:x@0")

    def train(self, *, cut: int | None = None, tell: Callable[[int], None] | None = None, **more: Any) -> Run:
        technique = discover().tuning(self.technique)
        given = {"learning_rate": 1e-2, "per_device_train_batch_size": 2, "num_train_epochs": 1.0, **self.options}
        options = technique.options.model_validate(given)
        seed_everything(7)
        model = technique.adapt(options, self.make(), task_of(self.rows, lambda text: [5, 6, 7], None, STEPS))
        room = self.folder / "room" / str(len(list((self.folder / "room").glob("*"))))
        room.mkdir(parents=True)
        artifact = Artifact(lambda model, folder: torch_free_save(model, folder), room)

        def told(done: int, *_: Any) -> None:
            if tell is not None:
                tell(done)
            if cut is not None and done >= cut:
                raise CutError

        selection = None
        if self.measure is not None:
            selection = Selection(self.measure, artifact.save, higher_is_better=False, every=2, patience=self.patience)
        found = train(
            model,
            self.rows,
            options,
            steps=STEPS,
            seed=7,
            pad=0,
            device="cpu",
            autocast=False,
            scratch=room / "scratch",
            selection=selection,
            extras=extras_of(technique, options),
            checkpointing=checkpointing_of(technique, options, self.checkpoints, artifact, self.seconds),
            progress=told,
            **more,
        )
        kept = None if artifact.folder is None else (artifact.folder / "kept").read_bytes()
        return Run(found, {name: part.detach().clone() for name, part in trained_weights(model).items()}, kept)


def torch_free_save(model: nn.Module, folder: Path) -> None:
    parts = [part.detach().numpy().tobytes() for part in trained_weights(model).values()]
    (folder / "kept").write_bytes(b"".join(parts))


@dataclass(frozen=True)
class Run:
    trained: Trained
    weights: Mapping[str, Tensor]
    kept: bytes | None

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Run)
        return (
            self.facts == other.facts
            and self.kept == other.kept
            and self.weights.keys() == other.weights.keys()
            and all(torch.equal(part, other.weights[name]) for name, part in self.weights.items())
        )

    @property
    def facts(self) -> list[Any]:
        """All of the result but the seconds."""
        trained = self.trained
        return [trained.steps, trained.rows, trained.losses, trained.evaluations, trained.kept, trained.notes]


@pytest.fixture
def bench(tmp_path: Path, tiny_model: Make) -> Callable[..., Bench]:
    """A function: a bench for a technique. Each has a folder of its own, and models with dropout."""

    def make(technique: str = "lora", architecture: str = "gpt2", **more: Any) -> Bench:
        dropping = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.2)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return Bench(folder, lambda: tiny_model(architecture, **dropping), technique, **more)

    return make


TECHNIQUES: list[tuple[str, dict[str, Any]]] = [
    ("lora", {"r": 2, "lora_dropout": 0.3}),
    ("lora", {"r": 2, "lora_dropout": 0.3, "loraplus_lr_ratio": 8.0}),
    ("adalora", {"init_r": 4, "target_r": 2, "lora_dropout": 0.3}),
    ("prompt_tuning", {"num_virtual_tokens": 3}),
    ("p_tuning", {"num_virtual_tokens": 3, "encoder_hidden_size": 8}),
    ("prefix_tuning", {"num_virtual_tokens": 3}),
    ("full", {"weight_decay": 0.1, "lr_scheduler_type": "cosine"}),
]


@pytest.mark.parametrize(("technique", "options"), TECHNIQUES, ids=lambda value: str(value)[:40])
def test_a_training_cut_off_twice_ends_in_the_same_bits(
    bench: Callable[..., Bench], technique: str, options: dict[str, Any]
) -> None:
    options = {**options, "gradient_accumulation_steps": 2}
    expected = bench(technique, options=options).train()
    cut_off = bench(technique, options=options)
    for cut in (3, 8):  # an epoch has 3 steps: in the midst of one, and at the end of another
        with pytest.raises(CutError):
            cut_off.train(cut=cut)
        assert cut_off.checkpoints.newest() is not None
    assert cut_off.train() == expected


@pytest.mark.parametrize("cut", [2, 6, 7, STEPS])
def test_wherever_it_is_cut_off(bench: Callable[..., Bench], cut: int) -> None:
    options = {"r": 2, "lora_dropout": 0.3}  # 6 steps an epoch
    expected = bench(options=options).train()
    cut_off = bench(options=options)
    with pytest.raises(CutError):
        cut_off.train(cut=cut)
    newest = cut_off.checkpoints.newest()
    assert newest is not None
    assert newest.number == cut - 1
    done: list[int] = []
    assert cut_off.train(tell=done.append) == expected
    assert min(done) == cut - 1, "steps that were done are not done again"


class Valley:
    """A measure that falls and then rises, and draws random numbers, as a sampling evaluation might."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, model: nn.Module) -> float:
        self.asked += 1
        torch.rand(3)
        return float(sum(part.detach().abs().sum() for part in trained_weights(model).values()))


@pytest.mark.parametrize(("cut", "patience"), [(3, None), (4, 2), (5, 2), (8, None)])
def test_the_state_that_is_kept_and_an_early_end_are_the_same(
    bench: Callable[..., Bench], cut: int, patience: int | None
) -> None:
    options = {"r": 2, "lora_dropout": 0.3}
    expected = bench(options=options, measure=Valley(), patience=patience).train()
    assert expected.kept is not None
    cut_off = bench(options=options, measure=Valley(), patience=patience)
    with pytest.raises(CutError):
        cut_off.train(cut=min(cut, expected.trained.steps))
    assert cut_off.train() == expected


def test_the_seconds_of_all_parts_are_counted(bench: Callable[..., Bench]) -> None:
    cut_off = bench(options={"r": 2})
    with pytest.raises(CutError):
        cut_off.train(cut=6)
    newest = cut_off.checkpoints.newest()
    assert newest is not None
    from customspec.ml.state import load_state

    before = load_state(newest.folder, "rest")["moment"]["seconds"]
    assert 0 < before < cut_off.train().trained.seconds


def test_nothing_is_written_before_its_time(bench: Callable[..., Bench]) -> None:
    patient = bench(options={"r": 2}, seconds=3600.0)
    with pytest.raises(CutError):
        patient.train(cut=8)
    assert patient.checkpoints.newest() is None


# --- checkpoints that are not as they were written


def damaged(checkpoint: Path, how: str) -> None:
    path = checkpoint / "files" / "weights.safetensors"
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    if how == "flipped":
        content[-1] ^= 1
    path.write_bytes(content[: len(content) // 2] if how == "short" else content)
    if how == "lost":
        path.unlink()
    if how == "unsealed":
        (checkpoint / "manifest.json").unlink()


@pytest.mark.parametrize(("how", "both"), [("flipped", False), ("short", True), ("lost", False), ("unsealed", False)])
def test_a_damaged_checkpoint_costs_steps_and_never_the_run(bench: Callable[..., Bench], how: str, both: bool) -> None:
    options = {"r": 2, "lora_dropout": 0.3}
    expected = bench(options=options).train()
    cut_off = bench(options=options)
    with pytest.raises(CutError):
        cut_off.train(cut=7)
    folders = sorted((cut_off.folder / "store" / "checkpoints").glob("*/*"))
    assert [folder.name for folder in folders] == ["00000005", "00000006"]
    for folder in folders if both else folders[1:]:
        damaged(folder, how)
    done: list[int] = []
    assert cut_off.train(tell=done.append) == expected
    assert min(done) == (1 if both else 5)


def test_a_checkpoint_of_other_rows_is_not_gone_on_from(bench: Callable[..., Bench]) -> None:
    cut_off = bench(options={"r": 2})
    with pytest.raises(CutError):
        cut_off.train(cut=5)
    cut_off.rows = ROWS[:9]
    with pytest.raises(UnusableError, match="its batches are others"):
        cut_off.train()


def test_a_checkpoint_of_another_model_is_not_gone_on_from(bench: Callable[..., Bench]) -> None:
    cut_off = bench(options={"r": 2})
    with pytest.raises(CutError):
        cut_off.train(cut=5)
    cut_off.options = {"r": 3}
    with pytest.raises(UnusableError, match="the weights are not those of this model"):
        cut_off.train()


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
