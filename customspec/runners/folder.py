"""The run folder: plan, results, environment, log, and every candidate's artifact, prompt and predictions."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from customspec.containment import plugin_code
from customspec.errors import CustomspecError, RefusedError, first_line
from customspec.inputs.documents import read_plan, read_results
from customspec.inputs.writing import replace_file
from customspec.machine import Machine
from customspec.plan import Candidate, Plan, Step
from customspec.registry import Registry
from customspec.report.logs import SafeFormatter
from customspec.runners.earlier import with_earlier_claims
from customspec.runners.evidence import evidence_of, seen_by
from customspec.runners.killed import LOG, note_beginning
from customspec.runners.outcome import Outcome, StepOutcome
from customspec.runners.results import artifact_of, environment_of, finite, results_document
from customspec.runners.rows import load_rows
from customspec.runners.tokenizer import copy_tokenizer
from customspec.runners.warm import Warm
from customspec.runners.work import (
    FINDING,
    Host,
    Need,
    asking_of,
    files_of,
    located,
    prompting_of,
    template_of,
    with_found,
)
from customspec.saved import sealed, with_seal
from customspec.store import Store, digests_of, link_tree, store_key
from customspec.store.occupancy import shared
from customspec.store.upkeep import RUNNING, leftovers, mend, refer

log = logging.getLogger("customspec")


@contextmanager
def begun(plan: Plan, store: Store, machine: Machine) -> Iterator[Path]:
    """A new run's folder, which tells at once what it refers to, and is held as long as the run is on."""
    with ExitStack() as held:
        for fault in list(leftovers(store)):
            mend(store, fault)
        with store.using():  # a cleaning sees all of it, or comes before the first look into the store
            folder = store.new_run(plan.name)
            held.enter_context(shared(folder / RUNNING))
            note_beginning(folder)
            _write_json(folder / "plan.json", sealed(plan))
            _write_json(folder / "environment.json", environment_of(machine))
        try:
            yield folder
        finally:
            (folder / RUNNING).unlink(missing_ok=True)


def refers(folder: Path, plan: Plan, host: Host) -> None:
    """A run that is on goes on with another plan, for instance its learning curve's: a cleaning spares its results,
    too."""
    with host.store.using():
        refer(folder, (store_key(step.fingerprint, host.machine.key()) for step in plan.steps))


def write_run(
    folder: Path, plan: Plan, outcome: Outcome, host: Host, curve: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Fill a run folder; returns the results document that stands in it. `results.json` is written last.

    Raises RefusedError where a stored result is sound and no sense: what is written into a store by others has a digest
    that fits.
    """
    try:
        return _filled(folder, plan, outcome, host, curve)
    except CustomspecError:
        raise
    except (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError) as error:
        if all(taken.status != "cached" for taken in outcome.steps.values()):
            raise
        what = (
            f"a result in the store {host.store.root} is none that customspec wrote ({type(error).__name__}: {error})"
        )
        raise RefusedError(f"{what}; name another store with --store, or move this one away") from error


def _filled(folder: Path, plan: Plan, outcome: Outcome, host: Host, curve: Mapping[str, Any] | None) -> dict[str, Any]:
    results = with_earlier_claims(results_document(plan, outcome, host.machine, folder.name), folder)
    document = with_seal(results if curve is None else {**results, "curve": finite(curve)})
    evidence = evidence_of(plan, outcome, document["decision"]["chosen_key"], host.registry)
    _write_json(folder / "evidence.json", with_seal(finite(evidence)))
    warm = Warm()
    for candidate in plan.candidates:
        steps = [(step, outcome.steps[step.id]) for step in plan.steps if step.candidate == candidate.key]
        if steps and all(taken.result is not None for _, taken in steps):
            target, found = folder / artifact_of(candidate.key), _found(steps, plan, outcome)
            files = _link_candidate(target, steps, found)
            _complete(target, steps, plan, host)
            evaluation = next(step for step, _ in reversed(steps) if step.kind == "evaluate")
            seen = seen_by(evaluation, outcome, plan, host, warm)
            prompt = _prompt(evaluation, found, candidate, outcome, host.registry)
            _write_json(target / "prompt.json", with_seal({**prompt, "files": files, "seen": seen}))
    _write_json(folder / "results.json", document)
    return document


@contextmanager
def logging_to(folder: Path, earlier: Sequence[logging.LogRecord] = ()) -> Iterator[None]:
    """Everything that customspec logs, tracebacks of failed steps included, goes to the run's log, behind what was
    logged before the run had a folder."""
    handler = _Log(folder / LOG, encoding="utf-8", delay=False)
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)s %(message)s"))
    with closing(handler):
        for record in earlier:
            handler.handle(record)
        with _listening(handler):
            try:
                yield
            except BaseException as error:
                log.error("the run ended: %s", first_line(error))
                raise


@contextmanager
def keeping_logs() -> Iterator[list[logging.LogRecord]]:
    """What is logged until a run has a folder to log to."""
    handler = _Kept()
    with _listening(handler):
        yield handler.records


@contextmanager
def _listening(handler: logging.Handler) -> Iterator[None]:
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class _Log(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A log that cannot be written, on a full disk for instance, costs its lines, and no traceback is printed."""


def _link_candidate(folder: Path, steps: list[tuple[Step, StepOutcome]], found: Sequence[Need]) -> dict[str, str]:
    """All that the candidate's own steps made, and what a search found for all seeds: it is used without the others.

    Returns the digests of what it is used by.
    """
    (folder / "predictions").mkdir(parents=True)
    used = [need.result for need in found]
    for step, taken in steps:
        assert taken.result is not None
        if step.kind == "train":
            used.append(taken.result)
        elif step.kind == "evaluate":
            link_tree(taken.result.folder, folder / "predictions" / step.params["split"])
    for result in used:
        link_tree(result.folder, folder)
    return {file: digest for result in used for file, digest in digests_of(result).items()}


def _complete(folder: Path, steps: list[tuple[Step, StepOutcome]], plan: Plan, host: Host) -> None:
    """A whole model gets its tokenizer, which training leaves as it is."""
    for step, _ in steps:
        if step.kind == "train" and (folder / "config.json").is_file():
            model = next(plan.step(id) for id in step.needs if plan.step(id).kind == "model")
            copy_tokenizer(files_of(model), host.store.root, folder)


def _found(steps: list[tuple[Step, StepOutcome]], plan: Plan, outcome: Outcome) -> list[Need]:
    """The steps that found options for the candidate's own steps."""
    finding = {id: plan.step(id) for step, _ in steps for id in step.needs if plan.step(id).kind in FINDING}
    results = ((step, outcome.steps[id].result) for id, step in finding.items())
    return [Need(step, result) for step, result in results if result is not None]


def _prompt(
    step: Step, found: Sequence[Need], candidate: Candidate, outcome: Outcome, registry: Registry
) -> dict[str, Any]:
    """The prompt, and the demonstrations as the first evaluated row saw them; options as they were found."""
    portable, params = with_found(step.params, found), with_found(located(step), found)
    data = outcome.steps["data"].result
    demonstrations: list[dict[str, str]] = []
    if params["prompting"] is not None and data is not None:
        template = template_of(params)
        queries = load_rows(data.folder / f"{params['split']}.jsonl")
        with plugin_code(registry.offer("technique", params["prompting"]["name"]).item):
            technique, options = prompting_of(params, registry)
            shows = technique is not None and technique.shots(options) > 0
            train = tuple(template.render_all(load_rows(data.folder / "train.jsonl"))) if shows else ()
            asking = asking_of(params, train, registry)
            shots = asking.select(template.render(queries[0]))
            demonstrations = [{"id": shot.id, "user": shot.user, "answer": asking.write(shot)} for shot in shots]
    return {
        "candidate": candidate.key,
        **params["prompt"],
        "choices": params["choices"],
        "generation": params["generation"],
        "prompting": portable["prompting"],
        "technique": portable["technique"],
        "shots": demonstrations,
    }


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    replace_file(path, text.encode())


def read_run(folder: Path) -> tuple[Plan, dict[str, Any]]:
    """The plan and results of a run folder. Raises FileNotFoundError, ValueError for what is none."""
    plan = read_plan(folder)
    return plan, read_results(folder, plan)
