"""The shape of a results document, as far as it is read: a seal tells that nothing changed, not that it is sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from customspec.saved.shape import Digest, Key
from customspec.spec import Text
from customspec.spec.base import MetricName, Name, Seed

Split = Literal["validation", "test"]
Number = Annotated[float, Field(ge=-1e300, le=1e300)]
Amount = Annotated[float, Field(ge=0, le=1e300)]
Rows = Annotated[int, Field(ge=0, le=2**53)]
Ends = Annotated[list[Number | None], Field(min_length=2, max_length=2)]
Status = Literal["done", "cached", "skipped", "failed"]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


class _Measured(_Part):
    value: Number | None
    ci: Ends
    n: Rows
    confidence: Annotated[float, Field(gt=0, lt=1)]


class _Cost(_Part):
    train_seconds: Amount | None
    search_seconds: Amount | None
    evaluate_seconds: Amount | None
    rows_per_second: Amount | None
    latency_seconds: Amount | None
    trainable_parameters: Rows | None
    peak_memory_bytes: Rows | None
    artifact_bytes: Rows | None
    prompt_tokens_per_example: Amount | None
    price: dict[str, Amount | None] | None


class _Candidate(_Part):
    key: Key
    id: Name
    technique: Text
    family: Literal["prompting", "tuning"]
    seed: Seed
    status: Status
    reason: str | None
    metrics: dict[Split, dict[MetricName, _Measured] | None]
    cost: _Cost


class _Pair(_Part):
    first: Key
    second: Key
    verdict: Literal["better", "worse", "not distinguishable"]
    split: Split
    difference: Number | None
    ci: Ends
    p_holm: Annotated[float, Field(ge=0, le=1)] | None
    n: Rows


class _Decision(_Part):
    answer: str
    ending: str
    goal_met: bool | None
    chosen: Name | None
    chosen_key: Key | None
    reasons: list[str]
    pairs: list[_Pair]


class _Step(_Part):
    status: Status
    reason: str | None


class _Environment(_Part):
    python: str
    torch: str
    transformers: str
    peft: str
    device: str
    compute_dtype: str


class _Results(_Part):
    results: Literal[1]
    name: Name
    run: Text
    spec_digest: Digest
    plan_digest: Digest
    environment: _Environment
    candidates: list[_Candidate]
    decision: _Decision
    steps: dict[str, _Step]


def check_results(document: Mapping[str, Any]) -> None:
    """Raises ValueError, which names the place, for what no run has written."""
    try:
        _Results.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise ValueError(f"results.json: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
