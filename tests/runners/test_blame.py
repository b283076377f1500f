"""Whose fault an exception is said to be."""

from __future__ import annotations

from typing import Any

import pytest

from customspec.registry import discover
from customspec.runners.blame import failure_text
from customspec_tuning.any_peft import AnyPeft, AnyPeftOptions


def test_what_a_plugins_modules_share_is_the_fault_of_the_one_that_called_it() -> None:
    options = AnyPeftOptions(method="LORA", config={"layer_dir": "x"})
    nothing: Any = None
    with pytest.raises(ValueError, match="layer_dir") as raised:
        AnyPeft().adapt(options, nothing, nothing)
    assert raised.traceback[-1].frame.f_globals["__name__"] == "customspec_tuning.ml.methods"
    said = failure_text(raised.value, discover())
    assert said.startswith("plugin customspec ")
    assert ": technique `peft`: ValueError: `layer_dir` names a file" in said


def test_what_no_plugin_raises_is_nobodys_fault() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        1 / 0  # noqa: B018
    assert failure_text(raised.value, discover()) == "ZeroDivisionError: division by zero"
