"""Every comparison with a rival, and the page that shows them.    python -m benchmarks.results --data FOLDER [--quick]

Writes benchmarks/RESULTS.md. Half an hour on two quiet cores with AVX2, `--quick` (fewer rows, one turn) a quarter of
it; any other machine has other times, which is why the page names it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NONE = "No tables are kept yet: they are to be made on a machine that does nothing else.\n"
PAGE = Path(__file__).with_name("RESULTS.md")
HEAD = """\
# Beside the rivals

`python -m benchmarks.results --data FOLDER` writes this page; `make bench-env` makes the rivals' environment first.
The sides run in turn, with the same model in the same type and as many threads, in processes of their own, on the same
rows; of those a slow rival takes the first few, as `rows` says. A row costs lm-eval as much in few rows as in many;
here what all rows begin with is run once, so that many rows cost less each. Rates are medians over the turns; "times
the rival" is the median of the ratios within a turn. GFLOP/s are those of the matrix products that ours executes,
attention left out, beside a square GEMM timed just before. Brackets hold a 95 % interval (Wilson). Peak memory
is the whole process's, libraries included.
"""
TAIL = """\
## On a GPU

`python -m benchmarks.gpu` compares training on a CUDA GPU. It prints its tables, which are not part of this page.
"""
FULL = {
    "scoring": ("--rows", "100", "--rival-rows", "8", "--repeats", "3"),
    "training": ("--rows", "96", "--epochs", "1", "--repeats", "3", "--test-rows", "100"),
    "generation": ("--rows", "24", "--repeats", "3"),
    "startup": ("--times", "7"),
}
QUICK = {
    "scoring": ("--rows", "60", "--rival-rows", "4", "--repeats", "1"),
    "training": ("--rows", "64", "--epochs", "1", "--repeats", "1", "--test-rows", "50"),
    "generation": ("--rows", "16", "--repeats", "1"),
    "startup": ("--times", "3"),
}
WITHOUT_DATA = {"startup"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results", description="Write benchmarks/RESULTS.md.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, help="folder of the data sets: banking77/, e2e/")
    what.add_argument("--without-tables", action="store_true", help="the page as it is before they are made")
    parser.add_argument("--quick", action="store_true", help="fewer rows and turns")
    arguments = parser.parse_args()
    parts = [HEAD, *([NONE] if arguments.without_tables else _tables(arguments.data, quick=arguments.quick))]
    PAGE.write_text("\n".join([*parts, TAIL]), encoding="utf-8")
    return 0


def _tables(data: Path, *, quick: bool) -> Iterator[str]:
    for name, sizes in (QUICK if quick else FULL).items():
        given = [] if name in WITHOUT_DATA else ["--data", str(data)]
        command = [sys.executable, "-m", f"benchmarks.{name}", *given, *sizes]
        told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        shown = " ".join(["python -m", command[2], *(["--data FOLDER"] if given else []), *sizes])
        yield f"## {name.capitalize()}\n\n`{shown}`\n\n{told}"


if __name__ == "__main__":
    sys.exit(main())
