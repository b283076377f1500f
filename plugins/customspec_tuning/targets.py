"""Which linear modules an adapter takes, told as PEFT tells it: all of them, or by the ends of their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from customspec.header import Linear, ModelHeader
from customspec.hookspecs import Footprint, Refusal
from customspec.spec import Texts
from customspec.suggest import did_you_mean
from customspec_tuning.module_names import ends_with, meant_by

ALL_LINEAR: Literal["all-linear"] = "all-linear"
Targets = Texts | Literal["all-linear"]

# kernels of these read the modules' weights and never call the modules: PEFT refuses `out_proj`, for the same reason
_BYPASSED = {
    "mamba": ("dt_proj", "out_proj"),
    "falcon_mamba": ("dt_proj", "out_proj"),
    "mamba2": ("out_proj",),
    "falcon_h1": ("out_proj",),
    "nemotron_h": ("out_proj",),
}


def linears(targets: Targets, model: ModelHeader) -> Sequence[Linear]:
    """The modules, each once."""
    if isinstance(targets, str):
        return model.linears
    found = {linear.name: linear for name in targets for linear in matching(name, model)}
    return list(found.values())


def matching(name: str, model: ModelHeader) -> list[Linear]:
    """The modules that a name targets."""
    return [linear for linear in model.linears if is_targeted(linear.name, (name,))]


def is_targeted(module: str, targets: Targets) -> bool:
    """PEFT's rule: a module is targeted by its whole name or by its end, from a dot on."""
    return isinstance(targets, str) or any(ends_with(module, name) for name in targets)


def refusal(targets: Targets, model: ModelHeader, *, plain: bool = False) -> Refusal | None:
    """Why these modules cannot be taken: none there, a name that matches nothing, one that has no effect, or, where
    PEFT implements a method for `plain` linear modules alone, one of another kind."""
    known = sorted({linear.name.rsplit(".", 1)[-1] for linear in model.linears})
    if not known:
        return Refusal(f"{model.architecture} has no linear module to take", hint="`prompt_tuning` needs none")
    bypassed = _BYPASSED.get(model.model_type, ())
    if isinstance(targets, str) and bypassed:
        return _needs_names(model, [name for name in known if name not in bypassed])
    for index, name in enumerate(() if isinstance(targets, str) else targets):
        if not matching(name, model):
            return _no_match(targets, index, model, known)
        if name.rsplit(".", 1)[-1] in bypassed:
            message = f"an adapter on `{name}` of {model.architecture} would have no effect"
            return Refusal(message, option="target_modules", item=index, hint="its weight is used past the module")
    odd = [linear.name for linear in linears(targets, model) if plain and linear.transposed]
    if not odd:
        return None
    message = f"`{odd[0]}` of {model.architecture} is a Conv1D, which this technique cannot take"
    return Refusal(message, hint="`lora` can take it")


def weights(targets: Sequence[Linear]) -> int:
    """How many the maps have."""
    return sum(linear.inputs * linear.outputs for linear in targets)


def made_whole(targets: Sequence[Linear], *, per_pass: float = 0.0) -> Footprint:
    """Of an update that is made as one matrix, as large as the map's, in every pass."""
    return Footprint(adapted=targets, per_token=weights(targets), per_pass=per_pass, copies=1.0)


def names(targets: Targets) -> str | list[str]:
    """As PEFT's configurations take them."""
    return targets if isinstance(targets, str) else list(targets)


def undivided(targets: Targets, model: ModelHeader, size: int, option: str) -> Refusal | None:
    """Why blocks of `size` do not fit: the first targeted map whose inputs they do not divide."""
    for linear in linears(targets, model):
        if linear.inputs % size:
            fitting = max(part for part in range(1, min(size, linear.inputs) + 1) if linear.inputs % part == 0)
            message = f"blocks of {size} do not divide the {linear.inputs} inputs of `{linear.name}`"
            return Refusal(message, option=option, hint=f"{fitting} does")
    return None


def _needs_names(model: ModelHeader, usable: Sequence[str]) -> Refusal:
    return Refusal(
        f"{model.architecture} uses some linear modules past their forward, where an adapter has no effect",
        option="target_modules",
        hint=f"name the ones to adapt: target_modules: [{', '.join(usable)}]",
    )


def _no_match(targets: Sequence[str], index: int, model: ModelHeader, known: Sequence[str]) -> Refusal:
    name = targets[index]
    meant = meant_by(name, model, known)
    hint = f"it has: {', '.join(known)}"
    if meant and all(other in targets for other in meant):
        hint = f"it is `{'`, `'.join(meant)}` here, which is listed already: remove `{name}`"
    elif meant:
        hint = did_you_mean("`, `".join(meant)) or hint
    return Refusal(
        f"no linear module of {model.architecture} matches `{name}`", option="target_modules", item=index, hint=hint
    )
