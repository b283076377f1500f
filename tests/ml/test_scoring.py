"""Scores of choices: the fast path against the simple one, and what it feeds the model."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

import pytest
from choices import CHOICES, FED, Scores, difference
from peft import CPTConfig, LoraConfig, PeftConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig
from tiny import APART, HEAD, TOGETHER, Make, Tune, Watch
from torch import nn

from customspec.ml.scoring import score_choices, score_shared, score_simply, supports_shared_prefix, why_not_shared

SAME = [TOGETHER[0]] * 3
FAST = ["llama", "gpt2", "qwen2", "mistral", "gemma", "gemma2", "granite", "opt"]
SLOW = {
    "mamba": "state",
    "bloom": "positions",
    "gpt_neo": "local",
    "roberta": "off by",  # it declares all that is needed and counts positions in its own way: only trying shows it
}
LEARNED: list[PeftConfig] = [
    PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5),
    PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5),
    PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=5, encoder_hidden_size=8),
]


def gap(model: nn.Module, prompts: list[list[int]], choices: list[list[int]] = CHOICES) -> float:
    """By how much score_choices is off, at most."""
    return difference(score_choices(model, prompts, choices, pad=0), score_simply(model, prompts, choices, pad=0))


def shares(model: nn.Module, prompts: list[list[int]]) -> bool:
    return why_not_shared(model, prompts[0], CHOICES, pad=0, longest=40) is None


@pytest.mark.parametrize("prompts", [TOGETHER, APART, SAME, TOGETHER[:1]], ids=["together", "apart", "same", "one"])
@pytest.mark.parametrize("architecture", FAST)
def test_fast_and_simple_scores_are_the_same(tiny_model: Make, architecture: str, prompts: list[list[int]]) -> None:
    model = tiny_model(architecture)
    assert shares(model, prompts)
    assert gap(model, prompts) < 1e-5


@pytest.mark.parametrize("choices", [[[9]], [[5, 6, 7, 2]], [[9], [4], [2]]], ids=["token", "one", "tokens"])
def test_few_or_short_choices_are_scored_alike(tiny_model: Make, choices: list[list[int]]) -> None:
    model = tiny_model("llama")
    assert shares(model, TOGETHER)
    assert gap(model, TOGETHER, choices) < 1e-5


def test_eager_attention_takes_the_fast_path_too(tiny_model: Make) -> None:
    model = tiny_model("llama", attention="eager")
    assert supports_shared_prefix(model) is None
    assert gap(model, TOGETHER) < 1e-5


@pytest.mark.parametrize("score", [score_shared, score_simply])
def test_the_probabilities_of_all_single_tokens_add_up_to_one(tiny_model: Make, score: Callable[..., Scores]) -> None:
    scores = score(tiny_model("llama"), TOGETHER, [[token] for token in range(97)], pad=0)
    assert [math.fsum(map(math.exp, row)) for row in scores] == pytest.approx([1.0] * len(TOGETHER), abs=1e-5)


def test_a_choice_scores_the_sum_of_its_tokens_given_those_before(tiny_model: Make) -> None:
    model, prompt = tiny_model("gpt2"), TOGETHER[0]
    [[whole]] = score_simply(model, [prompt], [[7, 8, 2]], pad=0)
    steps = [score_simply(model, [prompt + [7, 8, 2][:i]], [[token]], pad=0)[0][0] for i, token in enumerate([7, 8, 2])]
    assert whole == pytest.approx(sum(steps), abs=1e-5)


def test_equal_choices_score_exactly_the_same(tiny_model: Make) -> None:
    for row in score_choices(tiny_model("llama"), TOGETHER, CHOICES, pad=0):
        assert row[0] == row[-1]


def test_scores_do_not_depend_on_the_batches(tiny_model: Make) -> None:
    model = tiny_model("llama")
    single, few, all_at_once = (
        score_shared(model, TOGETHER, CHOICES, pad=0, tokens_per_batch=tokens) for tokens in (1, 50, 10_000)
    )
    assert difference(single, all_at_once) < 1e-5
    assert difference(few, all_at_once) < 1e-5


def test_padding_may_be_any_token(tiny_model: Make) -> None:
    model = tiny_model("llama")
    assert score_shared(model, TOGETHER, CHOICES, pad=0) == score_shared(model, TOGETHER, CHOICES, pad=5)


def test_a_lora_is_scored_with_its_weights(tiny_model: Make, tuned: Tune) -> None:
    plain = score_simply(tiny_model("llama"), TOGETHER, CHOICES, pad=0)
    model = tuned(tiny_model("llama"), LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear"))
    assert shares(model, TOGETHER)
    assert gap(model, TOGETHER) < 1e-5
    assert difference(score_simply(model, TOGETHER, CHOICES, pad=0), plain) > 0.1


@pytest.mark.parametrize("config", LEARNED, ids=lambda config: str(config.peft_type))
@pytest.mark.parametrize("prompts", [TOGETHER, APART, TOGETHER[:1]], ids=["together", "apart", "one"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_learned_prompt_is_shared_like_a_prefix(
    tiny_model: Make, tuned: Tune, architecture: str, prompts: list[list[int]], config: PeftConfig
) -> None:
    plain = score_simply(tiny_model(architecture), prompts, CHOICES, pad=0)
    model = tuned(tiny_model(architecture), config)
    assert shares(model, prompts)
    assert gap(model, prompts) < 1e-5
    assert difference(score_simply(model, prompts, CHOICES, pad=0), plain) > 0.1


def test_an_adapter_that_is_disabled_has_no_say(tiny_model: Make, tuned: Tune) -> None:
    plain = score_simply(tiny_model("llama"), APART, CHOICES, pad=0)
    for config in LEARNED:
        model = tuned(tiny_model("llama"), config)
        with model.disable_adapter():
            assert difference(score_choices(model, APART, CHOICES, pad=0), plain) < 1e-5


def test_a_learned_prompt_of_another_kind_is_scored_simply(
    tiny_model: Make, tuned: Tune, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "customspec")
    config = CPTConfig(task_type="CAUSAL_LM", cpt_token_ids=[3], cpt_mask=[1], cpt_tokens_type_mask=[1])
    model = tuned(tiny_model("llama"), config)
    assert score_choices(model, TOGETHER, CHOICES, pad=0) == score_simply(model, TOGETHER, CHOICES, pad=0)
    assert "more than stand before the prompt" in caplog.text


@pytest.mark.parametrize(("architecture", "reason"), SLOW.items())
def test_a_model_that_cannot_share_is_scored_simply_and_the_log_says_why(
    tiny_model: Make, caplog: pytest.LogCaptureFixture, architecture: str, reason: str
) -> None:
    caplog.set_level(logging.INFO, "customspec")
    model = tiny_model(architecture)
    assert score_choices(model, TOGETHER, CHOICES, pad=0) == score_simply(model, TOGETHER, CHOICES, pad=0)
    [told] = [record for record in caplog.records if record.name == "customspec"]
    assert told.levelname == "INFO"
    assert reason in told.getMessage()


def test_the_prefix_is_fed_once_then_only_own_tokens_and_the_trie(tiny_model: Make, watched: Watch) -> None:
    model = tiny_model("llama")
    fed = watched(model)
    score_shared(model, TOGETHER, CHOICES, pad=0)
    assert fed == [(1, len(HEAD)), (len(TOGETHER), 12 + FED)]


def test_prompts_of_like_length_are_batched_within_the_budget(tiny_model: Make, watched: Watch) -> None:
    model = tiny_model("llama")
    fed = watched(model)
    score_shared(model, TOGETHER, CHOICES, pad=0, tokens_per_batch=2 * (7 + FED))
    assert fed == [(1, len(HEAD)), (1, 12 + FED), (2, 7 + FED), (2, 3 + FED)]


def test_prompts_without_a_common_prefix_are_fed_without_one(tiny_model: Make, watched: Watch) -> None:
    model = tiny_model("llama")
    fed = watched(model)
    score_shared(model, APART, CHOICES, pad=0)
    assert fed == [(len(APART), 12 + FED)]


def test_a_prompt_that_begins_all_others_keeps_a_token_of_its_own(tiny_model: Make, watched: Watch) -> None:
    model = tiny_model("llama")
    prompts = [HEAD, *TOGETHER]
    simple = score_simply(model, prompts, CHOICES, pad=0)
    fed = watched(model)
    assert difference(score_shared(model, prompts, CHOICES, pad=0), simple) < 1e-5
    assert fed == [(1, len(HEAD) - 1), (len(prompts), 13 + FED)]


def test_a_long_prefix_bounds_the_rows_that_attend_to_it_at_once(tiny_model: Make, watched: Watch) -> None:
    model = tiny_model("llama")
    fed = watched(model)
    score_shared(model, [HEAD * 11 + [token] for token in range(3, 6)], [[9]], pad=0, tokens_per_batch=13)
    assert fed == [(1, 99), (2, 1), (1, 1)]  # 16 keys a token of the budget: 208, two rows of 100


def test_no_token_is_shown_nothing_not_even_padding(tiny_model: Make) -> None:
    model, masks = tiny_model("llama"), []
    model.register_forward_pre_hook(lambda _, args, given: masks.append(given["attention_mask"]), with_kwargs=True)
    score_shared(model, APART, CHOICES, pad=0)
    [mask] = masks
    assert mask.any(-1).all()
    assert not mask.all(-1).any()


def test_the_head_runs_only_where_a_choice_token_is_predicted(tiny_model: Make) -> None:
    model = tiny_model("llama")
    shapes: list[tuple[int, ...]] = []
    head = model.get_output_embeddings()
    assert isinstance(head, nn.Module)
    head.register_forward_hook(lambda _, args, output: shapes.append(tuple(output.shape)))
    score_shared(model, TOGETHER, CHOICES, pad=0)
    assert shapes == [(1, 1, 97), (len(TOGETHER), 1 + FED, 97)]


def test_progress_adds_up_to_all_prompts(tiny_model: Make) -> None:
    model = tiny_model("llama")
    for score in (score_choices, score_simply):
        told: list[int] = []
        score(model, TOGETHER, CHOICES, pad=0, tokens_per_batch=40, progress=told.append)
        assert len(told) > 1
        assert sum(told) == len(TOGETHER)


@pytest.mark.parametrize("score", [score_choices, score_simply])
def test_training_goes_on_where_it_was_and_dropout_is_off_meanwhile(
    tiny_model: Make, score: Callable[..., Scores]
) -> None:
    model = tiny_model("gpt2", resid_pdrop=0.5)
    expected = score(model, TOGETHER, CHOICES, pad=0)
    model.train()
    model.get_input_embeddings().eval()
    modes = [module.training for module in model.modules()]
    assert score(model, TOGETHER, CHOICES, pad=0) == expected
    assert [module.training for module in model.modules()] == modes
    assert len(set(modes)) == 2


def test_training_goes_on_after_an_error_too(tiny_model: Make) -> None:
    model = tiny_model("llama").train()
    with pytest.raises(IndexError):
        score_simply(model, [[10_000]], CHOICES, pad=0)
    assert model.training


@pytest.mark.parametrize("score", [score_choices, score_simply])
@pytest.mark.parametrize(
    ("prompts", "choices", "message"),
    [
        ([], [[1]], "There are no prompts"),
        ([[1]], [], "There are no choices"),
        ([[1], []], [[1]], "A prompt has no tokens: number 2"),
        ([[1]], [[]], "A choice has no tokens: number 1"),
    ],
)
def test_nothing_to_score_is_refused_with_a_sentence(
    tiny_model: Make,
    score: Callable[..., Scores],
    prompts: Sequence[Sequence[int]],
    choices: Sequence[Sequence[int]],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        score(tiny_model("llama"), prompts, choices, pad=0)
