"""The whole suite of a technique, a metric or a watcher, and the calls that a plugin's own tests make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from customspec.hookspecs import Metric, Technique, Watcher
from customspec.testing.checks import Check, raise_broken
from customspec.testing.metrics import metric_checks
from customspec.testing.models import ARCHITECTURES, TinyModels
from customspec.testing.prompting import prompting_checks
from customspec.testing.shared import shared_checks
from customspec.testing.subject import Subject
from customspec.testing.tuning import tuning_checks
from customspec.testing.watchers import watcher_checks


def checks_of(
    technique: Technique,
    options: Mapping[str, Any] | None = None,
    *,
    architectures: tuple[str, ...] = ARCHITECTURES,
    models: TinyModels | None = None,
) -> tuple[Check, ...]:
    """Every rule for a technique, none of them tried yet.

    `options`: what a person would write under its name in a spec; needed where an option has no default.
    `architectures`: those of `ARCHITECTURES` that a tuning technique is tried on. `models`: shared by several calls.
    """
    subject, models = Subject(technique, options or {}), models or TinyModels()
    own = (
        tuning_checks(subject, architectures, models)
        if getattr(technique, "family", None) == "tuning"
        else prompting_checks(subject, models)
    )
    return (*shared_checks(subject), *own)


def check_technique(
    technique: Technique,
    options: Mapping[str, Any] | None = None,
    *,
    architectures: tuple[str, ...] = ARCHITECTURES,
    models: TinyModels | None = None,
) -> None:
    """Try every rule. Raises ConformanceError, which lists all that are broken; the arguments are `checks_of`'s."""
    checks = checks_of(technique, options, architectures=architectures, models=models)
    raise_broken(f"technique `{technique.name}`", checks)


def metric_checks_of(metric: Metric, options: Mapping[str, Any] | None = None) -> tuple[Check, ...]:
    """Every rule for a metric, none of them tried yet. `options`: what a person would write under its name."""
    return tuple(metric_checks(metric, options or {}))


def check_metric(metric: Metric, options: Mapping[str, Any] | None = None) -> None:
    """Try every rule. Raises ConformanceError, which lists all that are broken."""
    raise_broken(f"metric `{metric.name}`", metric_checks_of(metric, options))


def watcher_checks_of(watcher: Watcher) -> tuple[Check, ...]:
    """Every rule for a watcher, none of them tried yet."""
    return tuple(watcher_checks(watcher))


def check_watcher(watcher: Watcher) -> None:
    """Try every rule. Raises ConformanceError, which lists all that are broken."""
    raise_broken(f"watcher `{watcher.name}`", watcher_checks_of(watcher))
