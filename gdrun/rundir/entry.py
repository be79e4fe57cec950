"""A run in a list: what its run.json says, as far as lists need it, read fast.

Neither numpy nor a YAML parser is imported, and a run whose record is broken is an entry too, with what is wrong
with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.text import safe_text

from . import layout
from .files import read_file
from .lock import is_locked
from .record import RECORD_LIMIT, Status, check_values, load_values
from .settings import ALIASES, settings_of
from .strict_json import loads, not_finite
from .tail import last_row

COMPUTED = ("id", "name", "kind", "status", "why", "age", "started", "finished", "directory")
"""Names that every run answers to."""

NUMBERS = ("steps", "epochs", "seconds", "loss", "best", "best_step", "diverged_at", "num_parameters", "total_steps")

_PLAIN = ("device", "threads", "precision", "compile", "stopped_by", "description", "config_hash")

ALWAYS_KNOWN = frozenset({*COMPUTED, *NUMBERS, *_PLAIN, *ALIASES})
"""Names that are never misspelt, even where no run has such a value."""


class Entry:
    """A run in a list."""

    __slots__ = ("_late", "_row", "_settings", "_status", "_values", "directory", "id", "problem")

    def __init__(self, directory: str | Path) -> None:
        """Read what the run's record says; what is wrong with it is in `problem`."""
        self.directory = str(directory)
        self.id = os.path.basename(self.directory)
        self._values: dict[str, Any] = {}
        self._late: dict[str, bytes] = {}
        self.problem: str | None = None
        self._status: Status | None = None
        self._settings: dict[str, Any] | None = None
        self._row: dict[str, Any] | None = None
        try:
            self._values, self._late = _read(f"{self.directory}/{layout.RECORD}")
        except FileNotFoundError:
            self.problem = f"it has no {layout.RECORD}"
            # Claimed, and either about to write its first record or killed before it could.
            self._status = Status.RUNNING if is_locked(Path(self.directory)) else Status.LOST
        except RunDirectoryError as error:
            self.problem = error.message
            self._status = Status.CORRUPT

    @property
    def status(self) -> Status:
        """As `Run.status`."""
        if self._status is None:
            status = Status(self._values.get("status", Status.RUNNING))
            lost = status is Status.RUNNING and not is_locked(Path(self.directory))
            self._status = Status.LOST if lost else status
        return self._status

    def value(self, name: str) -> Any:
        """Return what run.json says of `name`, None if nothing."""
        if (text := self._late.pop(name, None)) is not None:
            try:
                self._values[name] = load_values(text, self.directory)
            except RunDirectoryError as error:
                self.problem, self._status = error.message, Status.CORRUPT
        return self._values.get(name)

    @property
    def settings(self) -> dict[str, Any]:
        """The config's settings by dotted path; from config.yaml where the record has none; {} without either."""
        if self._settings is None:
            self._settings = _mapping(self.value("settings"))
            if not self._settings and self.problem is None:
                with suppress(RunDirectoryError):
                    self._settings = settings_of(Path(self.directory))
        return self._settings

    @property
    def final(self) -> dict[str, Any]:
        """The values at the run's end by name; {} while there are none."""
        return _mapping(self._values.get("final"))

    def started_at(self) -> datetime | None:
        """Return when the run started, by its record or else its id."""
        try:
            if text := self._values.get("started"):
                return datetime.fromisoformat(text).astimezone(UTC)
            if layout.is_run_id(self.id):
                return layout.time_of(self.id)
        except (ValueError, OverflowError):
            pass
        return None

    def names(self) -> Iterator[str]:
        """Yield the names that `get` knows for this run, for suggestions."""
        yield from ALWAYS_KNOWN
        yield from self.final
        for path in self.settings:
            yield path
            yield path.rpartition(".")[2]

    def get(self, name: str, *, now: datetime | None = None) -> Any:
        """Return the run's value of `name`, None if it has none.

        In this order: what every run has (`id`, `status`, `age` in seconds, ...); a number of its end (`steps`, `loss`,
        `best`, a metric); a setting by its path or, where one setting alone ends so, by its last word; a path in
        run.json (`versions.tensorflow`). "nan" and "inf" are numbers.

        Raises:
            UsageError: more than one setting ends in `name`.
        """
        return _plain(self._find(name, now))

    def _find(self, name: str, now: datetime | None) -> Any:
        values = self._values
        if name in COMPUTED:
            return self._computed(name, now)
        if name in NUMBERS:
            return self._number(name)
        if name in _PLAIN:
            return values.get(name)
        # The setting is meant by `learning_rate`; what a schedule made of it is `final.learning_rate`.
        if name in self.final and name != "learning_rate":
            return self.final[name]
        path = ALIASES.get(name, name)
        if (found := self.setting(path)) is not None:
            return found
        if "." not in name:
            return _by_last_word(self.settings, name)
        first, _, rest = name.partition(".")
        return _at(self.value(first), rest)

    def setting(self, path: str) -> Any:
        """Return the setting at `path`, None where the config has none."""
        found = self._peeked(path)
        return self.settings.get(path) if found is None else found

    def settings_lines(self) -> list[bytes] | None:
        """Return the lines of the settings' text, None once they were read, or where they must be."""
        text = self._late.get("settings")
        return None if text is None else text.replace(b",\n", b"\n").split(b"\n")[1:-1]

    def _peeked(self, path: str) -> Any:
        """The one number or text of a setting out of the settings' text, a tenth of the time that reading all takes.

        None where it is not plain to see: a list, a last word alone, nothing.
        """
        text = self._late.get("settings")
        if text is None or not path.isascii():
            return None
        mark = f'\n    "{path}": '.encode()
        start = text.find(mark)
        if start < 0:
            return None
        line = text[start + len(mark) : text.find(b"\n", start + 1)].removesuffix(b",")
        try:
            return None if line.endswith((b"[", b"{")) else loads(line)
        except ValueError:
            return None

    def _computed(self, name: str, now: datetime | None) -> Any:
        if name == "id":
            return self.id
        if name == "directory":
            return self.directory
        if name == "status":
            return self.status.value
        if name == "why":
            return self.problem or self._values.get("why")
        if name == "name":
            return self._values.get("name") or layout.name_in(self.id)
        if name == "age":
            started = self.started_at()
            return None if started is None else ((now or datetime.now(UTC)) - started).total_seconds()
        return self._values.get(name)

    def _number(self, name: str) -> Any:
        values = self._values
        if name == "loss":
            found = self.final.get("loss")
            return self._newest().get("loss") if found is None else found
        if name == "steps":
            return self._newest().get("step") if values.get("steps") is None else values["steps"]
        if name in ("best", "best_step"):
            return _mapping(values.get("best")).get("value" if name == "best" else "step")
        if name == "diverged_at":
            return _mapping(values.get("diverged")).get("step")
        return values.get(name)

    def _newest(self) -> dict[str, Any]:
        """The last row of a run that has not written its end: where it is now, or where it was killed."""
        if self._row is None:
            unfinished = self.status in (Status.RUNNING, Status.LOST)
            self._row = (last_row(Path(self.directory)) if unfinished else None) or {}
        return self._row


_LATE_MARKS = tuple(
    (name, f'\n  "{name}": {opening}\n'.encode(), f"\n  {closing},\n".encode())
    for name, opening, closing in (
        ("command", "[", "]"),
        ("versions", "{", "}"),
        ("host", "{", "}"),
        ("git", "{", "}"),
        ("settings", "{", "}"),
    )
)
"""The large parts of a record, in its order, which few lists need: two thirds of the time that reading it takes."""


def _read(path: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what a run.json says and, unread, the texts of its large parts.

    A line break inside a JSON text is an escape, so in the layout that gdrun writes a key after a line break and two
    spaces is one of the outermost. Another layout is read whole.
    """
    text = read_file(path, limit=RECORD_LIMIT)
    late = {}
    rest = text
    if text.startswith(b'{\n  "schema_version": '):
        at = 0
        kept = []
        for name, opening, closing in _LATE_MARKS:
            start = text.find(opening, at)
            end = text.find(closing, start) if start >= 0 else -1
            if end >= 0:
                kept.append(text[at:start])
                late[name] = text[start + len(opening) - 2 : end + len(closing) - 2]
                at = end + len(closing) - 1
        rest = b"".join([*kept, text[at:]])
    values = load_values(rest, path)
    check_values(values, path=path)
    return values, late


def _by_last_word(settings: dict[str, Any], word: str) -> Any:
    ending = f".{word}"
    paths = [path for path in settings if path.endswith(ending)]
    if len(paths) > 1:
        fewest = min(path.count(".") for path in paths)
        paths = [path for path in paths if path.count(".") == fewest]
    if len(paths) > 1:
        raise UsageError(
            f"'{safe_text(word, limit=60)}' is more than one setting: {safe_text(', '.join(paths[:6]), limit=300)}",
            hint="give the whole path",
        )
    return settings[paths[0]] if paths else None


def _at(values: Any, path: str) -> Any:
    for step in path.split("."):
        values = values.get(step) if isinstance(values, dict) else None
    return values


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _plain(value: Any) -> Any:
    """A value to compare and to show: "nan" as a number; a missing one and what is no value as None."""
    if isinstance(value, str):
        number = not_finite(value)
        return value if number is None else number
    return None if isinstance(value, dict) else value
