"""The conformance kit for authors of plugins, and for us: every rule of the contract, tried on tiny models in seconds.

`check_technique(MyTechnique())` raises one error that lists every rule that is broken. `checks_of(MyTechnique())`
gives the rules one by one, each with a name, to parametrize a test with:

    @pytest.mark.parametrize("check", checks_of(MyTechnique()), ids=str)
    def test_the_contract_is_kept(check: Check) -> None:
        check()

A rule that has nothing to look at (the technique refuses that architecture, an extra is not installed) raises
`unittest.SkipTest`.
"""

from customspec.testing.checks import Check, ConformanceError, Outcome
from customspec.testing.models import ARCHITECTURES, TinyModels, make_model, make_tokenizer
from customspec.testing.suite import (
    check_metric,
    check_technique,
    check_watcher,
    checks_of,
    metric_checks_of,
    watcher_checks_of,
)

__all__ = [
    "ARCHITECTURES",
    "Check",
    "ConformanceError",
    "Outcome",
    "TinyModels",
    "check_metric",
    "check_technique",
    "check_watcher",
    "checks_of",
    "make_model",
    "make_tokenizer",
    "metric_checks_of",
    "watcher_checks_of",
]
