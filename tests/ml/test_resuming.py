"""A training that is cut off and goes on ends in the very weights, to the bit, of one that never was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benches import ROWS, STEPS, Bench, CutError, Valley

from customspec.ml.checkpointing import UnusableError

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
