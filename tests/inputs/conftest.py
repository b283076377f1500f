"""What tests of inputs share."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_folders import Find
from saved_models import MODELS, Saved

from customspec.inputs.digests import Digests
from customspec.inputs.models import ModelFiles, Unresolved, find_model
from customspec.inputs.paths import Roots
from customspec.spec import BaseModelSpec
from support import make_model


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """A function: what a `base_model` of a spec in the test's folder names."""

    def find(**ref: str) -> ModelFiles | Unresolved:
        return find_model(BaseModelSpec(**ref), Roots.of(tmp_path), Digests(None))

    return find


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A function: the folder of a tiny model by its name; each is made once."""
    folders: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in folders:
            architecture, options = MODELS[name]
            folders[name] = make_model(tmp_path_factory.mktemp("models") / name, architecture, **options)
        return folders[name]

    return folder
