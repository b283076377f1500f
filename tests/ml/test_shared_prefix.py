"""What may share a prefix, and which tokens are one."""

from __future__ import annotations

import pytest
from peft import PromptTuningConfig
from tiny import Make, Tune
from transformers import PreTrainedModel, T5Config, T5ForConditionalGeneration

from customspec.estimate.passes import common_length
from customspec.ml.scoring import score_choices, score_simply
from customspec.ml.shared_prefix import supports_shared_prefix

PROMPTS = [[7, 8, 9, 10, *range(20, 20 + count)] for count in (3, 7, 1)]  # 11 tokens at most
CHOICES = [[5, 2], [5, 6, 2], [9]]
LONGEST = 11 + 3


def gap(model: PreTrainedModel, other: PreTrainedModel) -> float:
    """The largest difference between the scores of one model and the simple scores of another."""
    one, two = score_choices(model, PROMPTS, CHOICES, pad=0), score_simply(other, PROMPTS, CHOICES, pad=0)
    return max(abs(a - b) for row, like in zip(one, two, strict=True) for a, b in zip(row, like, strict=True))


@pytest.mark.parametrize(
    ("prompts", "length"),
    [
        ([[1, 2, 3], [1, 2, 4], [1, 2, 3, 5]], 2),
        ([[1, 2], [1, 2, 3]], 1),  # a prompt keeps a token of its own
        ([[1, 2, 3], [1, 2, 3]], 2),
        ([(1, 2, 3), [1, 2, 4]], 2),
        ([[1, 2], [3, 2]], 0),
        ([[1], [1]], 0),
        ([[1, 2, 3]], 0),  # alone, it would only cost a second pass
    ],
)
def test_the_common_prefix_leaves_each_prompt_a_token(prompts: list[list[int]], length: int) -> None:
    assert common_length(prompts) == length


def test_a_sliding_window_is_no_obstacle_until_a_sequence_outgrows_it(tiny_model: Make) -> None:
    model = tiny_model("mistral", sliding_window=LONGEST)
    assert supports_shared_prefix(model, longest=LONGEST) is None
    assert gap(model, tiny_model("mistral")) < 1e-5
    assert "windows of 14 tokens" in str(supports_shared_prefix(model, longest=LONGEST + 1))
    assert "windows of 14 tokens" in str(supports_shared_prefix(model))


def test_beyond_a_sliding_window_scores_are_the_simple_ones(tiny_model: Make) -> None:
    model = tiny_model("mistral", sliding_window=6)
    assert gap(model, model) == 0
    assert gap(model, tiny_model("mistral")) > 0.1


def test_a_learned_prompt_takes_its_part_of_a_window(tiny_model: Make, tuned: Tune) -> None:
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    model = tuned(tiny_model("mistral", sliding_window=LONGEST), config)
    assert supports_shared_prefix(model, longest=LONGEST - 4) is None
    assert "windows of 14 tokens" in str(supports_shared_prefix(model, longest=LONGEST - 3))


def test_layers_of_which_none_slides_have_no_window(tiny_model: Make) -> None:
    types = {"full": ["full_attention"] * 2, "sliding": ["full_attention", "sliding_attention"]}
    full, sliding = (tiny_model("gemma2", layer_types=layers, sliding_window=6) for layers in types.values())
    assert supports_shared_prefix(full) is None
    assert "windows of 6 tokens" in str(supports_shared_prefix(sliding))


def test_rotary_frequencies_that_change_with_length_are_an_obstacle(tiny_model: Make) -> None:
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    model = tiny_model("llama", rope_parameters=rope, max_position_embeddings=64)
    assert supports_shared_prefix(model, longest=64) is None
    assert "beyond 64 tokens" in str(supports_shared_prefix(model, longest=65))


def test_an_attention_that_takes_no_mask_is_an_obstacle(tiny_model: Make) -> None:
    model = tiny_model("llama", attention="flex_attention")
    assert "flex_attention" in str(supports_shared_prefix(model))


def test_an_encoder_decoder_is_refused() -> None:
    model = T5ForConditionalGeneration(T5Config(vocab_size=97, d_model=8, d_ff=8, d_kv=4, num_layers=1, num_heads=2))
    assert supports_shared_prefix(model) == "it is an encoder-decoder"
    with pytest.raises(ValueError, match="only causal decoders"):
        score_choices(model, PROMPTS, CHOICES, pad=0)
