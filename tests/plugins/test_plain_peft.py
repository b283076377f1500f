"""Saved adapters, opened by PEFT alone, in a process that cannot import customspec: the same logits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from customspec.ml.headers import read_header
from customspec.ml.models import load_model
from customspec.registry import discover
from customspec.runners.tuning import task_of
from customspec.spec import TrainingOptions
from customspec.testing import TinyModels
from customspec.testing.fresh import filled_in
from customspec.testing.workbench import BATCH, PROBE, logits

ADAPTERS = (
    "adalora", "boft", "ia3", "ln_tuning", "loha", "lokr", "lora", "oft", "p_tuning", "prefix_tuning", "prompt_tuning",
    "vera",
)  # fmt: skip
OPENING = """\
import sys
for name in ("customspec", "customspec_tuning"):
    sys.modules[name] = None  # an import of it fails
base, adapters, given, found = sys.argv[1:]
import torch
from pathlib import Path
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

probe = load_file(given)["probe"]
seen = {}
for folder in sorted(Path(adapters).iterdir()):
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, str(folder)).eval()
    with torch.no_grad():
        out = model(input_ids=probe, attention_mask=torch.ones_like(probe), use_cache=False).logits
    seen[folder.name] = out[:, -probe.shape[1] :].contiguous()
save_file(seen, found)
"""


def test_a_saved_adapter_needs_peft_and_nothing_of_ours(models: TinyModels, tmp_path: Path) -> None:
    base, expected = models.folder("llama"), {}
    header, _ = read_header(base)
    for name in ADAPTERS:
        technique = discover().tuning(name)
        options = filled_in(technique, technique.options(), header, len(BATCH))
        assert isinstance(options, TrainingOptions)
        task = task_of(BATCH, lambda text: [20 + byte for byte in text.encode()], None, 20)
        torch.manual_seed(0)
        model = technique.adapt(options, load_model(base, torch.float32), task)
        with torch.no_grad():  # as after a training: away from where it does nothing
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.02 * torch.randn_like(parameter))
        expected[name] = logits(model)
        technique.save(model, tmp_path / "adapters" / name)
    plain = logits(load_model(base, torch.float32))
    save_file({"probe": PROBE}, tmp_path / "given.safetensors")
    command = [str(path) for path in (base, tmp_path / "adapters", tmp_path / "given.safetensors", tmp_path / "found")]
    done = subprocess.run([sys.executable, "-c", OPENING, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = load_file(tmp_path / "found")
    assert sorted(found) == sorted(ADAPTERS)
    for name in ADAPTERS:
        assert float((expected[name] - plain).abs().max()) > 0.01, name
        assert float((found[name] - expected[name]).abs().max()) <= 1e-5 * max(1.0, float(plain.abs().max())), name
