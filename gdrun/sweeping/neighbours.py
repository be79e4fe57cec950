"""Trials that show what varies in a group of which only a part is to be trained.

What all lanes of a program share is one tensor, what differs between them has an axis of lanes, and the two go through
other code, with other last bits. So a part of a group has to know what would differ in the whole: else a trial's bits
would depend on which trials it is trained together with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .grouping import Group

if TYPE_CHECKING:
    from .trials import SweepSpec


def settled_axes(spec: SweepSpec, trials: Sequence[int], axes: Sequence[int]) -> list[int]:
    """Return those of `axes` that have one value in all of `trials`."""
    columns = {axis: spec.column(axis) for axis in axes}
    return [axis for axis in axes if len({repr(columns[axis][trial]) for trial in trials}) == 1]


def neighbour(spec: SweepSpec, group: Group, trial: int, axis: int) -> int | None:
    """Return a trial of the sweep that differs from `trial` on `axis`, and else only where the table couples the two.

    It shares the program of `trial`, so it is of the group's whole. Which one it is does not depend on the part.

    Returns:
        None: there is none.
    """
    stride = 1
    for block in reversed(spec.blocks):
        if axis not in block.axes:
            stride *= len(block)
            continue
        row = trial // stride % len(block)
        own = block.columns[block.axes.index(axis)]
        columns = zip(block.axes, block.columns, strict=True)
        same = [column for other, column in columns if group.changes[other] == "program"]
        for other in range(len(block)):
            differs = repr(own[other]) != repr(own[row])
            if differs and all(repr(column[other]) == repr(column[row]) for column in same):
                return trial + (other - row) * stride
        return None
    return None
