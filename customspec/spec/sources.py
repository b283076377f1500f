"""Where the model and the rows come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from customspec.errors import UnfitError
from customspec.spec.base import Strict, Text, Texts

HubName = Annotated[str, Field(pattern=r"^\w[\w.-]*/\w[\w.-]*$")]
# the hub's library makes a path of it, and would open what an absolute one, or `..`, leads to
Revision = Annotated[str, Field(pattern=r"^\w[\w+-]*(\.[\w+-]+)*(/\w[\w+-]*(\.[\w+-]+)*)*$")]


class BaseModelSpec(Strict):
    """Where the base model comes from: exactly one of `hub`, `path`, `package`."""

    hub: HubName | None = None
    """Repository on the Hugging Face hub, `owner/name`."""
    revision: Revision | None = None
    """Commit, tag or branch of the hub repository."""
    path: Text | None = None
    """Folder of safetensors, or a .gguf file; relative to the spec."""
    package: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")] | None = None
    """Installed Python package that holds the model file; it is located, never imported."""
    file: Text | None = None
    """File inside the package."""

    @model_validator(mode="after")
    def _one_source(self) -> BaseModelSpec:
        given = [name for name in ("hub", "path", "package") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(f"`{name}`" for name in given) or "none"
            raise UnfitError(
                f"a model needs exactly one of `hub`, `path`, `package`; found {found}",
                "keep the one that is meant" if given else "for instance: {path: FOLDER}, or {hub: OWNER/NAME}",
            )
        if (self.package is None) != (self.file is None):
            message = "`package` and `file` belong together: the package and the file inside it"
            raise UnfitError(message, self._lone_part())
        if self.revision is not None and self.hub is None:
            raise UnfitError("`revision` belongs to `hub`", "remove it: files on this machine have no revisions")
        return self

    def _lone_part(self) -> str:
        if self.package is not None:
            return "add `file: NAME.gguf`"
        inside = "" if self.path is None else f"; a file in a folder is `path: {self.path}/{self.file}`"
        return f"remove `file`{inside}"


def _split(value: object) -> object:
    if isinstance(value, str):
        return {"path": [value]}
    if isinstance(value, list):
        return {"path": value}
    if isinstance(value, dict) and isinstance(value.get("path"), str):
        return {**value, "path": [value["path"]]}
    return value


class Split(Strict):
    """Rows: one or more files, or a data set on the hub."""

    path: Texts | None = None
    """File or files: jsonl, json, csv, parquet; relative to the spec."""
    hub: HubName | None = None
    """Data set on the Hugging Face hub, `owner/name`."""
    revision: Revision | None = None
    """Commit, tag or branch of the data set."""
    subset: Text | None = None
    """Configuration of the data set."""
    split: Text | None = None
    """Split of the data set, for instance `train` or `train[:500]`."""

    @model_validator(mode="after")
    def _one_source(self) -> Split:
        if (self.path is None) == (self.hub is None):
            hint = "for instance: {path: train.jsonl}, or {hub: OWNER/NAME, split: train}"
            hint = hint if self.hub is None else "remove one of them"
            raise UnfitError("a split needs exactly one of `path` and `hub`", hint)
        if self.hub is None and (self.revision or self.subset or self.split):
            message = "`revision`, `subset` and `split` belong to `hub`"
            raise UnfitError(message, "remove it: a file is read whole, as it is")
        if self.hub is not None and self.split is None:
            raise UnfitError("a hub data set needs `split`", "add `split: train`, or another that it has")
        return self


AnySplit = Annotated[Split, BeforeValidator(_split, json_schema_input_type=str | list[str] | Split)]


class DataSpec(Strict):
    """The rows: to learn from, to choose by, to claim on."""

    train: AnySplit | None = None
    """Rows to learn from, and to take demonstrations from."""
    validation: AnySplit | None = None
    """Rows to choose by. Absent: split off the training rows by the first seed, stratified, whole groups together."""
    test: AnySplit
    """Rows to claim on; nothing else touches them."""
    group: Text | None = None
    """Column whose equal values belong together: never divided between splits, and resampled whole for intervals."""
    allow_overlap: int | None = Field(None, ge=0)
    """How many test rows are also training rows: exactly that many. Absent: none."""
    on_long: Literal["error", "truncate", "drop"] = "error"
    """A row longer than the model's context: refuse, cut the prompt (never the answer), or drop the row and say so."""
