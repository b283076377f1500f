"""Facts about this machine and its libraries, found without importing torch."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from customspec.errors import MachineError, UsageError

Device = Literal["cpu", "cuda", "mps"]
Dtype = Literal["bfloat16", "float32"]

_DEVICE: Final = re.compile(r"auto|cpu|mps|cuda(?::(?P<index>[0-9]{1,3}))?")
_CGROUP_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # version 2, 1
_BFLOAT16_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16"})
_CAPABILITY_MAJOR: Final = 75  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
_CAPABILITY_MINOR: Final = 76

log = logging.getLogger("customspec")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where steps run. `memory_bytes` is the device's; `cores` are those that this process may use."""

    device: Device
    compute_dtype: Dtype
    python: str
    torch: str
    transformers: str
    peft: str
    device_name: str
    cores: int
    memory_bytes: int | None
    index: int = 0

    @property
    def torch_device(self) -> str:
        """The device as torch names it: `cpu`, `mps`, `cuda:0`."""
        return f"cuda:{self.index}" if self.device == "cuda" else self.device

    def key(self) -> dict[str, str]:
        """What a stored result depends on beside its step: kind of device, compute type, versions."""
        return {
            "device": self.device,
            "compute_dtype": self.compute_dtype,
            "torch": self.torch,
            "transformers": self.transformers,
            "peft": self.peft,
        }


@dataclass(frozen=True, slots=True)
class Gpu:
    """A CUDA device, as its driver describes it."""

    name: str
    capability: tuple[int, int]
    memory_bytes: int

    @property
    def compute_dtype(self) -> Dtype:
        """bfloat16 from Ampere (8.0) on; older ones only emulate it."""
        return "bfloat16" if self.capability >= (8, 0) else "float32"


@dataclass(frozen=True, slots=True)
class _Place:
    device: Device
    index: int
    name: str
    compute_dtype: Dtype
    memory_bytes: int | None


def detect(device: str = "auto") -> Machine:
    """This machine, computing on `auto`, `cpu`, `mps`, `cuda` or `cuda:1`; `auto` takes the fastest that is there.

    Raises UsageError for another name, MachineError for a device that is not there, and when torch, transformers or
    peft is not installed. Looking for a GPU initializes the CUDA driver: a process forked after it cannot use the GPU,
    one that is spawned can.
    """
    asked = _DEVICE.fullmatch(device)
    if asked is None:
        raise UsageError(f"unknown device {device!r}: it is auto, cpu, mps, cuda, or one of several, as cuda:1")
    torch, transformers, peft = (_installed(name) for name in ("torch", "transformers", "peft"))
    place = _place(device.partition(":")[0], int(asked["index"] or 0))
    return Machine(
        device=place.device,
        compute_dtype=place.compute_dtype,
        python=platform.python_version(),
        torch=torch,
        transformers=transformers,
        peft=peft,
        device_name=place.name,
        cores=_cores(),
        memory_bytes=place.memory_bytes,
        index=place.index,
    )


def cuda_gpus(library: str = "libcuda.so.1") -> tuple[Gpu, ...]:
    """The GPUs that the CUDA driver shows to this process, at least one. Raises MachineError with the reason."""
    try:
        driver = ctypes.CDLL(library)
    except OSError as error:
        raise MachineError(f"no CUDA driver is installed: {error}") from error
    count = ctypes.c_int()
    if (code := driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))) or not count.value:
        raise MachineError(f"the CUDA driver shows no GPU: error {code}")
    return tuple(_gpu(driver, index) for index in range(count.value))


def chosen_gpu(gpus: Sequence[Gpu], index: int) -> Gpu:
    """The GPU of that number, counted from 0. Raises MachineError when there are fewer."""
    if index >= len(gpus):
        raise MachineError(f"no device cuda:{index}: the last one is cuda:{len(gpus) - 1}")
    return gpus[index]


def is_cuda_build(version_file: str) -> bool:
    """Whether torch was built for CUDA, by the text of its `version.py`."""
    return re.search(r"""^cuda\b[^=\n]*=\s*['"]""", version_file, re.MULTILINE) is not None


def cpu_dtype(cpuinfo: str) -> Dtype:
    """bfloat16 where the CPU multiplies it in hardware, by the text of Linux's /proc/cpuinfo."""
    flags = _cpu_fact(cpuinfo, "flags") or ""
    return "bfloat16" if _BFLOAT16_FLAGS & set(flags.split()) else "float32"


def cpu_name(cpuinfo: str) -> str | None:
    """The CPU's name, by the text of Linux's /proc/cpuinfo, or None where it does not tell."""
    return _cpu_fact(cpuinfo, "model name")


def least_memory(physical: int | None, limits: Iterable[str]) -> int | None:
    """The bytes that this process may have: the machine's, or less, by the texts of its control group's limits."""
    known = [int(text) for text in limits if text.strip().isdecimal()]
    return min([*known, *([physical] if physical is not None else [])], default=None)


def _place(device: str, index: int) -> _Place:
    if device == "cpu":
        return _cpu()
    if device == "mps":
        return _mps()
    if device == "cuda":
        return _cuda(index)
    if _is_apple_silicon():
        return _mps()
    try:
        return _cuda(0)
    except MachineError as error:
        log.info("computing on the CPU: %s", error)
        return _cpu()


def _cpu() -> _Place:
    cpuinfo = _text("/proc/cpuinfo")
    name = cpu_name(cpuinfo) or platform.machine()
    return _Place("cpu", 0, name, cpu_dtype(cpuinfo), _memory())


def _mps() -> _Place:
    if not _is_apple_silicon():
        raise MachineError("no device mps: it is found on Macs with Apple silicon")
    return _Place("mps", 0, "Apple silicon", "float32", _memory())


def _cuda(index: int) -> _Place:
    if not is_cuda_build(_text(_torch_version_file())):
        raise MachineError(f"no device cuda: torch {_installed('torch')} is built without CUDA")
    gpu = chosen_gpu(cuda_gpus(), index)
    return _Place("cuda", index, gpu.name, gpu.compute_dtype, gpu.memory_bytes)


def _gpu(driver: ctypes.CDLL, index: int) -> Gpu:
    device, major, minor, memory = ctypes.c_int(), ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    name = ctypes.create_string_buffer(256)
    code = (
        driver.cuDeviceGet(ctypes.byref(device), index)
        or driver.cuDeviceGetName(name, len(name), device)
        or driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
        or driver.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, device)
        or driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    )
    if code:
        raise MachineError(f"the CUDA driver cannot describe cuda:{index}: error {code}")
    return Gpu(name.value.decode(errors="replace"), (major.value, minor.value), memory.value)


def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        raise MachineError(f"{distribution} is not installed in this environment") from None


def _torch_version_file() -> str:
    spec = find_spec("torch")  # finds the package without importing it
    folders = spec.submodule_search_locations if spec else None
    return str(Path(next(iter(folders), "")) / "version.py") if folders else ""


def _is_apple_silicon() -> bool:
    return sys.platform == "darwin" and platform.machine() == "arm64"


def _cpu_fact(cpuinfo: str, key: str) -> str | None:
    found = re.search(rf"^{key}[ \t]*:[ \t]*(.*)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _memory() -> int | None:
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        physical = None
    return least_memory(physical, map(_text, _CGROUP_LIMITS))


def _text(path: str) -> str:
    """The text of a file of the system, empty where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
