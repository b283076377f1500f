"""TensorBoard: curves and results as event files in the run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customspec.hookspecs import Extra, Watcher, hookimpl
from customspec_watchers.telling import candidates_of, curve, numbers, parameters

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard:
    """One folder of event files per candidate: `train/loss` while it trains, then its options, metrics and cost."""

    name = "tensorboard"
    summary = (
        "Writes event files into the folder `tensorboard` of the run: the training's loss and learning rate as it "
        "goes; each candidate's options, metrics and cost (HPARAMS) at the end. Look with `tensorboard --logdir`."
    )
    extra = Extra(("tensorboard",), "customspec[tensorboard]")

    def __init__(self) -> None:
        self._plan: Mapping[str, Any] = {}
        self._folder = Path()
        self._candidates: Mapping[str, str] = {}
        self._writers: dict[str, SummaryWriter] = {}

    def run_started(self, plan: Mapping[str, Any], folder: Path) -> None:
        self._plan, self._folder, self._candidates = plan, folder / self.name, candidates_of(plan)

    def started(self, step: str, total: int | None) -> None:
        pass

    def progress(
        self, step: str, done: int, total: int | None, note: str = "", values: Mapping[str, float] | None = None
    ) -> None:
        for name, value in (values or {}).items():
            self._writer(self._candidates[step]).add_scalar(f"train/{name}", value, done)

    def finished(
        self,
        step: str,
        status: str,
        seconds: float,
        reason: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        # what the store held was trained in another run; this one's curve would be empty
        for at, loss in curve(values or {}) if status == "cached" else ():
            self._writer(self._candidates[step]).add_scalar("train/loss", loss, at)

    def run_finished(self, results: Mapping[str, Any] | None) -> None:
        for candidate in results["candidates"] if results else ():
            found = numbers(candidate)
            if candidate["status"] in {"done", "cached"} and found:
                key = candidate["key"]
                self._writer(key).add_hparams(parameters(self._plan, key), found, run_name=".")
        for writer in self._writers.values():
            writer.close()

    def _writer(self, key: str) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        if key not in self._writers:
            self._writers[key] = SummaryWriter(str(self._folder / key))
        return self._writers[key]


@hookimpl
def customspec_watchers() -> Sequence[Watcher]:
    return [TensorBoard()]
