"""Where groups of trials are trained: in this process, or by whatever has the interface of concurrent.futures.

Every way gives the same results, in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gdrun.config.section import Section
from gdrun.models.convolutions import Convolution

from .grouping import Group
from .results import BlockResult

if TYPE_CHECKING:
    from .blocks import BlockProgress, Control
    from .trials import SweepSpec

CHUNK = 16
"""Lanes come in multiples of so many; a group is not cut finer."""


class Executor(Protocol):
    """Trains groups of a sweep's trials."""

    def run(self, spec: SweepSpec, groups: Sequence[Group], hooks: Hooks) -> Iterator[BlockResult]:
        """Yield the results of all groups, in any order, until `hooks.should_stop()`."""

    def close(self) -> None:
        """Give back what it works with. A second call does nothing."""


@dataclass(frozen=True)
class Hooks:
    """What an executor asks and tells while it works."""

    should_stop: Callable[[], bool] = lambda: False
    call: Callable[..., Any] = lambda function, *arguments: function(*arguments)
    progress: Callable[[BlockProgress], None] = lambda progress: None
    warn: Callable[[str], None] = lambda message: None

    def control(self) -> Control:
        """Return what `run_group` takes."""
        from .blocks import Control

        return Control(self.should_stop, self.call, self.progress)


class Here:
    """Trains the groups in this process, one after the other."""

    def run(self, spec: SweepSpec, groups: Sequence[Group], hooks: Hooks) -> Iterator[BlockResult]:
        """See `Executor`."""
        from .blocks import run_group

        for group in groups:
            if hooks.should_stop():
                return
            yield from run_group(spec, group, hooks.control())

    def close(self) -> None:
        """There is nothing to give back."""


def cut(groups: Sequence[Group], pieces: int, chunk: Callable[[Group], int] = lambda group: CHUNK) -> list[Group]:
    """Return the groups, the large ones cut, so that about `pieces` workers have something to do.

    Where a group is cut changes no result: a lane's bits do not depend on how many there are.

    Args:
        chunk: in multiples of how many trials a group may be cut.
    """
    share = -(-sum(map(len, groups)) // max(1, pieces))
    result = []
    for group in groups:
        if group.whole:
            result.append(group)
            continue
        multiple = chunk(group)
        size = max(1, -(-share // multiple)) * multiple
        for begin in range(0, len(group), size):
            result.append(replace(group, trials=group.trials[begin : begin + size]))
    return result


def chunk_of(spec: SweepSpec, group: Group) -> int:
    """Return in multiples of how many trials a group may be cut: 1 where they run one after the other, as far as the
    config alone shows that."""
    if len(group) == 1:
        return 1
    experiment = spec.load(int(group.trials[0])).experiment
    return 1 if experiment.compile == "eager" or _is_convolutional(experiment.model) else CHUNK


def _is_convolutional(section: Any) -> bool:
    if isinstance(section, Convolution):
        return True
    if isinstance(section, Mapping):
        return any(map(_is_convolutional, section.values()))
    if isinstance(section, tuple):
        return any(map(_is_convolutional, section))
    return isinstance(section, Section) and any(_is_convolutional(value) for _, value in section)


def of_missing(groups: Sequence[Group], missing: np.ndarray) -> list[Group]:
    """Return the parts of the groups that have no result yet."""
    return [left for group in groups if len(left := group.subset(missing))]
