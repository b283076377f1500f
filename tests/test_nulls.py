"""A column that is null: told where a template would show it as `None`, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support import Ended, Workspace, colours

CASES = {
    "{{ text }} ({{ more }})": True,
    "{{ text }} {{ more or '' }}": False,
    "{{ text }} {% if more %}{{ more }}{% endif %}": False,
    "{{ text }} {% if more is none %}unknown{% else %}{{ more }}{% endif %}": False,
}


@pytest.mark.parametrize("template", CASES)
@pytest.mark.parametrize("part", ["system", "user"])
def test_a_null_that_is_shown_is_told_with_its_row(
    part: str, template: str, workspace: Workspace, customspec: Callable[..., Ended]
) -> None:
    for name, start in (("train", 0), ("validation", 100), ("test", 200)):
        workspace.rows(f"{name}.jsonl", [{**row, "more": "x"} for row in colours(6, start)])
    good = [{**row, "more": "x"} for row in colours(2)]
    workspace.rows("train.jsonl", [*good, {"text": "None of these", "label": "warm", "more": None}])
    parts = {"user": "{{ text }}", "answer": "{{ label }}", part: template}
    prompt = "prompt: {" + ", ".join(f'{name}: "{text}"' for name, text in parts.items()) + "}"
    ended = customspec("validate", workspace.spec("techniques: [zero_shot]", prompt=prompt))
    told = "CS309 train.jsonl:3: `more` is null, which would be shown as `None`"
    assert (ended.code == 2 and told in ended.err and "{{ more or '' }}" in ended.err) is CASES[template]
    assert (ended.code == 0) is not CASES[template]
