"""What tests of inputs share."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_folders import Find

from customspec.inputs.digests import Digests
from customspec.inputs.models import ModelFiles, Unresolved, find_model
from customspec.inputs.paths import Roots
from customspec.spec import BaseModelSpec


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """A function: what a `base_model` of a spec in the test's folder names."""

    def find(**ref: str) -> ModelFiles | Unresolved:
        return find_model(BaseModelSpec(**ref), Roots.of(tmp_path), Digests(None))

    return find
