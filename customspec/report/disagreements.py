"""The rows on which candidates answer differently: there a person sees what the numbers are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from customspec.inputs.documents import Prediction
from customspec.report.numbers import probability, share, value


@dataclass(frozen=True, slots=True)
class Weighing:
    """How rows are ranked: by a metric, its direction, and whether the answers are choices. `most` rows are shown."""

    metric: str
    higher_is_better: bool
    classes: bool
    chosen: str | None
    most: int = 40

    def score(self, prediction: Prediction) -> float:
        """What the row's answer is worth; where the metric knows whole sets only, 1 if it is right."""
        score = prediction.get("scores", {}).get(self.metric)
        return float(prediction["correct"]) if score is None else float(score)

    def differs(self, given: Sequence[Prediction]) -> bool:
        """Whether the answers differ: in their class, or, since generated texts nearly always differ, in their
        score."""
        graded = not self.classes and all(self.metric in one.get("scores", {}) for one in given)
        return len({self.score(one) if graded else one["prediction"] for one in given}) > 1

    def weight(self, given: Mapping[str, Prediction]) -> tuple[float, float]:
        """How far the chosen candidate falls behind the best answer, then how far apart the answers lie."""
        sign = 1.0 if self.higher_is_better else -1.0
        worth = {key: sign * self.score(one) for key, one in given.items()}
        best = max(worth.values())
        return best - worth.get(self.chosen or "", best), best - min(worth.values())


def disagreements(answered: Mapping[str, Sequence[Prediction]], weighing: Weighing) -> dict[str, Any]:
    """Of the rows that every candidate answered, how many they disagree on, and the most telling of these: `rows`,
    `of`, `shown`. Among equals the first come first."""
    by_row = {key: {one["id"]: one for one in predictions} for key, predictions in answered.items()}
    ids = [id for id in next(iter(by_row.values()), {}) if all(id in rows for rows in by_row.values())]
    given = [{key: rows[id] for key, rows in by_row.items()} for id in ids]
    differing = [row for row in given if weighing.differs(list(row.values()))]
    telling = sorted(differing, key=weighing.weight, reverse=True)[: weighing.most]
    return {"rows": len(differing), "of": len(ids), "shown": [_row(row, weighing) for row in telling]}


def _row(given: Mapping[str, Prediction], weighing: Weighing) -> dict[str, Any]:
    first = next(iter(given.values()))
    answers = {key: _answer(one, weighing) for key, one in given.items()}
    return {"row": first["id"], "answer": first["answer"], "given": answers}


def _answer(prediction: Prediction, weighing: Weighing) -> dict[str, Any]:
    """`probability` is that of the given answer, `of_answer` that of the right one."""
    chances = prediction.get("probabilities") or {}
    return {
        "prediction": prediction["prediction"],
        "correct": prediction["correct"],
        "score": weighing.score(prediction),
        "probability": chances.get(prediction["prediction"]),
        "of_answer": chances.get(prediction["answer"]),
    }


def grouped(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A shown row's distinct answers, right ones first, each with the candidates that gave it."""
    answers: dict[tuple[bool, str | None], list[dict[str, Any]]] = {}
    for key, given in row["given"].items():
        answers.setdefault((not given["correct"], given["prediction"]), []).append(_by(key, given))
    found = [{"prediction": text, "correct": not wrong, "by": by} for (wrong, text), by in answers.items()]
    return sorted(found, key=lambda answer: not answer["correct"])


def _by(key: str, given: Mapping[str, Any]) -> dict[str, Any]:
    chance, right = given["probability"], given["of_answer"]
    text = key if right is None else f"{key}: probability of the right answer {probability(right)}"
    if chance is not None:
        return {"key": key, "figure": share(chance), "told": text}
    return {"key": key, "figure": value(given["score"]) if 0 < given["score"] < 1 else "", "told": text}
