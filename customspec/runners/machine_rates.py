"""The rates that a plan's estimates rest on: measured once for a machine and a model, and kept in the store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from customspec.estimate.calibration import Measurements, Pair, Passed, rates_of
from customspec.estimate.rates import MEMO, Rates, memo_key
from customspec.estimate.shape import Shape
from customspec.header import ModelHeader
from customspec.machine import Machine
from customspec.plan import Plan, Result, Step
from customspec.runners.execute import execute, find
from customspec.runners.measure import gaining, resident
from customspec.runners.work import Host, Need, Work
from customspec.store import Store

if TYPE_CHECKING:
    from customspec.ml.probe import Probed, Tried

log = logging.getLogger("customspec")


def calibrate(plan: Plan, host: Host, tell: Callable[[str], None] = lambda _: None) -> bool:
    """Measure the machine with every model that a step is to run on. Returns whether there was anything to measure."""
    measured = False
    for model in _to_measure(plan, host.store, host.machine):
        tell(f"measuring this machine with {model.sources['label']}, once for this store: about half a minute")
        try:
            with host.store.using():  # no run has begun that a cleaning would see
                rates = _measure(_surroundings(model, host), host.machine)
        except Exception as error:
            # whatever is wrong with the model, the run will meet it and say so
            log.warning("this machine could not be measured, its times stay assumed: %s", error)
            continue
        host.store.memo(MEMO).put(memo_key(host.machine, str(model.params["digest"])), rates)
        measured = True
    return measured


def _surroundings(model: Step, host: Host) -> Work:
    """With the model's folder: the person's own, or a GGUF file's weights, which the run then finds in the store."""
    if model.params["kind"] == "gguf":
        result, _ = execute(model, {}, host, lambda *_: None)
    else:
        result = Result(model.id, "", {}, host.store.root)
    return Work({model.id: Need(model, result)}, host.registry, host.machine, host.store.root, lambda *_: None)


def _to_measure(plan: Plan, store: Store, machine: Machine) -> list[Step]:
    """Models without known rates that a step which is not in the store needs."""
    memo = store.memo(MEMO)
    unknown = [
        step
        for step in plan.steps
        if step.kind == "model"
        and step.params["digest"] is not None
        and not Rates.are(memo.get(memo_key(machine, step.params["digest"])))
    ]
    if not unknown:
        return []  # and no stored result is read to find out who waits for them
    awaited = {id for step in plan.steps if step.candidate and find(step, store, machine) is None for id in step.needs}
    return [step for step in unknown if step.id in awaited]


def _measure(work: Work, machine: Machine) -> Mapping[str, Any]:
    from customspec.ml.memory import release
    from customspec.ml.probe import probe

    header, chat = work.header_and_chat
    chat.encode("a run has its tokenizer in memory: tens of megabytes")
    shape, device = Shape.of(header), machine.torch_device
    probed = probe(
        work.model_folder(), machine.compute_dtype, device, shape.body, lambda: gaining(machine.device, device)
    )
    release()
    # the process without a model, but with its tokenizer, and with what libraries keep once they have computed
    without = 0 if machine.device == "cuda" else resident()
    return asdict(_rates(probed, header, shape, machine, without))


def _rates(probed: Probed, header: ModelHeader, shape: Shape, machine: Machine, without: int | None) -> Rates:
    def both(pair: tuple[Tried, Tried], learned: int) -> Pair:
        short, long = (Passed(one.rows, one.width, learned, one.seconds) for one in pair)
        return short, long

    found = Measurements(
        header.linears,
        forward=both(probed.forward, 1),
        frozen=both(probed.frozen, probed.learned),
        adapted=both(probed.adapted, probed.learned),
        optimizer=probed.optimizer,
        kept_frozen=probed.kept_frozen,
        kept=probed.kept,
        resident_bytes=without,
    )
    return rates_of(Rates.assumed(machine, shape), shape, machine.compute_dtype, found)
