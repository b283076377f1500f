"""A plugin that does not come back is told of while it is at work."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from importlib import import_module
from typing import TypeAlias

import pytest
from conftest import Install

from customspec.containment import plugin_code
from customspec.errors import PluginError
from customspec.inputs.patience import Patience
from customspec.runners.stalled import ENDING, noticing_stalls

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


def test_a_call_that_never_ends_is_ended_and_blamed(wait: Callable[[Until], None]) -> None:
    ended = pytest.raises(PluginError, match="acme: HungError: it was at work whenever looked at for an hour")
    with ended, noticing_stalls(every=0.01, most=6), plugin_code("acme"):
        wait(within(60, lambda: False))


def test_it_ends_a_wait_in_the_system_too(install: Install) -> None:
    install("acme-asleep", "asleep", "import time\n\ndef sleep(): time.sleep(60)\n")
    began = time.monotonic()
    with pytest.raises(PluginError, match="HungError"), noticing_stalls(every=0.01, most=6), plugin_code("acme"):
        import_module("acme_asleep").sleep()
    assert time.monotonic() - began < 50  # or it would have come back by itself


def test_many_calls_of_one_function_are_no_call_that_never_ends(wait: Callable[[Until], None]) -> None:
    with noticing_stalls(every=0.05, most=6):
        for _ in range(30):
            with plugin_code("acme"):
                wait(within(0.03, lambda: False))


def test_a_signal_that_finds_the_core_at_work_ends_nothing() -> None:
    with noticing_stalls():
        signal.raise_signal(ENDING)
    assert signal.getsignal(ENDING) is signal.SIG_DFL
