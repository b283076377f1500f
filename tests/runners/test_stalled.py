"""A plugin that does not come back is told of while it is at work."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from importlib import import_module
from typing import TypeAlias

import pytest
from conftest import Install

from customspec.inputs.patience import Patience
from customspec.runners.stalled import noticing_stalls

Until: TypeAlias = Callable[[], bool]
SLOW = """
from time import sleep

class Slow:
    def wait(self, until):
        while not until():
            sleep(0.01)
"""


def within(seconds: float, told: Until) -> Until:
    """Whether it was told, or the time is up."""
    end = time.monotonic() + seconds
    return lambda: told() or time.monotonic() > end


@pytest.fixture
def wait(install: Install) -> Callable[[Until], None]:
    """A plugin's function that comes back when it is told to."""
    install("acme-slow", "slow", SLOW)
    waits: Callable[[Until], None] = import_module("acme_slow").Slow().wait
    return waits


def test_the_plugin_and_its_function_are_named(wait: Callable[[Until], None], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "customspec"), noticing_stalls(every=0.02):
        wait(within(60, lambda: bool(caplog.records)))
    (told,) = {record.getMessage() for record in caplog.records}
    assert told.startswith("plugin acme-slow 1.0 was at work in acme_slow.Slow.wait whenever looked at for 0.1 s: if")


def test_what_comes_back_in_time_is_not_told(wait: Callable[[Until], None], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "customspec"), noticing_stalls(every=30):
        wait(within(0.1, lambda: False))
    assert not caplog.records


def test_the_core_at_work_for_a_plugin_is_no_stall(
    wait: Callable[[Until], None], caplog: pytest.LogCaptureFixture
) -> None:
    def call() -> bool:
        time.sleep(0.5)
        return True

    with caplog.at_level(logging.WARNING, "customspec"), noticing_stalls(every=0.01):
        wait(lambda: Patience().within(call, 1))
    assert not caplog.records
