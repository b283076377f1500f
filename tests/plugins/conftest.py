"""Models of the tuning techniques' tests, each made and trained once for a file of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from tunings import ARCHITECTURES, Trained, adapted, run

from customspec.ml.models import load_model
from support import make_model


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folders(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        name: make_model(root / name, name, initializer_range=0.2, **options) for name, options in ARCHITECTURES.items()
    }


@pytest.fixture(scope="module")
def trained(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A function: a technique's model after three steps, and its base's weights before; each is trained once."""
    known: dict[tuple[str, str], tuple[nn.Module, dict[str, Tensor]]] = {}

    def get(technique: str, architecture: str) -> tuple[nn.Module, dict[str, Tensor]]:
        if (technique, architecture) not in known:
            base = load_model(folders[architecture], torch.float32)
            before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
            model = adapted(technique, base)
            run(model, tmp_path_factory.mktemp("scratch"))
            known[technique, architecture] = model.eval(), before
        return known[technique, architecture]

    return get
