"""The rules for tuning techniques: one refuses a model in words, or learns, counts, saves and loads as promised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from statistics import fmean
from typing import TYPE_CHECKING, cast
from unittest import SkipTest

from customspec.errors import UsageError
from customspec.hookspecs import Judging, Merging, StandsAlone
from customspec.spec import TrainingOptions
from customspec.testing.checks import Check, RuleError, require
from customspec.testing.fresh import ask_anew, plan
from customspec.testing.models import TinyModels
from customspec.testing.shared import well_said
from customspec.testing.subject import Subject

if TYPE_CHECKING:
    from torch import Tensor

    from customspec.testing.workbench import Workbench

CLOSE = 1e-5  # largest difference of logits, in float32
MERGED = 1e-3  # the same where sums are added up in another order: ours come to 3e-5
LEARNT = 0.99  # of the first loss: the most that may be left of it
LAST = 3  # steps whose mean is the loss reached
PICKLES = {".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"}
NEEDED = ("learning_rate", "per_device_train_batch_size")


@dataclass(frozen=True)
class _Trial:
    """The technique on all architectures. `bench` imports torch, so it comes with the first rule that is tried."""

    subject: Subject
    architectures: tuple[str, ...]
    models: TinyModels

    @cached_property
    def bench(self) -> Workbench:
        from customspec.testing.workbench import Workbench

        return Workbench(self.subject.tuning, cast(TrainingOptions, self.subject.options), self.models)

    @cached_property
    def taken(self) -> tuple[str, ...]:
        return tuple(name for name in self.architectures if self.bench.refusal(name) is None)


Rule = Callable[["Workbench", str], None]


def tuning_checks(subject: Subject, architectures: tuple[str, ...], models: TinyModels) -> Iterator[Check]:
    """The rules of the family `tuning`: three for all architectures together, then eight for each."""
    trial = _Trial(subject, architectures, models)
    yield Check("takes_a_model", f"It takes at least one of {', '.join(architectures)}.", lambda: _takes_a_model(trial))
    yield Check(
        "light_planning",
        "`recipe`, `refusal` and `trainable_parameters` load no heavy library and answer alike in every process.",
        lambda: _light_planning(trial),
    )
    yield Check("determinism", "Two trainings under one seed end in the same weights.", lambda: _determinism(trial))
    for architecture in architectures:
        for rule, sentence in RULES.items():
            yield Check(f"{rule.__name__}[{architecture}]", sentence, partial(_try, rule, trial, architecture))


def _try(rule: Rule, trial: _Trial, architecture: str) -> None:
    refusal = trial.bench.refusal(architecture)
    if refusal is not None and rule is refuses_or_learns:
        well_said(refusal, type(trial.subject.options))
    elif refusal is not None:
        raise SkipTest(f"refused: {refusal.message}")
    elif rule not in (refuses_or_learns, own_loss) and not trial.bench.works(architecture):
        raise SkipTest(f"it cannot be trained: see refuses_or_learns[{architecture}]")
    else:
        rule(trial.bench, architecture)


def _takes_a_model(trial: _Trial) -> None:
    refusals = {name: said for name in trial.architectures if (said := trial.bench.refusal(name))}
    missing = next((said for said in refusals.values() if said.install), None)
    if missing is not None and not trial.taken:
        raise SkipTest(f"{missing.message}: pip install '{missing.install}'")
    told = "; ".join(f"{name}: {said.message}" for name, said in refusals.items())
    require(trial.taken, f"it refuses every one of them ({told})")


def _light_planning(trial: _Trial) -> None:
    subject = trial.subject
    headers = [trial.bench.header(name) for name in trial.architectures]
    here = [plan(subject.technique, subject.question["options"], header) for header in headers]
    asked = {**subject.question, "headers": [header.to_json() for header in headers]}
    fresh = ask_anew(asked, 3)
    there = fresh.answer("planned")
    loaded = [name for name in fresh.answered if name not in fresh.imported]
    require(not loaded, f"they load {', '.join(loaded)}; `customspec plan` must answer at once")
    differing = [name for name, ours, theirs in zip(trial.architectures, here, there, strict=True) if ours != theirs]
    require(not differing, f"another process plans otherwise for {', '.join(differing)}")


def _determinism(trial: _Trial) -> None:
    import torch

    from customspec.testing.workbench import trainable

    working = next((name for name in trial.taken if trial.bench.works(name)), None)
    if working is None:
        raise SkipTest("it can be trained on none of the models")
    first = trainable(trial.bench.trained(working).model)
    second = trainable(trial.bench.train(working).model)
    differing = [name for name in first if not torch.equal(first[name], second[name])]
    require(not differing, f"these differ after two trainings under one seed: {', '.join(differing[:3])}")


def refuses_or_learns(bench: Workbench, architecture: str) -> None:
    filled = bench.filled(architecture)
    open_ones = [name for name in NEEDED if getattr(filled, name) is None]
    length = filled.num_train_epochs is not None or filled.max_steps is not None
    open_ones += [] if length else ["num_train_epochs"]
    require(not open_ones, f"the recipe leaves {', '.join(open_ones)} open")
    try:
        losses = bench.trained(architecture).losses
    except Exception as error:
        raise RuleError(
            f"not refused, and then {type(error).__name__}: {error}; `refusal` must say so from the header, before "
            "weights are loaded"
        ) from error
    reached = fmean(losses[-LAST:])
    require(reached < LEARNT * losses[0], f"the loss on one batch goes from {losses[0]:.4f} to {reached:.4f}")


def own_loss(bench: Workbench, architecture: str) -> None:
    import torch

    if not isinstance(bench.technique, Judging):
        raise SkipTest("it has no `objective`")
    rows = range(len(bench.rows))
    together = bench.losses(architecture, rows)
    apart = [bench.losses(architecture, [row]) for row in rows]
    require(together.requires_grad, "`objective` gives losses without a gradient")
    require(bool(torch.isfinite(together).all()), f"`objective` gives {together.tolist()}")
    differing = [row for row, one in zip(rows, apart, strict=True) if not _close(one, together[row])]
    named = ", ".join(bench.rows[row].example.id for row in differing)
    require(not differing, f"the loss of {named} depends on the other rows of the batch; steps are taken in parts")


def _close(one: Tensor, other: Tensor) -> bool:
    """Whether two losses of one row are the same, but for the order of sums."""
    return bool((one - other).detach().abs().max() <= MERGED * max(1.0, float(other.detach().abs())))


def parameter_count(bench: Workbench, architecture: str) -> None:
    from customspec.testing.workbench import trainable

    promised = bench.technique.trainable_parameters(bench.filled(architecture), bench.header(architecture))
    trains = sum(parameter.numel() for parameter in trainable(bench.adapted(architecture)).values())
    require(promised == trains, f"`trainable_parameters` promises {promised}; `adapt` leaves {trains} to train")


def precision(bench: Workbench, architecture: str) -> None:
    import torch

    base = bench.base(architecture, torch.bfloat16)
    came = {id(parameter) for parameter in base.parameters()}
    named = list(bench.adapted(architecture, base).named_parameters())
    small = [name for name, p in named if p.requires_grad and p.dtype != torch.float32]
    large = [name for name, p in named if not p.requires_grad and p.dtype != torch.bfloat16 and id(p) in came]
    require(not small, f"these train, but not in float32: {', '.join(small[:3])}")
    require(not large, f"these are frozen, and no longer bfloat16 as they came: {', '.join(large[:3])}")


def frozen(bench: Workbench, architecture: str) -> None:
    from customspec.testing.workbench import with_gradients

    named = list(with_gradients(bench.adapted(architecture)).named_parameters())
    pulled = [name for name, p in named if not p.requires_grad and p.grad is not None]
    idle = [name for name, p in named if p.requires_grad and p.grad is None]
    moved = bench.trained(architecture).moved
    require(not pulled, f"these are frozen and get a gradient: {', '.join(pulled[:3])}")
    require(not idle, f"these should train and get no gradient: {', '.join(idle[:3])}")
    require(not moved, f"these are frozen and changed in training: {', '.join(moved[:3])}")


def saves_and_loads(bench: Workbench, architecture: str) -> None:
    from customspec.testing.workbench import difference, logits, trainable

    model = bench.trained(architecture).model
    before, left = logits(model), set(trainable(model))
    folder = bench.saved(architecture)
    pickled = [file.name for file in folder.rglob("*") if file.suffix in PICKLES]
    require(not pickled, f"{', '.join(pickled)}: a pickle runs code when it is read; write safetensors")
    changed = bool((logits(model) - before).any()) or set(trainable(model)) != left
    require(not changed, "`save` changes the model; training may go on after it")
    apart = difference(bench.loaded(architecture, folder), model)
    require(apart <= CLOSE, f"the logits of the loaded model differ by {apart:.2g} from those of the saved")
    if isinstance(bench.technique, StandsAlone):
        alone = difference(bench.alone(folder), model)
        require(alone <= CLOSE, f"opened without a base, the logits differ by {alone:.2g} from those of the saved")


def opens_elsewhere(bench: Workbench, architecture: str) -> None:
    from customspec.testing.workbench import difference

    folder = bench.saved(architecture)
    opened = bench.opened(architecture, folder)
    if opened is None:
        raise SkipTest("saved in a layout of its own")
    apart = difference(opened, bench.trained(architecture).model)
    require(apart <= CLOSE, f"opened with plain PEFT or transformers, the logits differ by {apart:.2g}")


def merges(bench: Workbench, architecture: str) -> None:
    from customspec.testing.workbench import difference, plain

    technique = bench.technique
    if not isinstance(technique, Merging):
        raise SkipTest("it has no `merge`")
    try:
        merged = technique.merge(bench.loaded(architecture, bench.saved(architecture)))
    except UsageError as refused:
        raise SkipTest(f"it merges nothing here: {refused}") from refused
    require(plain(merged), "`merge` leaves modules that plain transformers does not have")
    apart = difference(merged, bench.trained(architecture).model)
    require(apart <= MERGED, f"the logits of the merged model differ by {apart:.2g}")


RULES: Mapping[Rule, str] = {
    refuses_or_learns: "It refuses the model from its header, or learns one batch.",
    own_loss: "With an `objective`: one finite loss a row, with gradient, which depends on that row alone.",
    parameter_count: "`trainable_parameters` is what `adapt` leaves to train, exactly.",
    precision: "What trains is float32; what is frozen of the base stays in the type that it came in.",
    frozen: "What is frozen gets no gradient and keeps every bit; what trains gets one.",
    saves_and_loads: "What `load`, and `open_whole` if it is there, makes of what `save` wrote gives the same logits; "
    "nothing is pickled.",
    opens_elsewhere: "What is saved in PEFT's or transformers' layout gives the same logits there.",
    merges: "What `merge` gives, where there is one, is a plain model with the same logits.",
}
