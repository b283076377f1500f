"""`customspec doctor`: the health of the environment, the plugins, the configuration and the store."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import requires, version
from pathlib import Path
from typing import Literal

import click
from packaging.requirements import Requirement

from customspec.cli.options import json_option, store_option
from customspec.cli.output import show_json
from customspec.cli.places import store_here
from customspec.cli.roots import configuration_file, configured_roots
from customspec.compiler.packages import OURS
from customspec.errors import CustomspecError, Exit, PluginError, SpecError
from customspec.machine import detect
from customspec.registry import Kind, Registry, discover
from customspec.report.text import escape
from customspec.store import Store
from customspec.store.upkeep import find_faults, mend, objects

Status = Literal["fine", "note", "wrong", "damaged", "mended"]
LITTLE = 5 * 2**30  # bytes
KINDS: tuple[Kind, ...] = ("technique", "metric", "watcher")


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One part of the installation or the store, and how it was found."""

    part: Literal["environment", "plugins", "configuration", "store"]
    status: Status
    text: str


@click.command("doctor")
@store_option
@click.option(
    "--repair",
    is_flag=True,
    help="Set damaged results aside, to be made again; remove other damage, and what was left behind.",
)
@json_option
def command(store: Path | None, *, repair: bool, as_json: bool) -> int:
    """Look at the environment, plugins, configuration and store; every result, checkpoint, model header and memo
    in the store is read and verified."""
    root = store_here(store)
    findings = [*_environment(root), *_plugins(discover()), *_configuration(), *_store(Store(root), repair=repair)]
    if as_json:
        show_json({"store": str(root.absolute()), "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(f"{finding.part:>13}  {finding.status:<8} {escape(finding.text)}")
    if any(finding.status == "damaged" for finding in findings):
        return Exit.REFUSED
    return Exit.ENVIRONMENT if any(finding.status == "wrong" for finding in findings) else Exit.DONE


def _environment(root: Path) -> Iterator[HealthCheck]:
    yield HealthCheck("environment", "fine", f"Python {sys.version.split()[0]}, customspec {version(OURS)}")
    for line in requires(OURS) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield from _requirement(requirement)
    try:
        machine = detect()
        memory = "unknown" if machine.memory_bytes is None else f"{machine.memory_bytes / 2**30:.1f} GiB"
        text = f"{machine.device}: {machine.device_name}, {machine.cores} cores, {memory}, {machine.compute_dtype}"
        yield HealthCheck("environment", "fine", text)
    except CustomspecError as error:
        yield HealthCheck("environment", "wrong", str(error))
    yield _disk(root)


def _requirement(requirement: Requirement) -> Iterator[HealthCheck]:
    try:
        installed = version(requirement.name)
    except ImportError:
        yield HealthCheck("environment", "wrong", f"{requirement.name} is not installed")
        return
    if not requirement.specifier.contains(installed, prereleases=True):
        text = f"{requirement.name} {installed} is installed; customspec needs {requirement.specifier}"
        yield HealthCheck("environment", "wrong", text)


def _disk(root: Path) -> HealthCheck:
    place = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    text = f"{free / 2**30:.1f} GiB free at {place}"
    if not os.access(place, os.W_OK):
        return HealthCheck("environment", "wrong", f"{place} cannot be written to")
    return HealthCheck("environment", "note" if free < LITTLE else "fine", text)


def _plugins(registry: Registry) -> Iterator[HealthCheck]:
    """Every plugin is imported: here one asks for all by name."""
    for kind in KINDS:
        for name in registry.names(kind):
            try:
                registry.item(kind, name)
            except PluginError as error:
                yield HealthCheck("plugins", "wrong", f"{error.code} {error}")
    counted = ", ".join(f"{len(registry.names(kind))} {kind}s" for kind in KINDS)
    who = sorted({str(offer) for offers in registry.offers.values() for offer in offers})
    yield HealthCheck("plugins", "fine", f"{counted}, from {', '.join(who)}")


def _configuration() -> Iterator[HealthCheck]:
    file = configuration_file()
    try:
        roots = configured_roots()
    except SpecError as error:
        yield HealthCheck("configuration", "wrong", str(error))
        return
    yield HealthCheck(
        "configuration", "fine", f"{file}: {len(roots)} allowed folders" if file.is_file() else f"no {file}"
    )
    for root in roots:
        if not root.is_dir():
            yield HealthCheck("configuration", "note", f"{file}: there is no folder {root}")


def _store(store: Store, *, repair: bool) -> Iterator[HealthCheck]:
    if not store.root.is_dir():
        taken = os.path.lexists(store.root)
        text = f"{store.root} is no folder" if taken else f"no store at {store.root} yet"
        yield HealthCheck("store", "wrong" if taken else "fine", text)
        return
    for fault in list(find_faults(store)):
        text = f"{fault.kind}: {fault.path.relative_to(store.root)} ({fault.reason})"
        if repair:
            mend(store, fault)
        severe: Status = "damaged" if fault.kind.startswith("damaged") or fault.kind == "no folder" else "note"
        yield HealthCheck("store", "mended" if repair else severe, text)
    count = len(objects(store))
    yield HealthCheck("store", "fine", f"{count} result{'' if count == 1 else 's'} in {store.root}")
