"""Examples written out in the config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from gdrun.config.section import Array, Identifier
from gdrun.errors import ConfigPath, DataError, Problem

from .dataset import Dataset, dataset
from .section import DataSection, LoadContext


class ValuesData(DataSection):
    """Inline values."""

    kind: Literal["values"]
    inputs: Annotated[dict[Identifier, Array], Field(min_length=1)]
    """Each input by name; the leading axis counts the examples."""
    target: Array | None = None
    """The target, one row an example."""

    @property
    def has_target(self) -> bool:
        return self.target is not None

    def num_examples(self) -> int | None:
        first = next(iter(self.inputs.values()))
        return len(first) if isinstance(first, tuple | list) else None

    def input_names(self) -> tuple[str, ...]:
        return tuple(self.inputs)

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        arrays: dict[ConfigPath, Any] = {("inputs", name): value for name, value in self.inputs.items()}
        if self.target is not None:
            arrays[("target",)] = self.target
        first: tuple[ConfigPath, int] | None = None
        for path, value in arrays.items():
            place = ("data", *path)
            if not isinstance(value, list | tuple):
                yield Problem("data has a leading axis of examples; this is one number", place, f"write [{value}]")
            elif first is None:
                first = (path, len(value))
            elif len(value) != first[1]:
                lengths = f"{'.'.join(path)} has {len(value)} examples, {'.'.join(first[0])} {first[1]}"  # type: ignore[arg-type]
                yield Problem(lengths, place, key=True)

    def examples(self, context: LoadContext) -> Dataset:
        arrays = {name: _array(value, f"inputs.{name}") for name, value in self.inputs.items()}
        return dataset(arrays, None if self.target is None else _array(self.target, "target"))


def _array(value: Any, where: str) -> np.ndarray:
    try:
        return np.array(value, dtype=np.float64)
    except OverflowError:
        reason = f"{where} is not a rectangle of numbers: a number is too large"
        raise DataError(reason, within=tuple(where.split("."))) from None
