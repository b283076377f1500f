from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from customspec.errors import MachineError, UsageError
from customspec.machine import Gpu, chosen_gpu, cpu_dtype, cpu_name, cuda_gpus, detect, is_cuda_build, least_memory

EPYC = """\
processor\t: 0
vendor_id\t: AuthenticAMD
model\t\t: 17
model name\t: AMD EPYC 9254 24-Core Processor
flags\t\t: fpu vme sse4_2 avx2 avx512f avx512bw avx512_bf16 avx512_vnni avx512_bitalg
bugs\t\t: sysret_ss_attrs null_seg

processor\t: 1
model name\t: AMD EPYC 9254 24-Core Processor
flags\t\t: fpu vme sse4_2 avx2 avx512f avx512bw avx512_bf16 avx512_vnni avx512_bitalg
"""
SAPPHIRE = """\
model name\t: Intel(R) Xeon(R) Platinum 8480+
flags\t\t: fpu avx2 avx512f amx_bf16 amx_tile amx_int8
vmx flags\t: vnmi preemption_timer
"""
SKYLAKE = """\
model name\t: Intel(R) Xeon(R) CPU @ 2.00GHz
vmx flags\t: vnmi avx512_bf16
flags\t\t: fpu avx2 avx512f avx512dq avx512cd avx512bw avx512vl
"""
GRAVITON = """\
processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd evtstrm aes bf16 svebf16
"""
CUDA_BUILD = """\
from typing import Optional

__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip', 'rocm', 'xpu']
__version__ = '2.11.0+cu128'
debug = False
cuda: Optional[str] = '12.8'
git_version = '70d99e998b4955e0049d13a98d77ae1b14db1f45'
hip: Optional[str] = None
"""
CPU_BUILD = CUDA_BUILD.replace("'12.8'", "None").replace("+cu128", "+cpu")
ROCM_BUILD = CPU_BUILD.replace("hip: Optional[str] = None", "hip: Optional[str] = '6.4'")
OLD_CUDA_BUILD = "__version__ = '1.7.1'\ndebug = False\ncuda = '10.2'\nhip = None\n"

# A driver of two GPUs: the least that a real libcuda answers, with its function names, argument types and codes.
DRIVER = """
#include <stddef.h>
#include <string.h>
static const char *names[] = {"NVIDIA H200", "Tesla V100-SXM2-16GB"};
static const int major[] = {9, 7};
static const size_t memory[] = {150754820096ull, 16945512448ull};
int cuInit(unsigned flags) { return flags == 0 ? INIT : 1; }
int cuDeviceGetCount(int *count) { *count = COUNT; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal < 2 ? 0 : 101; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, names[device], length); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    if (attribute != 75 && attribute != 76) return 1;
    *value = attribute == 75 ? major[device] : 0;
    return 0;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = memory[device]; return 0; }
"""


def driver(folder: Path, init: int = 0, count: int = 2) -> str:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source, library = folder / "driver.c", folder / f"driver-{init}-{count}.so"
    source.write_text(DRIVER, encoding="utf-8")
    command = [compiler, "-shared", "-fPIC", f"-DINIT={init}", f"-DCOUNT={count}", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    return str(library)


# --- texts


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [(EPYC, "bfloat16"), (SAPPHIRE, "bfloat16"), (SKYLAKE, "float32"), (GRAVITON, "float32"), ("", "float32")],
)
def test_the_cpu_computes_in_bfloat16_where_its_flags_say_so(cpuinfo: str, expected: str) -> None:
    assert cpu_dtype(cpuinfo) == expected


def test_a_flag_counts_whole_not_as_a_part_of_another() -> None:
    assert cpu_dtype("flags\t\t: fpu xavx512_bf16x no_amx_bf16\n") == "float32"


def test_the_cpus_name_is_read_where_it_is_told() -> None:
    assert cpu_name(EPYC) == "AMD EPYC 9254 24-Core Processor"
    assert cpu_name(GRAVITON) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [(CUDA_BUILD, True), (OLD_CUDA_BUILD, True), (CPU_BUILD, False), (ROCM_BUILD, False), ("", False)],
)
def test_a_cuda_build_of_torch_is_told_by_its_version_file(text: str, expected: bool) -> None:
    assert is_cuda_build(text) is expected


@pytest.mark.parametrize(
    ("physical", "limits", "expected"),
    [
        (64, [], 64),
        (64, ["max\n", ""], 64),
        (64, ["8\n", ""], 8),
        (64, ["", "9223372036854771712\n"], 64),
        (None, ["8\n"], 8),
        (None, ["max\n"], None),
    ],
)
def test_memory_is_the_least_of_the_machines_and_the_control_groups(
    physical: int | None, limits: list[str], expected: int | None
) -> None:
    assert least_memory(physical, limits) == expected


# --- the CUDA driver


def test_gpus_are_as_the_driver_describes_them(tmp_path: Path) -> None:
    assert cuda_gpus(driver(tmp_path)) == (
        Gpu("NVIDIA H200", (9, 0), 150_754_820_096),
        Gpu("Tesla V100-SXM2-16GB", (7, 0), 16_945_512_448),
    )


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 5), "float32"), ((8, 0), "bfloat16"), ((8, 9), "bfloat16"), ((12, 0), "bfloat16")]
)
def test_a_gpu_computes_in_bfloat16_from_ampere_on(capability: tuple[int, int], expected: str) -> None:
    assert Gpu("any", capability, 1).compute_dtype == expected


@pytest.mark.parametrize(("init", "count", "code"), [(100, 2, 100), (803, 2, 803), (0, 0, 0)])
def test_a_driver_without_a_usable_gpu_is_an_error_with_its_code(
    tmp_path: Path, init: int, count: int, code: int
) -> None:
    with pytest.raises(MachineError, match=f"shows no GPU: error {code}$"):
        cuda_gpus(driver(tmp_path, init, count))


def test_a_gpu_that_the_driver_counts_but_cannot_describe_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="cannot describe cuda:2: error 101"):
        cuda_gpus(driver(tmp_path, count=3))


def test_a_gpu_is_chosen_by_its_number() -> None:
    gpus = [Gpu("first", (9, 0), 1), Gpu("second", (9, 0), 1)]
    assert [chosen_gpu(gpus, index).name for index in (0, 1)] == ["first", "second"]
    with pytest.raises(MachineError, match="no device cuda:2: the last one is cuda:1"):
        chosen_gpu(gpus, 2)


def test_a_missing_driver_is_an_error() -> None:
    with pytest.raises(MachineError, match="no CUDA driver"):
        cuda_gpus("libcuda-that-is-not-there.so.1")


# --- this machine


def test_the_cpu_is_always_there() -> None:
    machine = detect("cpu")
    assert (machine.device, machine.torch_device, machine.index) == ("cpu", "cpu", 0)
    assert machine.python == platform.python_version()
    assert [machine.torch, machine.transformers, machine.peft] == [
        version(name) for name in ("torch", "transformers", "peft")
    ]
    assert machine.device_name
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert machine.memory_bytes is None or machine.memory_bytes > 2**27


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_process_bound_to_one_core_counts_one() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from customspec.machine import detect; print(detect('cpu').cores)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "1\n"


def test_auto_finds_what_torch_finds() -> None:
    import torch

    expected = "mps" if torch.backends.mps.is_available() else "cuda" if torch.cuda.is_available() else "cpu"
    assert detect().device == expected
    if expected == "cuda":
        assert detect("cuda").device_name == torch.cuda.get_device_name(0)
        assert detect("cuda").memory_bytes >= torch.cuda.get_device_properties(0).total_memory  # type: ignore[operator]


@pytest.mark.parametrize("name", ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "cuda:1:2", "cpu:0", "xpu", "auto "])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="unknown device"):
        detect(name)


@pytest.mark.parametrize("name", ["cuda:999", "mps"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    if name == "mps" and platform.system() == "Darwin" and platform.machine() == "arm64":
        pytest.skip("it is there")
    with pytest.raises(MachineError, match=r"no device|no CUDA driver|no GPU"):
        detect(name)


def test_a_missing_library_is_named() -> None:
    libraries = Path(sys.executable).parent.parent / "lib"
    code = "import sys; from customspec.machine import detect\n"
    code += "sys.path = [path for path in sys.path if not path.startswith(sys.argv[1])]\n"
    code += "try: detect('cpu')\nexcept Exception as error: print(type(error).__name__, error)"
    found = subprocess.run([sys.executable, "-c", code, libraries], check=True, capture_output=True, text=True).stdout
    assert found == "MachineError torch is not installed in this environment\n"


def test_the_key_holds_what_results_depend_on_and_nothing_of_the_machine_beyond() -> None:
    machine = detect("cpu")
    assert set(machine.key()) == {"device", "compute_dtype", "torch", "transformers", "peft"}
    same = replace(machine, device_name="other", cores=999, memory_bytes=None, python="3.99", index=3)
    assert same.key() == machine.key()
    for change in ({"device": "cuda"}, {"compute_dtype": "none"}, {"torch": "0"}, {"transformers": "0"}, {"peft": "0"}):
        assert replace(machine, **change).key() != machine.key()  # type: ignore[arg-type]


def test_one_of_several_gpus_is_named_as_torch_names_it() -> None:
    assert replace(detect("cpu"), device="cuda", index=1).torch_device == "cuda:1"


def test_detecting_pulls_no_heavy_library() -> None:
    code = "import json, sys, customspec.machine; customspec.machine.detect(); print(json.dumps(sorted(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "ctypes" in json.loads(found)
    assert not {"torch", "transformers", "peft", "numpy"} & set(json.loads(found))
