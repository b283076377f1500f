"""Every technique, metric and watcher that ships keeps the contract, as the conformance kit tries it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from customspec.registry import Kind, discover
from customspec.testing import TinyModels, check_metric, check_technique, check_watcher
from support import long_form_of


def shipped(kind: Kind) -> Sequence[str]:
    offers = [offer for claims in discover().offers.values() for offer in claims]
    return sorted(offer.name for offer in offers if offer.kind == kind and offer.distribution == "customspec")


# The others are kin of these, and tried in the long form.
USUAL = {"zero_shot", "one_shot", "few_shot", "chain_of_thought", "lora", "full", "prompt_tuning", "prefix_tuning"}


@pytest.mark.parametrize("name", long_form_of(shipped("technique"), lambda name: name not in USUAL))
def test_every_technique_that_ships_keeps_the_contract(name: str, models: TinyModels) -> None:
    check_technique(discover().technique(name), NEEDED.get(name), models=models)


OTHERWISE: list[tuple[str, dict[str, Any]]] = [
    ("few_shot", {"select": "random"}),
    ("few_shot", {"select": "similar", "shots": 3}),
    ("few_shot", {"select": "fixed", "rows": [5, 1, 8]}),
    ("few_shot", {"select": "fixed", "rows": [3, 1, 2]}),
    ("chain_of_thought", {"rationale": "why"}),
    ("self_consistency", {"rationale": "why", "select": "similar", "shots": 2}),
]


@pytest.mark.parametrize(("name", "options"), OTHERWISE)
def test_a_prompting_technique_that_ships_keeps_the_contract_with_other_options(
    name: str, options: dict[str, Any]
) -> None:
    check_technique(discover().technique(name), options)


NEEDED: dict[str, dict[str, Any]] = {
    "peft": {"method": "LORA", "config": {"r": 4, "target_modules": "all-linear"}},
    "regex": {"pattern": "[a-z ]+"},
    "json_schema": {"against": {"type": "object"}},
}


@pytest.mark.parametrize("name", shipped("metric"))
def test_every_metric_that_ships_keeps_the_contract(name: str) -> None:
    check_metric(discover().metric(name), NEEDED.get(name))


@pytest.mark.parametrize("name", shipped("watcher"))
def test_every_watcher_that_ships_keeps_the_contract(name: str) -> None:
    check_watcher(discover().watcher(name))
