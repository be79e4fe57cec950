"""Many trials in one program: the step of one lane, mapped over all.

Shape letters: L lanes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Lanes:
    """How a function of one lane becomes a function of all.

    Args:
        count: L; None: a single run, nothing is mapped.
        varies: ids are of no use across traces, so an argument's leaf counts as varying where `varies(path)` says so;
            see `map`. Arguments are told apart by position and leaf number: the state (argument 0) always varies.
        varying: for each later argument, the leaf numbers (in tf.nest order) that have a leading axis L.
    """

    count: int | None = None
    varying: tuple[frozenset[int], ...] = ()

    def map(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` mapped over lanes.

        Every leaf of the first argument has a leading axis L, and of the others those that `varying` names; a second
        argument that is a record (all leaves vary) is given as `(state, record)` by `end_epoch`. The result's leaves
        all have one.
        """
        if self.count is None:
            return function

        def mapped(*arguments: Any) -> Any:
            leaves = tf.nest.flatten(arguments)
            varies = self._flags(arguments)
            moving = [leaf for leaf, flag in zip(leaves, varies, strict=True) if flag]

            def one(moving: list[tf.Tensor]) -> Any:
                rest = iter(moving)
                here = [next(rest) if flag else leaf for leaf, flag in zip(leaves, varies, strict=True)]
                return function(*tf.nest.pack_sequence_as(arguments, here))

            return tf.vectorized_map(one, moving, fallback_to_while_loop=True)

        return mapped

    def _flags(self, arguments: tuple[Any, ...]) -> list[bool]:
        flags: list[bool] = []
        for position, argument in enumerate(arguments):
            leaves = tf.nest.flatten(argument)
            if position == 0 or isinstance(argument, dict):
                flags += [True] * len(leaves)
            else:
                chosen = self.varying[position - 1] if position <= len(self.varying) else frozenset()
                flags += [number in chosen for number in range(len(leaves))]
        return flags
