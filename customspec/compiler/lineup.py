"""Who runs, in which order, and who is left out: the ladder's rungs, the gauge, what the budget rules out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from customspec.compiler.budget import check_budget, over_budget
from customspec.compiler.candidates import Ready
from customspec.compiler.gauge import check_company, gauge_of
from customspec.compiler.models import ResolvedModel
from customspec.compiler.problems import Problems
from customspec.inputs.models import Unresolved
from customspec.plan import Candidate
from customspec.spec import Spec


@dataclass(frozen=True, slots=True)
class Lineup:
    """The candidates in order. `gauge` is an id; `skipped` has the reason of each id that the budget rules out."""

    ordered: tuple[Ready, ...]
    gauge: str | None
    skipped: Mapping[str, str]

    @property
    def running(self) -> list[Ready]:
        return [ready for ready in self.ordered if ready.draft.id not in self.skipped]

    @property
    def choosable(self) -> int:
        """How many can be chosen: each id once."""
        return len({ready.draft.id for ready in self.running} - {self.gauge})

    def candidates(self) -> tuple[Candidate, ...]:
        """What the plan shows of each candidate."""
        return tuple(map(self._candidate, self.ordered))

    def _candidate(self, ready: Ready) -> Candidate:
        main = ready.draft.main
        return Candidate(
            key=ready.key,
            id=ready.draft.id,
            technique=main.technique.name,
            family=main.technique.family,
            seed=ready.seed,
            distribution=main.offer.distribution,
            version=main.offer.version,
            trainable_parameters=ready.trainable,
            total_parameters=ready.total,
            estimate=ready.estimate.to_json(),
            gauge=ready.draft.id == self.gauge,
            skipped=self.skipped.get(ready.draft.id),
        )


def line_up(spec: Spec, ready: Sequence[Ready], base: ResolvedModel | Unresolved | None, problems: Problems) -> Lineup:
    """`base` is the spec's own model. A budget that no candidate fits is added to `problems`."""
    gauge = gauge_of(spec, ready, base)
    check_company(spec, gauge, ready, base, problems)
    rungs: dict[str, list[Ready]] = {}
    for candidate in ready:
        rungs.setdefault(candidate.draft.id, []).append(candidate)
    broken = {id: over_budget(seeds[0], spec.budget, gauge=id == gauge) for id, seeds in rungs.items()}
    check_budget({id: reasons for id, reasons in broken.items() if id != gauge}, ready, problems)
    skipped = {id: next(iter(reasons.values())) for id, reasons in broken.items() if reasons}
    return Lineup(tuple(_ordered(spec, rungs, gauge)), gauge, skipped)


def _ordered(spec: Spec, rungs: Mapping[str, Sequence[Ready]], gauge: str | None) -> list[Ready]:
    """As written, but a ladder of the spec's own candidates is climbed from cheap to expensive, behind the gauge."""
    order = list(rungs)
    if spec.strategy == "ladder" and spec.techniques is not None:
        order.sort(key=lambda id: (id != gauge, rungs[id][0].estimate.rung))
    return [candidate for id in order for candidate in rungs[id]]
