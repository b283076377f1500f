"""The report as a comment of a pull request: the answer, the results, the verdicts, and what differs from a base."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from customspec.decide.decision import CHOICES
from customspec.report import numbers
from customspec.report.changes import Change, changes, counted
from customspec.report.finished import Finished
from customspec.report.text import clipped, escape

View = Mapping[str, Any]
PAIRS = 12  # lines of verdicts; the page has them all
LONG = 80  # characters of a setting
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~&$]|:(?=\S)|(?<=www)\.)", re.IGNORECASE)


def markdown_of(view: View, run: Finished, base: Finished | None = None) -> str:
    """GitHub's Markdown. Nothing that others wrote is markup in it, mentions anybody or links anywhere."""
    parts = [
        f"### {plain(view['name'])}: {plain(view['decision']['answer'])}",
        "" if view["shortened"] is None else f"This was {view['shortened']}.",
        "\n".join(f"- {plain(reason)}" for reason in view["decision"]["reasons"]),
        *_results(view),
        *_verdicts(view),
        *([] if base is None else _against(view, run, base)),
        f"Run {code(view['run'])}, plan {code(_short(view['digests']['plan']['digest']))}, "
        f"spec {code(_short(view['digests']['spec']['digest']))}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: str) -> str:
    """A sentence with whatever markup it holds shown as it is. A mention needs its name right behind the @."""
    return _SPECIAL.sub(r"\\\1", escape(text)).replace("@", "@&#8203;")


def code(text: str, *, cell: bool = False) -> str:
    """Text that others wrote, in a code span, where nothing is markup; `cell`: of a table, which pipes divide."""
    text = escape(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{fence}{space}{text.replace('|', chr(92) + '|') if cell else text}{space}{fence}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Cells are markdown already."""
    rule = ["---:" if place in right else "---" for place in range(len(head))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))


def _results(view: View) -> Iterator[str]:
    metric = view["metric"]
    head = (
        "candidate",
        f"{plain(metric)}, validation",
        f"{plain(metric)}, test, 95 %",
        "training",
        "a request",
        "prompt tokens",
        "trained",
        "artifact",
        "memory",
        "status",
    )
    chose = view["decision"]["ending"] in CHOICES
    yield table(head, [_result(one, metric, chose and one["chosen"]) for one in view["candidates"]], right=range(1, 9))


def _result(one: View, metric: str, chosen: bool) -> list[str]:
    cost, name = one["cost"], code(one["key"], cell=True)
    validation, test = ((one["metrics"][split] or {}).get(metric) for split in ("validation", "test"))
    reason = f": {plain(one['reason'])}" if one["reason"] else ""
    return [
        f"**{name}**" if chosen else name,
        numbers.value(validation and validation["value"]),
        numbers.interval(test),
        numbers.seconds(cost["train_seconds"]),
        numbers.seconds(one["seconds_per_request"]),
        numbers.count(cost["prompt_tokens_per_example"]),
        numbers.count(cost["trainable_parameters"]),
        numbers.size(cost["artifact_bytes"]),
        numbers.size(cost["peak_memory_bytes"]),
        one["status"] + reason,
    ]


def _verdicts(view: View) -> Iterator[str]:
    for role, pairs in view["verdicts"].items():
        if not pairs:
            continue
        role_text = "these could have chosen" if role == "choosing" else "descriptive: nothing was chosen by these"
        lines = [_verdict(pair) for pair in pairs[:PAIRS]]
        more = f"\n\n{len(pairs) - PAIRS} more pairs are in the page." if len(pairs) > PAIRS else ""
        head = ("", "", "", "difference", "interval", "p, Holm", "rows")
        title = f"Pairs on the {pairs[0]['split']} rows ({role_text})"
        yield _folded(title, table(head, lines, right=(3, 4, 5, 6)) + more)


def _verdict(pair: View) -> list[str]:
    low, high = pair["ci"]
    return [
        code(pair["first"], cell=True),
        pair["verdict"],
        code(pair["second"], cell=True),
        numbers.difference(pair["difference"]),
        f"[{numbers.difference(low)}, {numbers.difference(high)}]",
        numbers.probability(pair["p_holm"]),
        str(pair["n"]),
    ]


def _against(view: View, run: Finished, base: Finished) -> Iterator[str]:
    yield f"#### Against {code(base.name)}"
    yield f"Before: {plain(base.results['decision']['answer'])}"
    found = changes(base.plan, run.plan)
    if found:
        rows = [_change(change) for change in found]
        yield _folded(counted(len(found)), table(("setting", "before", "after"), rows), opened=True)
    else:
        yield "The specs say the same."
    metric = view["metric"]
    if metric not in base.plan.metrics:
        yield f"The base has no {code(metric)} to compare with."
        return
    same = _test_rows(run) == _test_rows(base)
    if not same:
        yield (
            "The test rows of the two runs differ, so the estimates are not subtracted; "
            "`customspec compare` compares on the rows that both runs have."
        )
    head = ("candidate", f"{plain(metric)}, test, before", "after", "difference", "a request, before", "after")
    yield table(head, list(_moved(view, base, metric, same=same)), right=range(1, 6))


def _test_rows(run: Finished) -> tuple[Any, Any]:
    """What tells whether two runs evaluated the same test rows: the data's digest, and how many rows were taken."""
    return run.plan.step("data").params["splits"].get("test"), run.plan.shortened.get("limit")


def _moved(view: View, base: Finished, metric: str, *, same: bool) -> Iterator[list[str]]:
    """Each candidate of either run, with the difference where both answered the same rows; whether that could be
    chance, `customspec compare` tells."""
    before = {one["key"]: one for one in base.candidates}
    after = {one["key"]: one for one in view["candidates"]}
    for key in dict.fromkeys([*before, *after]):
        old, new = (_measured(found.get(key), metric) for found in (before, after))
        both = same and old is not None and new is not None
        yield [
            code(key, cell=True),
            numbers.interval(old),
            numbers.interval(new),
            numbers.difference(new["value"] - old["value"]) if both and old and new else numbers.NONE,
            *(numbers.seconds(_request(found.get(key))) for found in (before, after)),
        ]


def _measured(one: View | None, metric: str) -> View | None:
    found: View | None = ((one or {}).get("metrics", {}).get("test") or {}).get(metric)
    return found


def _request(one: View | None) -> float | None:
    speed = one["cost"]["rows_per_second"] if one else None
    return 1 / speed if speed else None


def _change(change: Change) -> list[str]:
    return [
        plain(change.path),
        *(
            code(clipped(str(value), LONG), cell=True) if there else numbers.NONE
            for value, there in zip((change.before, change.after), change.there, strict=True)
        ),
    ]


def _folded(title: str, text: str, *, opened: bool = False) -> str:
    return f"<details{' open' if opened else ''}><summary>{title}</summary>\n\n{text}\n\n</details>"


def _short(digest: str | None) -> str:
    return "unknown" if digest is None else digest.removeprefix("sha256:")[:12]
