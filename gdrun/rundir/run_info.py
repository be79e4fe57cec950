"""run.json: the run info, which says what a run is, what happened to it, and on what it ran."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from gdrun.errors import RunDirectoryError

from . import strict_json
from .files import read_file
from .layout import RUN_INFO, SCHEMA_VERSION


class Status(StrEnum):
    """State of a run. The first seven are written in run.json; the last two are found by a reader."""

    SUBMITTED = "submitted"
    """A job of a batch system is to train it, or jobs its parts, which are to be gathered."""
    RUNNING = "running"
    COMPLETED = "completed"
    """The schedule's end."""
    STOPPED = "stopped"
    """A rule of `schedule.stop` fired; `stopped_by` names it."""
    DIVERGED = "diverged"
    """Something stopped being finite; `diverged` says what and at which step."""
    INTERRUPTED = "interrupted"
    """A signal asked it to end; what it had is saved."""
    FAILED = "failed"
    """An error ended it; `why` is its message."""

    LOST = "lost"
    """Still "running" by its run info, but no process holds its lock: it was killed."""
    CORRUPT = "corrupt"
    """Its run info cannot be read."""


WRITTEN_STATUSES = frozenset(Status) - {Status.LOST, Status.CORRUPT}

Values = dict[str, Any]


def _number(value: Any) -> Any:
    number = strict_json.not_finite(value) if isinstance(value, str) else None
    return value if number is None else number


Number = Annotated[float, BeforeValidator(_number)]
"""A number; strict JSON has "nan", "inf" and "-inf" for those that are not finite."""

_LIMIT = 16 << 20
"""Bytes of a run.json that are read."""


class RunInfo(BaseModel):
    """The content of run.json. Times are UTC in ISO 8601; durations are seconds; losses are in the loss's unit.

    Keys that this version does not know are kept and written back, so that an older gdrun that touches a newer run
    loses nothing.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    schema_version: Annotated[int, Field(ge=1)] = SCHEMA_VERSION
    id: str = ""
    name: str = ""
    description: str | None = None
    kind: str = "train"
    """"train" or "sweep"."""
    status: Literal["submitted", "running", "completed", "stopped", "diverged", "interrupted", "failed"] = "running"
    stopped_by: str | None = None
    """What ended it: "steps", "loss_below", "patience", "signal", ..."""
    why: str | None = None
    """The same in words."""
    signal: int | None = None
    """The number of the signal that ended it, where one did: 2 is SIGINT, 15 is SIGTERM."""
    started: str | None = None
    finished: str | None = None
    seconds: Number | None = None
    """Of wall clock, over all the times it was resumed."""
    steps: int | None = None
    """Updates done."""
    epochs: Number | None = None
    """Passes over the data begun, fractions included."""
    phases: tuple[Values, ...] = ()
    """Of a run with phases, one mapping for each that has begun: begins (a step), epoch, steps_per_epoch of those after
    the first, and ended, the rule."""
    resumed: tuple[Values, ...] = ()
    """One mapping for each time it was resumed: when, step (of a sweep: trials, those that had a result), command."""
    command: tuple[str, ...] = ()
    """The arguments of the process, `argv`."""
    versions: Values = {}
    """Package -> version, with "python"."""
    distributions: Values = {}
    """Distribution -> version, of all that the process had imported when the run began."""
    variables: Values = {}
    """Environment variables that can change digits, as they were set."""
    host: Values = {}
    git: Values | None = None
    """Of the folder it was started in: commit, branch, dirty, root."""
    device: str | None = None
    threads: int | None = None
    precision: str | None = None
    compile: str | None = None
    """What really ran, where xla had to fall back to graph."""
    seeds: Values = {}
    config_hash: str | None = None
    settings: Values = {}
    """The resolved config by dotted path, shortened (see `gdrun.rundir.settings`): what runs are listed by."""
    plugins: Values = {}
    """Plugin -> hash."""
    data: Values = {}
    """Absolute path of a file of data, or of parameters to start with -> hash."""
    final: Values = {}
    """loss, metrics, gradient norm, at the final parameters."""
    best: Values = {}
    """step and value of the metric that chose best.npz."""
    diverged: Values | None = None
    """step and quantity of the first value that was not finite."""
    warnings: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Words that people added by `gdrun tag`."""
    notes: tuple[Values, ...] = ()
    """Remarks that people added by `gdrun note`: when and text."""

    @property
    def is_sweep(self) -> bool:
        """True for a sweep, False for a run."""
        return self.kind == "sweep"

    @property
    def extra(self) -> Values:
        """The keys that are no fields: what only sweeps have, and what a newer gdrun wrote."""
        return self.model_extra or {}

    @property
    def values(self) -> Values:
        """Key of run.json -> value: the fields in their order, then `extra`."""
        return vars(self) | self.extra

    def to_json(self) -> Values:
        """Return `values` in the form in which run.json has them."""
        return strict_json.plain(self.values)

    def to_text(self) -> str:
        """Return the text of run.json."""
        return strict_json.dumps(self.to_json(), indent=2) + "\n"

    def updated(self, *, extra: Mapping[str, Any] | None = None, **changes: Any) -> RunInfo:
        """Return the run info with `changes` to its fields and to the keys of `extra`.

        Raises:
            TypeError: a change names no field; what has none goes into `extra`.
            ValueError: the status is not one that is written.
        """
        extra = extra or {}
        if unknown := changes.keys() - RunInfo.model_fields.keys():
            raise TypeError(f"'{min(unknown)}' is no field of the run info")
        if clashes := extra.keys() & RunInfo.model_fields.keys():
            raise ValueError(f"'{min(clashes)}' is a field of its own, not an extra one")
        if changes.get("status", self.status) not in WRITTEN_STATUSES:
            raise ValueError(f"'{changes['status']}' is not a status that a run records")
        return self.model_copy(update=changes | dict(extra))

    @classmethod
    def from_text(cls, text: bytes, *, path: object) -> RunInfo:
        """Return the run info in the bytes of a run.json.

        Args:
            path: of the file, for the message.
        Raises:
            RunDirectoryError: it is not a run.json, or one of a newer gdrun.
        """
        info, reason = None, "it has no schema_version; it is not gdrun's"
        try:
            info = cls.model_validate_json(text)
            version = info.schema_version if "schema_version" in info.model_fields_set else None
        except ValidationError as error:
            version, reason = _version_in(text), _reason(error)
        if type(version) is int and version > SCHEMA_VERSION:
            raise RunDirectoryError(
                f"{path} was written by a newer gdrun (its schema_version is {version}, "
                f"this one reads up to {SCHEMA_VERSION})",
                hint="upgrade gdrun",
            )
        if info is None or version is None:
            raise RunDirectoryError(f"{path} is corrupt: {reason}")
        return info


def _version_in(text: bytes) -> Any:
    """Return the schema_version of a text that is no run info of this version."""
    with suppress(ValueError, RecursionError):
        values = json.loads(text)
        return values.get("schema_version") if isinstance(values, dict) else None
    return None


def _reason(error: ValidationError) -> str:
    """Return what is wrong with a run.json: its first problem."""
    problem = error.errors(include_url=False)[0]
    if problem["type"] == "json_invalid":
        return f"it is not strict JSON ({problem['ctx']['error']})"
    if not problem["loc"]:
        return "it is not a JSON object"
    if problem["loc"][0] == "schema_version":
        return "it has no schema_version; it is not gdrun's"
    return f"'{problem['loc'][0]}' cannot be {strict_json.dumps(problem['input'])[:60]}"


def read_run_info(directory: Path) -> RunInfo:
    """Return the run info of a run directory.

    Raises:
        RunDirectoryError: it has none, or a corrupt one.
    """
    path = f"{directory}/{RUN_INFO}"
    try:
        text = read_file(path, limit=_LIMIT)
    except FileNotFoundError as error:
        raise RunDirectoryError(f"{directory} is not a run directory: it has no {RUN_INFO}") from error
    return RunInfo.from_text(text, path=path)


def now_text(now: datetime | None = None) -> str:
    """Return a time (default: now) as run.json has it: "2026-11-23T00:33:18.123Z"."""
    return strict_json.plain(now or datetime.now(UTC))


def missing(reason: str) -> Values:
    """Return what stands for a value that does not exist, such as the gradient of an unused parameter."""
    return {"value": None, "reason": reason}
