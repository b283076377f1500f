"""What the linear modules of decoders are called, by what they do: the same map bears another name in each family."""

from __future__ import annotations

from collections.abc import Sequence

from customspec.header import ModelHeader
from customspec.suggest import closest

_QUERY = ("q_proj", "query", "q", "wq", "q_lin", "to_q", "query_proj")
_KEY = ("k_proj", "key", "k", "wk", "k_lin", "to_k", "key_proj")
_VALUE = ("v_proj", "value", "v", "wv", "v_lin", "to_v", "value_proj")
_JOINT = ("c_attn", "qkv_proj", "query_key_value", "Wqkv", "W_pack", "wqkv", "qkv", "att_proj")
_OUT = ("o_proj", "out_proj", "wo", "out_lin", "to_out", "attn_out", "attn.c_proj")
_OUT_DENSE = ("attention.dense", "self_attention.dense", "self_attn.dense")
_GATE = ("gate_proj", "w1", "gate_up_proj")
_UP = ("up_proj", "w3", "fc1", "fc_in", "c_fc", "dense_h_to_4h", "gate_up_proj")
_DOWN = ("down_proj", "w2", "fc2", "fc_out", "dense_4h_to_h", "mlp.c_proj")
_ROLES = (_QUERY, _KEY, _VALUE, (*_OUT, *_OUT_DENSE), _GATE, _UP, _DOWN)
_OF_SEVERAL = ("c_proj", "dense")  # each does one thing in the attention and another behind it


def ends_with(module: str, name: str) -> bool:
    """Whether the module bears the name, or ends with it from a dot on."""
    return module == name or module.endswith(f".{name}")


def meant_by(name: str, model: ModelHeader, known: Sequence[str]) -> tuple[str, ...]:
    """The model's names for what a module of this name does in other models; else the name that is nearest, unless
    that does something else. Empty where there is none."""
    last = name.rsplit(".", 1)[-1]
    usual = [*dict.fromkeys(one for role in (*_ROLES, _JOINT) for one in role if "." not in one), *_OF_SEVERAL]
    nearest = closest(last, [*known, *usual], {})
    if nearest is None or nearest in known:
        return () if nearest is None else (nearest,)
    if nearest in _JOINT:
        parts = (_first(role, model) for role in (_QUERY, _KEY, _VALUE))
        return _first(_JOINT, model) or tuple(one for part in parts for one in part)
    role = next((role for role in _ROLES if nearest in role), ())
    return _first(role, model) or (_first(_JOINT, model) if role in (_QUERY, _KEY, _VALUE) else ())


def _first(role: Sequence[str], model: ModelHeader) -> tuple[str, ...]:
    return next(((one,) for one in role if any(ends_with(linear.name, one) for linear in model.linears)), ())
