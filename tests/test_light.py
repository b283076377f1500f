"""Commands that only look never load what computes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support import Workspace

HEAVY = (
    "torch",
    "transformers",
    "peft",
    "datasets",
    "accelerate",
    "sacrebleu",
    "rouge_score",
    "tensorboard",
    "mlflow",
)

PROGRAM = """
import sys
from customspec.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
print("\\n#", code, sorted({name.partition(".")[0] for name in sys.modules} & set(HEAVY)), file=sys.stderr)
"""


def loaded(space: Workspace, *arguments: str, heavy: tuple[str, ...] = HEAVY) -> str:
    """The last line: exit code, and which of the heavy modules the command's process holds."""
    program = f"HEAVY = {heavy!r}\n" + PROGRAM
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=space.root, capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["validate", "spec.yaml"],
        ["plan", "spec.yaml"],
        ["show", "spec.yaml"],
        ["advise", "spec.yaml"],
        ["techniques"],
        ["techniques", "lora"],
        ["plugin", "check", "zero_shot"],
        ["metrics"],
        ["metrics", "json_schema"],
        ["watchers"],
        ["schema"],
    ],
    ids=" ".join,
)
def test_looking_loads_no_torch(workspace: Workspace, arguments: list[str]) -> None:
    workspace.spec("techniques: [zero_shot, {few_shot: {shots: 2, select: similar}}, lora, full]")
    assert loaded(workspace, *arguments) == "# 0 []"


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_a_command_that_is_given_again_loads_little(workspace: Workspace, command: str) -> None:
    workspace.spec("techniques: [zero_shot, lora]\ngoal: {metric: accuracy, at_least: 0.5}")
    heavy = (*HEAVY, "jinja2", "numpy", "scipy", "tokenizers")
    loaded(workspace, command, "spec.yaml")
    assert loaded(workspace, command, "spec.yaml", heavy=heavy) == "# 0 []"


def test_a_run_that_finds_everything_in_the_store_loads_no_torch(workspace: Workspace) -> None:
    workspace.spec("techniques: [zero_shot]")
    assert "torch" in loaded(workspace, "run", "spec.yaml")
    assert loaded(workspace, "run", "spec.yaml") == "# 0 []"
