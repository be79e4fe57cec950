"""Many trials in one program: the step of one lane, mapped over all.

Shape letters: L lanes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from gdrun.errors import GdrunError

from .state import Batch, Setting, TrainState


@dataclass(frozen=True)
class Lanes:
    """Mapping of a function of one lane to a function of all.

    Args:
        count: L; None: a single run, nothing is mapped.
        setting, data: of the structure of the arguments of those types, each leaf a bool: whether it has a leading
            axis L, because it varies between lanes. What does not vary is computed once.
        order: whether the order of the examples varies.
    """

    count: int | None = None
    setting: Setting | None = None
    data: Batch | None = None
    order: bool = False

    def map(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` mapped over lanes; with `count` None, `function` itself.

        Its arguments are (state, setting, data, order) or (state, record); states and records have a leading axis L in
        every leaf, and so has the result.
        """
        if self.count is None:
            return function

        def mapped(*arguments: Any) -> Any:
            leaves = tf.nest.flatten(arguments)
            varies = [flag for argument in arguments for flag in self._flags(argument)]
            moving = [leaf for leaf, flag in zip(leaves, varies, strict=True) if flag]
            failures: list[GdrunError] = []

            def one(moving: list[tf.Tensor]) -> Any:
                rest = iter(moving)
                here = [next(rest) if flag else leaf for leaf, flag in zip(leaves, varies, strict=True)]
                try:
                    result = function(*tf.nest.pack_sequence_as(arguments, here))
                except GdrunError as error:
                    failures.append(error)
                    raise
                # What comes out as it went in, such as a rate that is the same everywhere, is no result of the map yet.
                return tf.nest.map_structure(tf.identity, result)

            # vectorized_map would rewrite what it calls, and wraps our errors in one of its own.
            try:
                return tf.vectorized_map(tf.autograph.experimental.do_not_convert(one), moving)
            except Exception:
                if failures:
                    raise failures[0] from None
                raise

        return mapped

    def _flags(self, argument: Any) -> list[bool]:
        if isinstance(argument, Setting) and self.setting is not None:
            return tf.nest.flatten(self.setting)
        if isinstance(argument, Batch) and self.data is not None:
            return tf.nest.flatten(self.data)
        if tf.is_tensor(argument):
            return [self.order]
        everything = isinstance(argument, (TrainState, dict))
        return [everything] * len(tf.nest.flatten(argument))


def in_lanes(structure: Any, count: int, varies: Any = None) -> Any:
    """Return `structure` with every tensor repeated along a new leading axis L = `count`.

    Args:
        varies: the structure with a flag at each leaf: it has the axis already. None: no leaf has it.
    """
    flags = tf.nest.map_structure(lambda _: False, structure) if varies is None else varies
    repeated = lambda leaf, flag: leaf if flag else tf.repeat(leaf[None], count, axis=0)  # noqa: E731
    return tf.nest.map_structure(repeated, structure, flags)
