"""The names in a runs root: run ids, the files of a run directory, and which directory a reference means."""

from __future__ import annotations

import difflib
import os
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.text import plural

from .files import disk_error

SCHEMA_VERSION = 1
"""Of run.json and of what the other files mean. A reader refuses a larger one than its own."""

CONFIG = "config.yaml"
SOURCE = "source"
PLUGINS = "source/plugins"
CHANGES = "source/changes.diff"
RUN_INFO = "run.json"
METRICS = "metrics.jsonl"
ROW_ARRAYS = "metrics.bin"
PARAMETERS = "parameters.npz"
PARAMETERS_JSON = "parameters.json"
RAW = "raw.npz"
BEST = "best.npz"
CHECKPOINTS = "checkpoints"
LOG = "log.txt"
TRIALS = "trials.csv"
CURVES = "curves.npz"
BEST_RUN = "best"
JOBS = "jobs"
LOCK = ".lock"
HEARTBEAT = ".lock-heartbeat"
LATEST = "latest"

DEFAULT_RUNS_ROOT = "runs"
RUNS_ROOT_VARIABLE = "GDRUN_RUNS"

_RUN_ID = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}-[a-z0-9][a-z0-9._-]{0,63}-[0-9a-f]{4}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LATEST_REFERENCE = re.compile(r"latest(?:~(\d{1,9}))?")
_STAMP = "%Y-%m-%dT%H%M%S"
_STAMP_LENGTH = len("2026-11-23T003318")


def new_run_id(name: str, now: datetime, token: str | None = None) -> str:
    """Return the id of a run that starts at `now`, e.g. "2026-11-23T003318-pi-7f3a".

    Args:
        name: the experiment's name, as the config allows it: [a-z0-9][a-z0-9._-]{0,63}.
        now: an aware time; the id is in UTC.
        token: four hexadecimal digits that tell runs of one second apart; None draws them.
    Raises:
        RunDirectoryError: if the name is not one that can be a part of a directory's name.
    """
    if not _NAME.fullmatch(name):
        raise RunDirectoryError(f"{name!r} cannot be the name of a run: use a-z, 0-9, '.', '_', '-'")
    token = secrets.token_hex(2) if token is None else token
    return f"{now.astimezone(UTC):{_STAMP}}-{name}-{token}"


def is_run_id(name: str) -> bool:
    """Return whether a directory of this name was claimed by gdrun for a run."""
    return _RUN_ID.fullmatch(name) is not None


def time_of(run_id: str) -> datetime:
    """Return the second in which the run of this id was claimed. Raises ValueError where it is no time."""
    return datetime.strptime(run_id[:_STAMP_LENGTH], _STAMP).replace(tzinfo=UTC)


def name_in(run_id: str) -> str:
    """Return the experiment's name in a run's id; the directory's name where it is no id."""
    return run_id[_STAMP_LENGTH + 1 : -5] if is_run_id(run_id) else run_id


def default_runs_root() -> Path:
    """Return the runs root of a command that names none: $GDRUN_RUNS, or `runs` in the current directory."""
    return Path(os.environ.get(RUNS_ROOT_VARIABLE) or DEFAULT_RUNS_ROOT)


def root_of(runs_root: Path | str | None) -> Path:
    """Return the runs root that an optional argument means."""
    return default_runs_root() if runs_root is None else Path(runs_root)


def is_run_directory(path: Path) -> bool:
    """Return whether `path` is a directory that holds a run, or that a run was about to fill when it was killed."""
    return path.is_dir() and (is_run_id(path.name) or (path / RUN_INFO).is_file())


def iterate_runs(runs_root: Path) -> Iterator[Path]:
    """Yield the run directories right below `runs_root`, oldest first; none where there is no such directory.

    Symlinks are left out (`latest` is one), hidden directories too. Runs that were renamed by hand are found by their
    record. Order is the id's second; within one second the time at which the directory's lock file was made.
    """
    for name in run_names(runs_root):
        yield runs_root / name


def run_names(runs_root: Path) -> list[str]:
    """Return the names of what `iterate_runs` yields."""
    try:
        with os.scandir(runs_root) as entries:
            names = [entry.name for entry in entries if _holds_run(entry)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise disk_error("list the runs in", runs_root, error) from error
    seconds = {name: _claimed_second(runs_root, name) for name in names}
    names.sort(key=lambda name: (seconds[name], name))
    # The lock file is looked at only where two runs share a second: 10,000 runs must list in a blink.
    if len(set(seconds.values())) < len(names):
        names.sort(key=lambda name: (seconds[name], _claimed_at(runs_root / name), name))
    return names


def _holds_run(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
        return False
    return is_run_id(entry.name) or os.path.isfile(os.path.join(entry.path, RUN_INFO))


def _claimed_second(runs_root: Path, name: str) -> str:
    """Return the second in which the run was claimed, as ids write it."""
    if is_run_id(name):
        return name[:_STAMP_LENGTH]
    return f"{datetime.fromtimestamp(_claimed_at(runs_root / name) / 1e9, UTC):{_STAMP}}"


def _claimed_at(directory: Path) -> int:
    """Return the nanoseconds at which the directory's lock file was made; it is never written to afterwards."""
    try:
        return os.lstat(directory / LOCK).st_mtime_ns
    except OSError:
        return 0


def find_run(runs_root: Path, reference: str) -> Path:
    """Return the run directory that `reference` means.

    In this order: `latest` and `latest~N` (N runs before it); a path, where there is a slash in it; an id in
    `runs_root`; a prefix, or an end after a hyphen ("7f3a", "pi-7f3a"), that one id alone has; a directory of that
    name here.

    Raises:
        UsageError: nothing or more than one run answers to the reference.
        RunDirectoryError: it is a path of something that is not a run directory.
    """
    match = _LATEST_REFERENCE.fullmatch(reference)
    if match:
        return _nth_latest(runs_root, int(match[1] or 0), reference)
    if "/" in reference or reference in (".", ".."):
        return _at_path(Path(reference))
    if is_run_id(reference) and (runs_root / reference).is_dir() and not (runs_root / reference).is_symlink():
        return runs_root / reference  # without a look at ten thousand others
    names = run_names(runs_root)
    if reference in names:
        return runs_root / reference
    fitting = [name for name in names if reference and name.startswith(reference)]
    if not fitting and reference:
        fitting = [name for name in names if is_run_id(name) and name.endswith(f"-{reference}")]
    if len(fitting) == 1:
        return runs_root / fitting[0]
    if len(fitting) > 1:
        does = "is the start of" if fitting[0].startswith(reference) else "is the end of"
        examples = ", ".join(fitting[:5]) + (", ..." if len(fitting) > 5 else "")
        raise UsageError(f"{reference!r} {does} {len(fitting)} runs: {examples}")
    if reference and os.path.isdir(reference):
        return _at_path(Path(reference))
    # Of ten thousand ids, difflib finds the nearest in a tenth of the time that `closest` needs.
    near = [name for name in names if is_run_id(name) and name_in(name) == reference]
    near = near or difflib.get_close_matches(reference, names, n=1)
    hint = f"did you mean '{near[-1]}'?" if near else "give a run's path, its id or the beginning of it, or latest"
    raise UsageError(f"no run {reference!r} in {runs_root}", hint=hint)


def _nth_latest(runs_root: Path, back: int, reference: str) -> Path:
    # Not by the pointer `latest`: it dangles when the newest run was removed, and it can point anywhere.
    names = run_names(runs_root)
    if back >= len(names):
        raise UsageError(
            f"no run '{reference}': {runs_root} holds {plural(len(names), 'run')}",
            hint=None if names else "`gdrun train CONFIG` makes one; --runs-dir or GDRUN_RUNS name another place",
        )
    return runs_root / names[len(names) - 1 - back]


def _at_path(path: Path) -> Path:
    if path.is_symlink():
        # `runs/latest` means its target. A link to elsewhere stays one, so that `gdrun rm` refuses it.
        target = os.readlink(path)
        if "/" not in target and target not in (".", ".."):
            path = path.parent / target
    if not os.path.lexists(path):
        raise UsageError(f"no run directory {str(path)!r}")
    if not is_run_directory(path):
        raise RunDirectoryError(f"{path} is not a run directory: it has no {RUN_INFO}")
    return path
