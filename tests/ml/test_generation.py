"""Greedy generation: batches against one prompt at a time, written out as a loop."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import CPTConfig, PeftConfig
from tiny import ADAPTERS, APART, HEAD, TOGETHER, Make, Tune, Watch, letters, numbers
from torch import nn
from transformers import GenerationConfig

from customspec.ml.generation import Generated, generate

NEW = 8


def alone(model: nn.Module, prompt: list[int], count: int = NEW) -> list[int]:
    """Greedy generation as the textbook has it: no cache, no batch, no padding."""
    tokens = list(prompt)
    with torch.inference_mode():
        for _ in range(count):
            tokens.append(int(model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[len(prompt) :]


def together(model: nn.Module, prompts: list[list[int]], **options: Any) -> list[Generated]:
    chosen = {"max_new_tokens": NEW, "ends": (), "decode": numbers, "pad": 0, **options}
    return generate(model, prompts, **chosen)


@pytest.mark.parametrize("prompts", [TOGETHER, APART, TOGETHER[:1]], ids=["together", "apart", "one"])
@pytest.mark.parametrize(
    "architecture",
    ["llama", "gpt2", "qwen2", "gemma", "gemma2", "opt", "mistral", "gpt_neo", "bloom", "mamba"],
)
def test_many_prompts_are_continued_as_each_is_alone(
    tiny_model: Make, architecture: str, prompts: list[list[int]]
) -> None:
    model = tiny_model(architecture)
    expected = [numbers(alone(model, prompt)) for prompt in prompts]
    assert len(set(expected)) > len(prompts) // 2
    assert together(model, prompts) == [Generated(text, NEW, finished=False) for text in expected]


def test_a_sliding_window_is_kept(tiny_model: Make) -> None:
    model = tiny_model("mistral", sliding_window=6)
    expected = [numbers(alone(model, prompt)) for prompt in TOGETHER]
    assert [row.text for row in together(model, TOGETHER)] == expected
    assert expected != [row.text for row in together(tiny_model("mistral"), TOGETHER)]


@pytest.mark.parametrize("prompts", [TOGETHER, APART, TOGETHER[:1]], ids=["together", "apart", "one"])
@pytest.mark.parametrize("config", ADAPTERS, ids=lambda config: str(config.peft_type))
def test_an_adapter_speaks_in_every_batch(
    tiny_model: Make, tuned: Tune, config: PeftConfig, prompts: list[list[int]]
) -> None:
    plain = together(tiny_model("llama"), prompts)
    model = tuned(tiny_model("llama"), config)
    found = together(model, prompts)
    assert [row.text for row in found] == [numbers(alone(model, prompt)) for prompt in prompts]
    assert found != plain


@pytest.mark.filterwarnings("ignore:Position ids are not supported")  # which is why no row may be padded
def test_a_learned_prompt_of_another_kind_is_continued_without_padding(tiny_model: Make, tuned: Tune) -> None:
    config = CPTConfig(task_type="CAUSAL_LM", cpt_token_ids=[3], cpt_mask=[1], cpt_tokens_type_mask=[1])
    model = tuned(tiny_model("llama"), config)
    found = together(model, TOGETHER)
    assert [row.text for row in found] == [numbers(alone(model, prompt)) for prompt in TOGETHER]


def test_what_is_generated_does_not_depend_on_the_batches(tiny_model: Make) -> None:
    model = tiny_model("llama")
    assert together(model, TOGETHER, tokens_per_batch=1) == together(model, TOGETHER, tokens_per_batch=10_000)


def test_the_prefix_is_fed_once_then_own_tokens_then_one_a_step(tiny_model: Make, watched: Watch) -> None:
    model = tiny_model("llama")
    fed = watched(model)
    together(model, TOGETHER, tokens_per_batch=2 * (len(HEAD) + 7 + NEW))
    steps = [shape for rows, width in ((1, 12), (2, 7), (2, 3)) for shape in [(rows, width), *[(rows, 1)] * (NEW - 1)]]
    assert fed[-len(steps) - 1 :] == [(1, len(HEAD)), *steps]


def test_a_row_ends_at_an_end_token_that_is_not_part_of_the_text(tiny_model: Make) -> None:
    model = tiny_model("llama")
    free = [alone(model, prompt) for prompt in TOGETHER]
    end = free[0][1]
    assert end != free[0][0]
    assert any(end not in row for row in free)
    for found, row in zip(together(model, TOGETHER, ends={end}), free, strict=True):
        length = row.index(end) + 1 if end in row else NEW
        assert found == Generated(numbers(row[: length - (end in row)]), length, finished=end in row)


def test_any_of_several_end_tokens_ends_a_row(tiny_model: Make) -> None:
    model = tiny_model("llama")
    free = [alone(model, prompt) for prompt in TOGETHER]
    found = together(model, TOGETHER, ends=[row[2] for row in free])
    assert all(row.finished and row.tokens <= 3 for row in found)


def test_a_row_ends_at_a_stop_text_that_spans_tokens_and_is_cut_before_it(tiny_model: Make) -> None:
    model = tiny_model("llama")
    free = [alone(model, prompt) for prompt in TOGETHER]
    word = letters(free[0])[3:5]
    assert letters(free[0]).index(word) == 3
    found = together(model, TOGETHER, decode=letters, stop=[word])
    assert found[0] == Generated(letters(free[0])[:3].strip(), 5, finished=True)
    for row, tokens in zip(found, free, strict=True):
        assert row.finished == (word in letters(tokens))
        assert row.text == letters(tokens).partition(word)[0].strip()


def test_the_first_of_several_stop_texts_cuts(tiny_model: Make) -> None:
    model = tiny_model("llama")
    text = letters(alone(model, TOGETHER[0]))
    [row] = together(model, TOGETHER[:1], decode=letters, stop=[text[5:], text[2:4]])
    assert row.text == text[: text.index(text[2:4])].strip()


def test_a_batch_stops_when_all_its_rows_have_ended(tiny_model: Make, watched: Watch) -> None:
    model = tiny_model("llama")
    first = [alone(model, prompt, 1)[0] for prompt in TOGETHER]
    fed = watched(model)
    together(model, TOGETHER, ends=first, max_new_tokens=50)
    assert fed[-1] == (len(TOGETHER), 12)


def test_white_space_around_the_text_is_stripped(tiny_model: Make) -> None:
    [row] = together(tiny_model("llama"), TOGETHER[:1], decode=lambda tokens: " \n an answer\n ")
    assert row.text == "an answer"


def test_sampling_settings_of_the_model_are_ignored_kept_and_not_warned_about(
    tiny_model: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model("llama")
    expected = together(model, TOGETHER)
    own = GenerationConfig(
        do_sample=True, temperature=0.01, top_p=0.1, top_k=3, repetition_penalty=9.0, eos_token_id=5, max_length=9
    )
    model.generation_config = own
    capfd.readouterr()
    assert together(model, TOGETHER) == expected
    assert capfd.readouterr() == ("", "")
    assert model.generation_config is own


def test_training_goes_on_where_it_was_and_dropout_is_off_meanwhile(tiny_model: Make) -> None:
    model = tiny_model("gpt2", resid_pdrop=0.5)
    expected = together(model, TOGETHER)
    model.train()
    assert together(model, TOGETHER) == expected
    assert all(module.training for module in model.modules())


def test_progress_adds_up_to_all_prompts(tiny_model: Make) -> None:
    told: list[int] = []
    together(tiny_model("llama"), TOGETHER, tokens_per_batch=60, progress=told.append)
    assert len(told) > 1
    assert sum(told) == len(TOGETHER)


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ([], {}, "There are no prompts"),
        ([[3], []], {}, "A prompt has no tokens: number 2"),
        ([[3]], {"stop": ["x", ""]}, "A stop text is empty"),
        ([[3]], {"max_new_tokens": 0}, "At least one token must be generated, not 0"),
    ],
)
def test_what_cannot_be_generated_is_refused_with_a_sentence(
    tiny_model: Make, prompts: list[list[int]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        together(tiny_model("llama"), prompts, **options)
