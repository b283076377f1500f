"""A GGUF file's header is read once, however often transformers asks for it while it loads one model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import gguf

NAMES = ("GGUFReader", "get_tensor_name_map")  # which transformers takes from the module where it needs them


@contextmanager
def reading_once() -> Iterator[None]:
    """Within it, gguf's reader opens each file once, and the table of an architecture's tensors is made once.

    transformers opens the file for the configuration, for the weights and for the tokenizer, and walks in Python
    through some hundred thousand tokens and merges each time; the table it makes anew for every module of the model.
    It writes to none of them.
    """
    own = {name: vars(gguf)[name] for name in NAMES}
    vars(gguf).update({name: cache(make) for name, make in own.items()})
    try:
        yield
    finally:
        vars(gguf).update(own)
