"""Examples of a kind of data by its settings, which are taken as they are."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gdrun.data.dataset import Dataset
from gdrun.data.files import FileData
from gdrun.data.section import DataSection, LoadContext


def read(kind: type[FileData], path: str | Path, *, labels=(), memory="all", **settings: Any) -> Dataset:
    """Return the examples in a file; `labels` and `memory` as of `FileData.read`."""
    return kind.model_construct(path=str(path), **settings).read(Path(path), labels=labels, memory=memory)


def examples(kind: type[DataSection], *, constants: Any = None, random: Any = None, **settings: Any) -> Dataset:
    """Return the examples that `random` draws; None: they draw none."""
    source: Any = SimpleNamespace(generator=lambda purpose: random)
    return kind.model_construct(**settings).examples(LoadContext(Path(), constants or {}, source))
