"""run.json: what a run is, what happened to it, and on what it ran."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from gdrun.errors import RunDirectoryError
from gdrun.text import safe_text

from . import strict_json
from .files import read_file
from .layout import RECORD, SCHEMA_VERSION


class Status(StrEnum):
    """What a run has come to. The first six are written in run.json; the last two are what a reader finds."""

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
    """An error ended it; `why` tells it."""

    LOST = "lost"
    """Still "running" by its record, but no process holds its lock: it was killed."""
    CORRUPT = "corrupt"
    """Its record cannot be read."""


WRITTEN_STATUSES = frozenset(Status) - {Status.LOST, Status.CORRUPT}

Values = dict[str, Any]

RECORD_LIMIT = 16 << 20
"""Bytes of a run.json that are read."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The content of run.json. Times are UTC in ISO 8601; durations are seconds; losses are in the loss's unit.

    Keys that this version does not know are kept in `extra` and written back, so that an older gdrun that touches a
    newer run loses nothing.
    """

    schema_version: int = SCHEMA_VERSION
    id: str = ""
    name: str = ""
    description: str | None = None
    kind: str = "train"
    """"train" or "sweep"."""
    status: str = Status.RUNNING.value
    stopped_by: str | None = None
    """What ended it: "steps", "loss_below", "patience", "signal", ..."""
    why: str | None = None
    """The same in words."""
    started: str | None = None
    finished: str | None = None
    seconds: float | None = None
    """Of wall clock, over all the times it was resumed."""
    steps: int | None = None
    """Updates done."""
    epochs: float | None = None
    """Passes over the data begun, fractions included."""
    resumed: tuple[Values, ...] = ()
    """One mapping for each time it was resumed: when, and from which step."""
    command: tuple[str, ...] = ()
    """The arguments of the process, `argv`."""
    versions: Values = field(default_factory=dict)
    """Package -> version, with "python"."""
    host: Values = field(default_factory=dict)
    git: Values | None = None
    """Of the folder it was started in: commit, branch, root."""
    device: str | None = None
    threads: int | None = None
    precision: str | None = None
    compile: str | None = None
    """What really ran, where xla had to fall back to graph."""
    seeds: Values = field(default_factory=dict)
    config_hash: str | None = None
    settings: Values = field(default_factory=dict)
    """The resolved config by dotted path, shortened (see `gdrun.rundir.settings`): what runs are listed by."""
    plugins: Values = field(default_factory=dict)
    """Plugin -> hash."""
    data: Values = field(default_factory=dict)
    """Data file's absolute path -> hash."""
    final: Values = field(default_factory=dict)
    """loss, metrics, gradient norm, at the final parameters."""
    best: Values = field(default_factory=dict)
    """step and value of the metric that chose best.npz."""
    diverged: Values | None = None
    """step and quantity of the first value that was not finite."""
    warnings: tuple[str, ...] = ()
    extra: Values = field(default_factory=dict)

    def to_json(self) -> Values:
        """Return the mapping that run.json holds, in the order of the fields; `extra` is spread at its end."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "extra"}
        return strict_json.plain(values | self.extra)

    def to_text(self) -> str:
        """Return the text of run.json."""
        return strict_json.dumps(self.to_json(), indent=2) + "\n"

    def updated(self, **changes: Any) -> RunRecord:
        """Return the record with `changes`; `extra` is merged, not replaced.

        Raises:
            TypeError: a change names no field; what has none goes into `extra`.
            ValueError: the status is not one that is written.
        """
        if changes.get("status", self.status) not in WRITTEN_STATUSES:
            raise ValueError(f"'{changes['status']}' is not a status that a run records")
        changes["extra"] = self.extra | dict(changes.get("extra") or {})
        if clashes := sorted(changes["extra"].keys() & _TYPES.keys()):
            raise ValueError(f"'{clashes[0]}' is a field of its own, not an extra one")
        return replace(self, **changes)

    @classmethod
    def from_text(cls, text: bytes, *, path: object) -> RunRecord:
        """Return the record in the bytes of a run.json.

        Args:
            path: of the file, for the message.
        Raises:
            RunDirectoryError: it is not a run.json, or one of a newer gdrun.
        """
        return cls.from_json(load_values(text, path), path=path)

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, path: object) -> RunRecord:
        """Return the record that a run.json's object describes. Raises: as `from_text`."""
        check_values(values, path=path)
        known: Values = {}
        for name, value in values.items():
            if name not in _TYPES:
                known.setdefault("extra", {})[name] = value
            else:
                known[name] = tuple(value) if isinstance(value, list) else value
        return cls(**known)


def check_values(values: object, *, path: object) -> None:
    """Look at what a run.json says without making a record of it: what ten thousand runs are listed with.

    Raises:
        RunDirectoryError: it is not a run.json, or one of a newer gdrun.
    """
    if not isinstance(values, dict):
        raise _corrupt(path, "it is not a JSON object")
    version = values.get("schema_version")
    if type(version) is not int or version < 1:
        raise _corrupt(path, "it has no schema_version; it is not gdrun's")
    if version > SCHEMA_VERSION:
        raise RunDirectoryError(
            f"{safe_text(path)} was written by a newer gdrun (its schema_version is {version}, "
            f"this one reads up to {SCHEMA_VERSION})",
            hint="upgrade gdrun",
        )
    for name, value in values.items():
        kinds = _TYPES.get(name)
        if kinds is not None and type(value) not in kinds and not _fits(value, kinds):
            raise _corrupt(path, f"'{name}' cannot be {strict_json.dumps(value)[:60]}")
    if values.get("status", Status.RUNNING) not in WRITTEN_STATUSES:
        raise _corrupt(path, f"there is no status '{safe_text(values['status'], limit=60)}'")


def load_values(text: bytes, path: object) -> Values:
    """Return what the text of a run.json says, unchecked. Raises RunDirectoryError where it is not strict JSON."""
    try:
        values: Values = strict_json.loads(text)
    except ValueError as error:
        raise _corrupt(path, f"it is not strict JSON ({error})") from error
    return values


def read_record(directory: Path) -> RunRecord:
    """Return the record of a run directory.

    Raises:
        RunDirectoryError: it has none, or a corrupt one.
    """
    path = directory / RECORD
    try:
        text = read_file(path, limit=RECORD_LIMIT)
    except FileNotFoundError as error:
        raise RunDirectoryError(f"{directory} is not a run directory: it has no {RECORD}") from error
    return RunRecord.from_text(text, path=path)


def now_text(now: datetime | None = None) -> str:
    """Return a time (default: now) as run.json has it: "2026-11-23T00:33:18.123Z"."""
    return strict_json.plain(now or datetime.now(UTC))


def missing(reason: str) -> Values:
    """Return what stands for a value that does not exist, such as the gradient of an unused parameter."""
    return {"value": None, "reason": reason}


def _corrupt(path: object, reason: str) -> RunDirectoryError:
    return RunDirectoryError(f"{safe_text(path)} is corrupt: {safe_text(reason, limit=300)}")


def _fits(value: Any, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    if tuple in kinds and isinstance(value, list):
        return True
    if float in kinds and (
        isinstance(value, int) or (isinstance(value, str) and strict_json.not_finite(value) is not None)
    ):
        return True
    return isinstance(value, kinds)


def _kinds_of(hint: Any) -> tuple[type, ...]:
    if isinstance(hint, types.UnionType):
        return tuple(kind for part in get_args(hint) for kind in _kinds_of(part))
    kind = get_origin(hint) or hint
    # What JSON has for them, so that most values need no second look.
    return {tuple: (tuple, list), float: (float, int)}.get(kind, (kind,))


_TYPES = {name: _kinds_of(hint) for name, hint in get_type_hints(RunRecord).items() if name != "extra"}
