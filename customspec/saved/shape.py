"""The shape of a saved plan: every key that is read of it, with its type. What else stands there is passed over."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from customspec.spec import BaseModelSpec, Budget, Cost, Goal, Text
from customspec.spec.base import MetricName, Name, Seed

Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}@(0|[1-9][0-9]{0,9})$")]
StepId = Annotated[str, Field(pattern=r"^[a-z0-9][a-zA-Z0-9._:@-]{0,149}$")]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
WholePath = Annotated[str, Field(pattern=r"^/[^\x00]*$")]
SplitName = Literal["train", "validation", "test"]
Count = Annotated[int, Field(ge=0, le=2**63)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


class _Named(_Part):
    name: Text
    distribution: Text
    version: Text
    options: dict[str, Any]


class _Scored(_Named):
    id: MetricName


class _Prompt(_Part):
    system: str | None
    user: str | None
    answer: str | None
    messages: str | None


class _Answered(_Part):
    choices: Annotated[list[Any], Field(min_length=1)] | None
    generation: dict[str, Any] | None


class _Measured(_Answered):
    metric: _Scored


class _Selection(_Measured):
    rows: Count


class _Asked(_Measured):
    limit: Count | None


class _Asking(_Part):
    prompt: _Prompt
    prompting: _Named | None
    technique: _Named | None
    seed: Seed
    on_long: Literal["error", "truncate", "drop"]


class _Fitting(_Asking):
    prompting: _Named
    technique: None


class _Training(_Asking):
    technique: _Named
    max_steps: Count | None
    selection: _Selection | None


class _Searching(_Asking):
    asked: _Asked
    space: dict[str, Any]
    trials: Count


class _Evaluating(_Asking, _Answered):
    metrics: Annotated[list[_Scored], Field(min_length=1)]
    limit: Count | None
    split: Literal["validation", "test"]
    group: str | None


class _ModelParams(_Part):
    kind: Literal["folder", "gguf", "unresolved"]
    digest: Digest | None


class _ModelSources(_Part):
    label: str
    path: WholePath | None = None
    ref: BaseModelSpec | None = None


class _Rule(_Part):
    split_off: bool
    seed: Seed | None
    group: str | None
    stratify: str | None


class _DataParams(_Part):
    splits: dict[SplitName, Digest | None]
    rule: _Rule


class _Deciding(_Part):
    strategy: Literal["compare", "ladder"]
    goal: Goal | None
    metric: _Scored
    order: list[Key]
    group: str | None
    confidence: Annotated[float, Field(ge=0.5, lt=1)]
    margin: float | None
    gauge: Key | None
    cost: Cost | None


class _Files(_Part):
    files: dict[str, WholePath] | None = None


class _Resources(_Part):
    devices: Count
    memory_bytes: Count | None


class _Gate(_Part):
    metric: MetricName
    after: Annotated[list[StepId], Field(min_length=1)]
    at_least: float | None
    at_most: float | None


class _Step(_Part):
    id: StepId
    fingerprint: Digest
    needs: list[StepId]
    gate: _Gate | None
    resources: _Resources
    candidate: Key | None


class _ModelStep(_Step):
    kind: Literal["model"]
    params: _ModelParams
    sources: _ModelSources
    candidate: None


class _DataStep(_Step):
    kind: Literal["data"]
    params: _DataParams
    sources: dict[SplitName, list[tuple[Text, WholePath]]]
    candidate: None


class _SearchStep(_Step):
    kind: Literal["search"]
    params: _Searching
    sources: _Files
    candidate: Key


class _FitStep(_Step):
    kind: Literal["fit"]
    params: _Fitting
    sources: _Files
    candidate: Key


class _TrainStep(_Step):
    kind: Literal["train"]
    params: _Training
    sources: _Files
    candidate: Key


class _EvaluateStep(_Step):
    kind: Literal["evaluate"]
    params: _Evaluating
    sources: _Files
    candidate: Key


class _DecideStep(_Step):
    kind: Literal["decide"]
    params: _Deciding
    sources: _Files
    candidate: None


_AnyStep = Annotated[
    _ModelStep | _DataStep | _SearchStep | _FitStep | _TrainStep | _EvaluateStep | _DecideStep,
    Field(discriminator="kind"),
]


class _Candidate(_Part):
    key: Key
    id: Name
    technique: Text
    family: Literal["prompting", "tuning"]
    seed: Seed
    distribution: str
    version: str
    trainable_parameters: Count | None
    total_parameters: Count | None
    estimate: dict[str, float | bool | None]
    gauge: bool
    skipped: str | None


class _Sources(_Part):
    spec: WholePath
    document: Digest


class PlanShape(_Part):
    """A whole plan."""

    name: Name
    spec_digest: Digest
    strategy: Literal["compare", "ladder"]
    goal: Goal | None
    metrics: Annotated[list[MetricName], Field(min_length=1)]
    candidates: list[_Candidate]
    steps: list[_AnyStep]
    budget: Budget | None
    cost: Cost | None
    sources: _Sources
    plan: Literal[1]
