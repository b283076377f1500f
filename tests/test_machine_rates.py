"""The machine is measured once for a model, by the first run that needs it; the plan then speaks of this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from customspec.inputs.tokens import Chat
from customspec.runners import machine_rates
from customspec.runners.measure import resident
from support import Ended, Workspace

Command = Callable[..., Ended]
SPEC = "techniques: [zero_shot, {lora: {r: 2, max_steps: 2}}]"


@pytest.fixture
def unmeasured(workspace: Workspace) -> Workspace:
    """A workspace whose store has no calibration, of other tests neither."""
    (workspace.root / ".customspec" / "memo" / "calibration").unlink()
    return workspace


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were measured, as they are."""
    seen: list[str] = []
    measure = machine_rates._measure

    def watched(work: Any, machine: Any) -> Any:
        seen.append(str(work.model_files().label))
        return measure(work, machine)

    monkeypatch.setattr(machine_rates, "_measure", watched)
    return seen


def test_a_process_is_measured_with_the_models_tokenizer_in_it(
    unmeasured: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every run has one in memory: tens of megabytes that no pass through the model shows."""
    events: list[str] = []
    tokenizer, measure = vars(Chat)["tokenizer"], machine_rates._measure
    load = tokenizer.func

    def loading(self: Chat) -> Any:
        events.append("tokenizer")
        return load(self)

    def measuring(work: Any, machine: Any) -> Any:
        events.append("begins")
        return measure(work, machine)

    def looking() -> int | None:
        events.append("looks")
        return resident()

    monkeypatch.setattr(tokenizer, "func", loading)
    monkeypatch.setattr(machine_rates, "_measure", measuring)
    monkeypatch.setattr("customspec.runners.machine_rates.resident", looking)
    assert customspec("run", unmeasured.spec(SPEC)).code == 0
    begins = events.index("begins")
    assert events[begins : begins + 3] == ["begins", "tokenizer", "looks"]


def estimates(ended: Ended) -> list[dict[str, Any]]:
    return [candidate["estimate"] for candidate in ended.json["candidates"]]


def test_the_first_run_measures_and_later_ones_remember(
    unmeasured: Workspace, customspec: Command, measurements: list[str]
) -> None:
    spec = unmeasured.spec(SPEC)
    assert not any(one["calibrated"] for one in estimates(customspec("plan", spec, "--json")))
    first = customspec("run", spec, "--json")
    assert "measuring this machine" in first.err
    assert measurements == ["model"]
    assert all(one["calibrated"] and one["seconds"] > 0 for one in estimates(first))
    assert estimates(customspec("plan", spec, "--json")) == estimates(first)
    again = customspec("run", spec, "--set", "techniques.1.lora.r=4", "--json")
    assert "measuring" not in again.err
    assert measurements == ["model"]


def test_what_is_in_the_store_needs_no_measuring(
    unmeasured: Workspace, customspec: Command, measurements: list[str]
) -> None:
    spec = unmeasured.spec("techniques: [zero_shot]")
    assert customspec("run", spec).code == 0
    for memo in (unmeasured.root / ".customspec" / "memo" / "calibration").iterdir():
        memo.unlink()
    assert customspec("run", spec).code == 0
    assert measurements == ["model"]


@pytest.mark.parametrize("fault", [RuntimeError("out of memory"), ImportError("no such library"), KeyError("x")])
def test_a_machine_that_cannot_be_measured_runs_all_the_same(
    fault: Exception, unmeasured: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise fault

    monkeypatch.setattr(machine_rates, "_measure", fails)
    ended = customspec("run", unmeasured.spec("techniques: [zero_shot]"), "--json")
    assert ended.code == 0
    assert not any(one["calibrated"] for one in estimates(ended))


def test_a_damaged_memo_is_measured_anew(
    unmeasured: Workspace, customspec: Command, measurements: list[str], tmp_path: Path
) -> None:
    spec = unmeasured.spec("techniques: [zero_shot]")
    assert customspec("run", spec).code == 0
    (memo,) = (unmeasured.root / ".customspec" / "memo" / "calibration").iterdir()
    memo.write_text("{}", encoding="utf-8")
    assert customspec("run", spec, "--limit", "3").code == 0
    assert len(measurements) == 2
