"""Checkpoints: all that a run needs to be resumed, in one file each, checked before it is used.

    checkpoints/step-000000001000-<sha256, first 32 digits>.npz

One file, so that no kill can leave half of a checkpoint beside half of another; the hash of its bytes in its name, so
that `sha256sum` checks it without gdrun. Arrays are members NAME.npy, everything else is the member meta.json.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from gdrun.errors import RunDirectoryError

from . import strict_json
from .arrays import ArraysError, read_arrays, write_arrays
from .files import names_in, reading, remove_file, replacing
from .layout import CHECKPOINTS

_NAME = re.compile(r"step-(\d{12,15})-([0-9a-f]{32})\.npz")
_META = "meta.json"


@dataclass(frozen=True)
class CheckpointFile:
    """A file in checkpoints/, by its name alone."""

    name: str
    """Relative to the run directory."""
    step: int
    digest: str


@dataclass(frozen=True)
class SavedCheckpoint:
    """The content of a checkpoint.

    Attributes:
        step: updates done when it was saved.
        arrays: name -> array, as saved.
        meta: whatever plain data was saved with them.
    """

    step: int
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run directory. Only the holder of the writer's lock may save."""

    def __init__(self, directory: Path, *, keep: int = 2) -> None:
        """
        Args:
            directory: the run directory.
            keep: how many of the newest checkpoints stay, at least 1; with 2, one damaged file costs only time.
        """
        assert keep >= 1
        self._directory = directory
        self._keep = keep
        self.warnings: list[str] = []
        """A sentence for each checkpoint that could not be used."""

    def save(self, step: int, arrays: Mapping[str, ArrayLike], meta: Mapping[str, Any]) -> CheckpointFile:
        """Save a checkpoint and, once it is on the disk, remove those that it makes superfluous.

        Those are the older ones beyond `keep`, and any of a later step: the run went back behind them because they
        were damaged.

        Args:
            step: updates done, below 10**15.
            arrays: name -> array.
            meta: what has a JSON form.
        Raises:
            RunDirectoryError: the disk refused; the older checkpoints are still there.
        """
        text = strict_json.dumps({"step": step} | dict(meta), indent=2)
        with replacing(self._directory / CHECKPOINTS / "step.npz") as file:
            write_arrays(file, arrays, texts={_META: text})
            digest = _digest(file)
            file.path = file.path.with_name(f"step-{step:012d}-{digest}.npz")
        saved = CheckpointFile(f"{CHECKPOINTS}/{file.path.name}", step, digest)
        older = [item for item in self.list() if item.step < step]
        keep = {saved.name, *(item.name for item in older[len(older) - min(len(older), self._keep - 1) :])}
        for item in self.list():
            if item.name not in keep:
                remove_file(self._directory / item.name)
        return saved

    def list(self) -> tuple[CheckpointFile, ...]:
        """Return the checkpoints that are there, oldest step first; they are not opened."""
        items = []
        for name in names_in(self._directory / CHECKPOINTS):
            if match := _NAME.fullmatch(name):
                items.append(CheckpointFile(f"{CHECKPOINTS}/{name}", int(match[1]), match[2]))
        return tuple(sorted(items, key=lambda item: (item.step, item.name)))

    def load(self, item: CheckpointFile) -> SavedCheckpoint:
        """Return the content of a checkpoint.

        Raises:
            RunDirectoryError: it is damaged; nothing of it was used.
        """
        path = self._directory / item.name
        try:
            with reading(path) as file:
                # The hash and the arrays are read through one open file: it cannot be exchanged in between.
                if _digest(file) != item.digest:
                    raise RunDirectoryError(f"checkpoint {path} is damaged: its bytes do not have the hash in its name")
                file.seek(0)
                arrays, texts = read_arrays(file)
            meta = strict_json.loads(texts[_META])
            if meta.pop("step") != item.step:
                raise ValueError("its step is not the one in its name")
        except FileNotFoundError as error:
            raise RunDirectoryError(f"checkpoint {path} is gone") from error
        except (ArraysError, ValueError, KeyError, AttributeError) as error:
            raise RunDirectoryError(f"checkpoint {path} is not one of gdrun's: {error}") from error
        return SavedCheckpoint(item.step, arrays, meta)

    def load_newest(self) -> SavedCheckpoint | None:
        """Return the newest checkpoint that is whole, None where none was ever saved.

        Each newer one that had to be passed over leaves a sentence in `warnings`.

        Raises:
            RunDirectoryError: there are checkpoints, and none is whole.
        """
        items = self.list()
        for item in reversed(items):
            try:
                return self.load(item)
            except RunDirectoryError as error:
                self.warnings.append(f"{error.message}; an older checkpoint is used")
        if not items:
            return None
        problem = self.warnings.pop().removesuffix("; an older checkpoint is used")
        raise RunDirectoryError(
            f"none of the checkpoints in {self._directory} can be used: {problem}",
            hint="train again: the run directory is a config too",
        )


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()[:32]  # type: ignore[arg-type]
