"""The one writer of a run directory.

What it promises, whatever kills the process: each file is absent, complete-old or complete-new; only the last line of
an append-only file can be torn, readers skip it and the next writer cuts it off. What `sync`, `close`, `update_info`
and the `write_` methods have returned from is on the disk. After a failure of the disk nothing is trusted: every
further call repeats the error. One thread at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from gdrun.errors import Interrupted, RunDirectoryError
from gdrun.text import safe_text

from . import claim, layout, row_arrays, strict_json
from .arrays import write_arrays
from .checkpoint import Checkpoints
from .files import TEMPORARY, AppendOnlyFiles, reading, remove_file, remove_leftovers, replacing
from .lock import WriterLock
from .metrics import encode_columns, offset_after
from .run_info import RunInfo, Status, now_text, read_run_info

FEW_NUMBERS = 1000
"""Up to so many parameters are also written as parameters.json, for people."""

_APPEND_ONLY = (layout.METRICS, layout.ROW_ARRAYS, layout.LOG)


class RunStore:
    """The writer of one run directory; holds its lock from `create` or `open` until `close`, `abandon`, `leave` or
    `discard`.

    As a context manager it expects the run to be closed. If the block ends with an error it abandons the run, but where
    the run info is still as `open` found it, it leaves it.
    """

    def __init__(self, directory: Path, lock: WriterLock, info: RunInfo, claimed: claim.Claim | None) -> None:
        """Use `create` or `open`."""
        self.directory = directory
        self._lock = lock
        self._info = self._opened_info = info
        self._claimed = claimed
        self._written: set[str] = set()
        self._appended = AppendOnlyFiles(directory)
        self._broken: RunDirectoryError | None = None
        self._closed = False
        self.warnings: list[str] = []
        """What went wrong without harm to the run."""

    @classmethod
    def create(cls, runs_root: Path, name: str, *, now: datetime | None = None, **fields: Any) -> RunStore:
        """Claim a new run directory below `runs_root`, lock it, write its first run.json and point `latest` at it.

        Args:
            runs_root: made if it is not there.
            name: the experiment's name.
            now: when the run starts; default now.
            fields: of the RunInfo, as far as they are known already.
        Raises:
            RunDirectoryError: the disk refused; nothing is left behind.
        """
        now = now or datetime.now(UTC)
        claimed = claim.claim(Path(runs_root), name, now)
        info = RunInfo(id=claimed.path.name, name=name, started=now_text(now))
        store = cls(claimed.path, claimed.lock, info, claimed)
        try:
            store.update_info(**fields)
            store.warnings += claimed.pointer.move(claimed.path.name)
        except BaseException:
            with suppress(RunDirectoryError):
                store.discard()
            raise
        return store

    @classmethod
    def open(cls, directory: Path) -> RunStore:
        """Open an existing run directory to write more into it.

        Takes the lock, removes what a killed writer left half-written, and cuts a torn last line off. The run
        info is left as it is.

        Raises:
            RunDirectoryError: it is busy, corrupt, foreign, or the disk refuses.
        """
        directory = Path(directory)
        # Before the lock, so that a directory that is not ours does not even get a lock file.
        read_run_info(directory)
        lock = WriterLock(directory)
        try:
            store = cls(directory, lock, read_run_info(directory), None)
            for folder in ("", layout.SOURCE, layout.CHECKPOINTS, layout.BEST_RUN):
                remove_leftovers(directory / folder)
            for name in (layout.METRICS, layout.LOG):
                store._appended.cut_torn_line(name)
            store._cut_arrays()
        except BaseException:
            lock.release()
            raise
        return store

    @property
    def info(self) -> RunInfo:
        """The run info as run.json has it now."""
        return self._info

    def checkpoints(self, *, keep: int = 2) -> Checkpoints:
        """Return the run's checkpoints, to save and to load; `keep` of the newest stay."""
        return Checkpoints(self.directory, keep=keep)

    # --- whole files ---------------------------------------------------------------------------------------------

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write the file `name` (relative, folders with `/`) whole and durably, in place of an older one.

        Raises:
            RunDirectoryError: the name leads elsewhere or is the store's own, or the disk refused; the older file, if
                there was one, is still complete.
        """
        with self.replacing(name) as file:
            file.write(data)

    def write_text(self, name: str, text: str) -> None:
        """Write `text` as UTF-8. Raises: as `write_bytes`."""
        self.write_bytes(name, text.encode("utf-8", "backslashreplace"))

    def write_json(self, name: str, value: object) -> None:
        """Write `value` as strict, indented JSON. Raises: as `write_bytes`; TypeError if it has no JSON form."""
        self.write_text(name, strict_json.dumps(value, indent=2) + "\n")

    def write_arrays(self, name: str, arrays: Mapping[str, ArrayLike]) -> None:
        """Write named arrays as .npz; the same arrays give the same bytes. Raises: as `write_bytes`."""
        with self.replacing(name) as file:
            write_arrays(file, arrays)

    def write_parameters(self, parameters: Mapping[str, ArrayLike]) -> None:
        """Write parameters.npz and, while they are few, parameters.json: name -> nested list."""
        self.write_arrays(layout.PARAMETERS, parameters)
        if sum(np.size(value) for value in parameters.values()) <= FEW_NUMBERS:
            self.write_json(layout.PARAMETERS_JSON, {name: np.asarray(value) for name, value in parameters.items()})

    @contextmanager
    def replacing(self, name: str) -> Iterator[BinaryIO]:
        """Open a new version of the file `name`, seekable; it takes the old one's place when the block ends well."""
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise RunDirectoryError(f"{name!r} does not name a file inside a run directory")
        if name in (*_APPEND_ONLY, layout.LOCK, layout.HEARTBEAT) or parts[-1].startswith(TEMPORARY):
            raise RunDirectoryError(f"'{name}' in a run directory is not for writing over")
        with self._trusting():
            self._written.add(name)
            with replacing(self.directory / name) as file:
                yield file

    def remove(self, name: str) -> bool:
        """Remove the file `name`; return whether it was there."""
        with self._trusting():
            return remove_file(self.directory / name)

    def update_info(self, **fields: Any) -> RunInfo:
        """Change fields of the run info and write run.json; return the new run info.

        Raises:
            TypeError, ValueError: as `RunInfo.updated`.
            RunDirectoryError: the disk refused.
        """
        info = self._info.updated(**fields)
        self.write_bytes(layout.RUN_INFO, info.to_text().encode())
        self._info = info
        return info

    # --- append-only files ---------------------------------------------------------------------------------------

    def append_columns(self, columns: Mapping[str, Any], present: Mapping[str, np.ndarray] | None = None) -> None:
        """Append rows, given by column, to metrics.jsonl in one write; large arrays go to metrics.bin.

        Args:
            columns: see `encode_columns`; each row has an integer `step`.
            present: see `encode_columns`.
        Raises:
            TypeError: a value has no JSON form; nothing was written.
            RunDirectoryError: the disk refused.
        """
        split, arrays = row_arrays.split_columns(columns, present or {}, self._arrays_size)
        data = encode_columns(split, present)
        self._append(layout.ROW_ARRAYS, arrays)
        self._append(layout.METRICS, data)

    def log(self, text: str) -> None:
        """Append `text` and, if it does not end in one, a newline to log.txt."""
        line = text if text.endswith("\n") else text + "\n"
        self._append(layout.LOG, line.encode("utf-8", "backslashreplace"))

    def cut_rows(self, *, after_step: int) -> None:
        """Remove the rows after `after_step` from metrics.jsonl: what a resumed run will record again."""
        with self._trusting():
            try:
                with reading(self.directory / layout.METRICS) as file:
                    offset = offset_after(file, after_step)
            except FileNotFoundError:
                return
            self._appended.cut(layout.METRICS, offset)
            self._cut_arrays()

    def sync(self) -> None:
        """Flush everything that was appended to the disk.

        Raises:
            RunDirectoryError: it could not be; what was appended since the last flush may be lost, and the store is
                not used any more (the system forgets a failed flush, so a second one would succeed and mean nothing).
        """
        with self._trusting():
            self._appended.flush()

    # --- the end -------------------------------------------------------------------------------------------------

    def close(self, status: str, **fields: Any) -> None:
        """Flush, write the final run info, give the lock back.

        The run info comes last: a status other than "running" says that everything before it is on the disk.

        Args:
            status: what the run has come to.
            fields: of the RunInfo.
        Raises:
            RunDirectoryError: the disk refused; the lock is given back all the same.
        """
        try:
            self.sync()
            self.update_info(**{"status": str(status), "finished": now_text()} | fields)
        finally:
            self._release()

    def abandon(self, why: str, *, status: str = Status.FAILED) -> None:
        """End a run that an error ended: note it in run.json if the disk lets us, give the lock back; never raise."""
        if self._closed:
            return
        try:
            with suppress(RunDirectoryError):
                self.sync()
            # A broken store may still be able to say that it is broken: run.json is a file of its own.
            self._broken = None
            with suppress(RunDirectoryError):
                self.update_info(status=str(status), why=safe_text(why, limit=1000, lines=True), finished=now_text())
        finally:
            self._release()

    def leave(self) -> None:
        """Give the lock back and leave the run as `open` found it. Never raises."""
        self._release()

    def discard(self) -> None:
        """Take `create` back: remove what was written, the directory, and the move of `latest`.

        For an invocation that turns out to be refused; it must leave nothing on disk.

        Raises:
            RunDirectoryError: something else has put files there meanwhile; those stay.
        """
        assert self._claimed is not None, "only a directory that was just created can be discarded"
        try:
            for name in (*sorted(self._written), *_APPEND_ONLY):
                remove_file(self.directory / name)
            folders = {folder for name in self._written for folder in Path(name).parents} - {Path()}
            for folder in sorted(folders, reverse=True):
                with suppress(OSError):  # one that is not empty keeps the directory, which `take_back` reports
                    (self.directory / folder).rmdir()
        finally:
            claimed = self._claimed
            self._release()
            claimed.take_back()

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None and self._info is self._opened_info:
            self.leave()
        elif error is not None:
            asked = isinstance(error, KeyboardInterrupt | Interrupted)
            self.abandon(str(error) or type(error).__name__, status=Status.INTERRUPTED if asked else Status.FAILED)
        assert self._closed, "a run store must be closed with a status"

    # --- within --------------------------------------------------------------------------------------------------

    @property
    def _arrays_size(self) -> int:
        try:
            return (self.directory / layout.ROW_ARRAYS).stat().st_size
        except FileNotFoundError:
            return 0

    def _cut_arrays(self) -> None:
        """Remove the arrays that no row speaks of."""
        if self._arrays_size:
            with reading(self.directory / layout.METRICS) as file:
                end = row_arrays.end_of_arrays(file)
            if end < self._arrays_size:
                self._appended.cut(layout.ROW_ARRAYS, end)

    def _append(self, name: str, data: bytes) -> None:
        if not data:
            return
        with self._trusting():
            self._appended.append(name, data)

    @contextmanager
    def _trusting(self) -> Iterator[None]:
        assert not self._closed, "the run store is closed"
        if self._broken is not None:
            raise RunDirectoryError(self._broken.message, hint=self._broken.hint)
        try:
            yield
        except RunDirectoryError as error:
            self._broken = error
            raise

    def _release(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._appended.close()
        self._lock.release()
