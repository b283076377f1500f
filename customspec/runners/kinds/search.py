"""Search options of a technique on the validation rows: one bounded step, whose trials are kept one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from math import ceil, inf, isfinite
from pathlib import Path
from typing import Any

from customspec.compiler.models import fill
from customspec.errors import StepError
from customspec.estimate.schedule import KEPT
from customspec.inputs.chat_errors import ChatError
from customspec.plan import REVISION, Step, digest
from customspec.runners.answers import answer, load_candidate, reserve_of
from customspec.runners.bases import make_way
from customspec.runners.fitting import fit_prompt, fits
from customspec.runners.kinds import train
from customspec.runners.measure import measuring
from customspec.runners.metrics import Scoring, answers_of
from customspec.runners.records import records_of
from customspec.runners.rows import write_json
from customspec.runners.searching import Combination, Ended, Search, StoppedError, Trial, best_of, search
from customspec.runners.tuning import consulted
from customspec.runners.work import Work, encode_rows, located, with_options
from customspec.store import Checkpoints, Store, room

Report = Callable[[float], None]


def run(step: Step, work: Work, folder: Path) -> dict[str, Any]:
    """Writes `search.json`; the values are the options found, and every trial."""
    params = located(step)
    make_way(params, work)
    peak = measuring(work.machine.device, work.machine.torch_device)
    higher = Scoring.of(params["asked"]["metric"], work.registry).metric.higher_is_better
    make = _prompted if params["technique"] is None else _trained
    memo = Store(work.cache).memo("trials")

    def recall(chosen: Combination) -> Trial | None:
        found: Any = memo.get(_key(step, work, chosen))
        try:
            trial = Trial.from_json(found)
            return trial if trial.chosen == chosen else None
        except (KeyError, TypeError, ValueError):  # no trial, or none of this version
            return None

    def keep(trial: Trial) -> None:
        memo.put(_key(step, work, trial.chosen), trial.to_json())

    attempt = partial(_attempt, make, step, work)
    growing = params["technique"] is None
    what = Search(params["space"], params["trials"], params["seed"], higher, attempt, recall, keep, growing)
    trials = search(what, lambda done, note: work.tell(done, what.trials, note))
    best, value = best_of(trials, what)
    found = {
        "chosen": dict(best.chosen),
        "options": dict(best.chosen) if params["technique"] is None else _filled(params, best.chosen, work),
        "metric": params["asked"]["metric"]["id"],
        "value": value,
        "trials": [trial.to_json() for trial in trials],
        "search_seconds": sum(trial.seconds for trial in trials),
    }
    write_json(folder / "search.json", found)
    return {**found, "peak_memory_bytes": peak()}


def _key(step: Step, work: Work, chosen: Combination) -> str:
    """The key of a trial: a digest of all that it depends on, and of no other combination."""
    own = {name: value for name, value in step.params.items() if name not in {"space", "trials"}}
    needs = [need.step.fingerprint for need in work.needs.values()]
    revisions = [REVISION["search"], REVISION["train"], REVISION["evaluate"]]
    revisions += [REVISION["fit"]] if step.params["technique"] is None and fits(step.params, work.registry) else []
    return digest([revisions, own, needs, chosen, work.machine.key()]).removeprefix("sha256:")


def _attempt(
    make: Callable[[Step, Work, Combination, Report], None],
    step: Step,
    work: Work,
    chosen: Combination,
    measured: Report,
) -> Trial:
    """One trial. Where the options make the training fail, the trial has failed; whatever else is raised is passed
    on."""
    began = time.monotonic()
    values: list[float] = []
    ended: Ended = "done"
    reason = None

    def note(value: float) -> None:
        if not isfinite(value):
            raise StepError(f"the metric is {value} on the validation rows")
        values.append(value)
        measured(value)

    try:
        make(step, work, chosen, note)
    except StoppedError:
        ended = "stopped"
    except (StepError, ChatError, ValueError) as error:
        ended, reason = "failed", str(error)
    return Trial(chosen, tuple(values), ended, time.monotonic() - began, reason)


def _filled(params: Mapping[str, Any], chosen: Combination, work: Work) -> dict[str, Any]:
    """The tuning technique's options, those that are open filled by its recipe."""
    technique = work.registry.tuning(params["technique"]["name"])
    options = technique.options.model_validate({**params["technique"]["options"], **chosen})
    header, _ = work.header_and_chat
    filled = fill(technique, options, consulted(technique, options, header), len(work.rows("train")))
    return filled.model_dump(mode="json")


def _trained(step: Step, work: Work, chosen: Combination, measured: Report) -> None:
    """A training of its own, whose state nobody needs; it is measured as often as it compares its states."""
    options = _filled(step.params, chosen, work)
    trial = replace(step, kind="train", params=with_options(step.params, options))
    key = _key(step, work, chosen)
    silent = replace(work.silent, measured=measured, key=key, checkpoint_seconds=inf)
    checkpoints = Checkpoints(work.cache, key, step.id)
    checkpoints.clear()  # a trial begins at its first measurement, or the search would take another course
    try:
        with room(work.cache) as made:
            train.run(trial, silent, made)
    finally:
        checkpoints.clear()


def _prompted(step: Step, work: Work, chosen: Combination, measured: Report) -> None:
    """Answers on a ninth, a third, and all of the validation rows; a prompt that is fitted is fitted first."""
    params: Mapping[str, Any] = {**with_options(located(step), chosen), **step.params["asked"]}
    scoring = Scoring.of(params["metric"], work.registry)
    _, chat = work.header_and_chat
    silent = work.silent
    model = load_candidate({**params, "technique": None}, work)
    if fits(params, work.registry):
        params = with_options(params, fit_prompt(params, model, silent).options)
    rows = encode_rows(params, work.rows("validation")[: params["limit"]], work, reserve=reserve_of(params, chat)).rows
    if not rows:
        raise StepError("no validation row is left to measure by: all were dropped as too long")
    records: list[dict[str, Any]] = []
    for measurement in range(1, KEPT**2 + 1):
        upto = ceil(len(rows) * measurement / KEPT**2)
        some = rows[len(records) : upto]
        if some:
            records += records_of(answer(params, model, some, chat, silent), some, [scoring], model, silent)
        measured(scoring.score(answers_of(records)))
