"""The commands that serve an export elsewhere, and the sentences where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from customspec.report.serving import Base, Form, servings

HUB = Base("owner/tiny@main", "owner/tiny", "abc123")
FOLDER = Base("model", "/models/my model")
GGUF = Base("pkg/tiny.gguf", None)
LORA: dict[str, Any] = {"peft_type": "LORA", "r": 8}


@pytest.mark.parametrize(
    ("form", "base", "adapter", "vllm", "transformers"),
    [
        ("merged", GGUF, None, "vllm serve out", "transformers serve out"),
        ("model", FOLDER, None, "vllm serve out", "transformers serve out"),
        ("prompt", FOLDER, None, "vllm serve '/models/my model'", "transformers serve '/models/my model'"),
        ("prompt", HUB, None, "vllm serve owner/tiny --revision abc123", "transformers serve owner/tiny@abc123"),
        ("prompt", GGUF, None, "is a GGUF file: export with --merge", "is a GGUF file: export with --merge"),
        (
            "adapter",
            HUB,
            LORA,
            "vllm serve owner/tiny --revision abc123 --enable-lora --lora-modules name=out",
            "it serves whole models: export with --merge",
        ),
        (
            "adapter",
            FOLDER,
            {**LORA, "r": 20},
            "vllm serve '/models/my model' --enable-lora --max-lora-rank 32 --lora-modules name=out",
            "export with --merge",
        ),
        (
            "adapter",
            FOLDER,
            {**LORA, "rank_pattern": {"q_proj": 200}},
            "vllm serve '/models/my model' --enable-lora --max-lora-rank 256 --lora-modules name=out",
            "export with --merge",
        ),
        ("adapter", HUB, {**LORA, "r": 513}, "vLLM takes ranks up to 512: export with --merge", "whole models"),
        ("adapter", HUB, {**LORA, "use_dora": True}, "vLLM does not take DoRA", "whole models"),
        ("adapter", HUB, {**LORA, "modules_to_save": ["lm_head"]}, "no adapter with whole modules", "whole models"),
        ("adapter", GGUF, LORA, "is a GGUF file: export with --merge", "whole models"),
        ("adapter", HUB, {"peft_type": "IA3"}, "vLLM serves LoRA adapters, not IA3", "whole models"),
        ("adapter", HUB, {"peft_type": "PREFIX_TUNING"}, "vLLM serves no learned prompts", "it serves whole models"),
        ("other", HUB, None, "in its plugin's own layout", "in its plugin's own layout"),
    ],
)
def test_the_command_or_the_reason(
    form: Form, base: Base, adapter: dict[str, Any] | None, vllm: str, transformers: str
) -> None:
    for served, expected in zip(servings(form, "out", "name", base, adapter), (vllm, transformers), strict=True):
        is_command = expected.startswith(("vllm serve", "transformers serve"))
        assert (served.command is not None, served.why is None) == (is_command, is_command)
        assert served.command == expected if is_command else expected in str(served.why)


def test_a_path_that_transformers_would_read_as_a_revision() -> None:
    served = servings("merged", "runs/lora@0", "name", GGUF, None)[1]
    assert served.command is None
    assert "a path without one" in str(served.why)
