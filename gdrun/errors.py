"""Errors that gdrun raises on purpose, and the exit code that each ends a command with.

    GdrunError                  1   a bug in gdrun, unless a subclass says otherwise
    |-- UsageError              2   the command line asks for something that does not exist
    |-- ConfigError             2   the config is refused; carries one Problem per mistake
    |-- ComponentError          2   a part got values it cannot work with (no config path known here)
    |   |-- ShapeError          2   ... because two shapes do not fit
    |   |-- DataError           2   ... because data is missing, malformed or not finite
    |   |-- PluginError         2   ... because a plugin's code failed, or gave what it must not
    |   `-- FormulaError        2   ... because a formula cannot be read or evaluated
    |-- RunDirectoryError       5   a run directory or the disk: busy, corrupt, full, read-only, foreign
    |-- ResourceError           8   a GPU, memory, an optional package or a cluster is not there
    `-- Interrupted         130/143 a signal asked the run to end; its state is saved

Outcomes are not errors: a run that diverges (exit 3) or misses an expectation (exit 4) ends normally and says so in
its status.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

ConfigPath = tuple[str | int, ...]


class ExitCode(IntEnum):
    """Exit codes of a gdrun process."""

    DONE = 0
    BUG = 1
    REFUSED = 2
    DIVERGED = 3
    EXPECTATION = 4
    DISK = 5
    INCOMPLETE = 7
    RESOURCE = 8
    INTERRUPTED = 130
    TERMINATED = 143


@dataclass(frozen=True)
class Place:
    """A place in a text. `line` and `column` count from 1; `text` is the whole line."""

    source: str
    line: int
    column: int
    length: int = 1
    text: str = ""


@dataclass(frozen=True)
class Problem:
    """One mistake in a config.

    `path` names the value (("optimizer", "learning_rate")); `offset` and `length` narrow it to a part of that value's
    text, in characters. `place` is filled in by the code that has the file's text. `hint` says how to mend it.
    """

    message: str
    path: ConfigPath = ()
    hint: str | None = None
    offset: int | None = None
    length: int | None = None
    place: Place | None = None
    key: bool = False
    """True where the problem is the last key of `path` itself, not its value."""


class GdrunError(Exception):
    """The root of every error that gdrun raises on purpose. `hint` says what to do about it."""

    exit_code: ExitCode = ExitCode.BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GdrunError):
    """A command line that cannot be carried out."""

    exit_code = ExitCode.REFUSED


class ConfigError(GdrunError):
    """A config that is refused; `problems` holds every mistake that was found, in file order."""

    exit_code = ExitCode.REFUSED

    def __init__(self, problems: tuple[Problem, ...], *, source: str = "") -> None:
        assert problems
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems
        self.source = source


class ComponentError(GdrunError):
    """A component got values it cannot work with. Assembly turns it into a ConfigError that has a place.

    `within` is the path from the config value that the component was built from to the part at fault: ("target",).
    """

    exit_code = ExitCode.REFUSED

    def __init__(self, message: str, *, hint: str | None = None, within: ConfigPath = ()) -> None:
        super().__init__(message, hint=hint)
        self.within = within

    @classmethod
    def of(cls, problem: Problem) -> ComponentError:
        """Return the error of a problem whose path counts from the component's section."""
        return cls(problem.message, hint=problem.hint, within=problem.path)

    def at(self, path: ConfigPath, *, key: bool = False) -> ConfigError:
        """Return the ConfigError that says the same of the config value at `path`, or of its key."""
        return ConfigError((replace(self.problem(path), key=key),))

    def problem(self, path: ConfigPath) -> Problem:
        """Return this error as a Problem of the value at `path`."""
        return Problem(self.message, (*path, *self.within), self.hint)


class ShapeError(ComponentError):
    """Two shapes that do not fit; the message gives both."""


class DataError(ComponentError):
    """Data that is missing, malformed or not finite; the message gives the place in the data."""


class PluginError(ComponentError):
    """A plugin that cannot be loaded, or whose code failed or gave what it must not; its own error is the cause."""


class FormulaError(ComponentError):
    """A formula that cannot be read or evaluated.

    `offset` and `length` mark the offending token in characters of the formula's text; None where no one token is.
    """

    def __init__(
        self, message: str, *, offset: int | None = None, length: int | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.offset = offset
        self.length = length

    def problem(self, path: ConfigPath) -> Problem:
        """Return this error as a Problem of the formula at `path`, narrowed to the token."""
        return replace(super().problem(path), offset=self.offset, length=self.length)


class RunDirectoryError(GdrunError):
    """A run directory or the disk below it cannot be used; the message gives the path and the reason."""

    exit_code = ExitCode.DISK


class ResourceError(GdrunError):
    """Something outside gdrun is missing: a device, memory, an optional package, a cluster."""

    exit_code = ExitCode.RESOURCE


class Interrupted(GdrunError):
    """A signal asked the run to end. `exit_code` is 128 plus the signal's number."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, message: str, *, signal_number: int = 2) -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = ExitCode(128 + signal_number)
