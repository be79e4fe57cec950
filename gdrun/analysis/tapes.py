"""Nested tapes around an evaluation: gradients, higher derivatives, Jacobians, Hessians and products with them.

Eager, never under XLA: what is not connected comes out as None, which a compiled program would not say. Each function
evaluates anew, with as many tapes around as it needs.

Shape letters: T shape of a target, X and Y shapes of names, B examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.errors import UsageError

MOST_ENTRIES = 16_000_000
"""A matrix of derivatives with more entries is not computed."""
_LOOPED_ROWS = 64

Watch = Callable[[Any], None]
Found = dict[str, Any]
"""Name -> tensor, or None where there is no way from the target back to the name."""


@dataclass(frozen=True)
class View:
    """One evaluation: tensors, or host values where nothing was a tensor."""

    targets: Mapping[str, Any]
    variables: Mapping[str, tf.Tensor]
    """What the targets are differentiated by."""


Evaluate = Callable[[Watch], View]
"""Computes the targets; calls its argument with each variable before anything is computed of it."""


@contextmanager
def _taped(evaluate: Evaluate, depth: int) -> Iterator[tuple[View, list[tf.GradientTape], Callable[[], None]]]:
    """Yield an evaluation, its tapes, the innermost first, and what makes the innermost that records stop."""
    tapes = [tf.GradientTape(persistent=True, watch_accessed_variables=False) for _ in range(depth)]
    stacks = [ExitStack() for _ in tapes]
    with ExitStack() as all_of_them:
        for tape, stack in zip(reversed(tapes), reversed(stacks), strict=True):
            all_of_them.enter_context(stack)
            stack.enter_context(tape)

        def watch(tensor: Any) -> None:
            for tape in tapes:
                tape.watch(tensor)

        view = evaluate(watch)
        recording = iter(stacks)
        leave = lambda: next(recording).close()  # noqa: E731  # one word for "the innermost stops here"
        leave()
        yield view, tapes, leave


def gradients(evaluate: Evaluate) -> tuple[View, dict[str, Found]]:
    """Return the evaluation, and for each target the gradient of its sum by each name, (X)."""
    with _taped(evaluate, 1) as (view, (tape,), _):
        return view, {name: _by_each(tape, value, view) for name, value in view.targets.items()}


def second(evaluate: Evaluate) -> dict[str, dict[str, Found]]:
    """Return result[target][x][y]: the gradient by y of the sum of the gradient by x, (Y)."""
    with _taped(evaluate, 2) as (view, (inner, outer), leave):
        first = {name: _by_each(inner, value, view) for name, value in view.targets.items()}
        leave()
        return {
            name: {x: _by_each(outer, slope, view) for x, slope in slopes.items()} for name, slopes in first.items()
        }


def nth(evaluate: Evaluate, order: int) -> dict[str, Found]:
    """Return for each target the derivative of `order` by each name alone, each gradient summed before the next."""
    with _taped(evaluate, order) as (view, tapes, leave):
        found = {name: dict.fromkeys(view.variables, value) for name, value in view.targets.items()}
        for tape in tapes:
            found = {
                name: {x: _gradient(tape, value, view.variables[x]) for x, value in by_name.items()}
                for name, by_name in found.items()
            }
            if tape is not tapes[-1]:
                leave()
        return found


def jacobians(evaluate: Evaluate) -> dict[str, Found]:
    """Return for each target the derivative of each of its elements by each name, (T, X).

    Raises:
        UsageError: a Jacobian too large to hold.
    """
    with _taped(evaluate, 1) as (view, (tape,), _):
        for name, value in view.targets.items():
            for x, variable in view.variables.items():
                _check_entries(_size(value) * _size(variable), f"the Jacobian of {name} by {x}", "--jvp")
        return {
            name: {x: _jacobian(tape, value, variable) for x, variable in view.variables.items()}
            for name, value in view.targets.items()
        }


def batch_jacobian(jacobian: np.ndarray, target_rank: int) -> np.ndarray:
    """Return the Jacobian of each example, (B, rest of T, rest of X), of a whole one.

    Args:
        jacobian: (B, rest of T, B, rest of X), or (B, rest of T, X) where x has no axis of examples: as it is then,
            each example's derivative by all of x.
        target_rank: axes of the target.
    Raises:
        UsageError: the target has no axis of examples.
    """
    if target_rank == 0:
        raise UsageError("a batch Jacobian is of a target with an axis of examples; this one is a single number")
    if jacobian.ndim <= target_rank or jacobian.shape[target_rank] != jacobian.shape[0]:
        return jacobian
    moved = np.moveaxis(jacobian, target_rank, 1)
    count = len(moved)
    own = (np.arange(count), np.arange(count))
    others = moved.copy()
    others[own] = 0
    # Where an example's target depends on further entries, this axis is none of examples: a weight that is as long.
    return jacobian if np.any(others != 0) else moved[own]


def hessians(evaluate: Evaluate) -> dict[str, dict[str, Found]]:
    """Return result[target][x][y], the second derivatives of the target's sum, (X, Y).

    Raises:
        UsageError: a Hessian too large to hold.
    """
    with _taped(evaluate, 2) as (view, (inner, outer), leave):
        size = sum(_size(value) for value in view.variables.values())
        _check_entries(size**2, f"the Hessian of {size:,} numbers", "--hvp")
        first = {name: _by_each(inner, value, view) for name, value in view.targets.items()}
        leave()
        return {
            name: {
                x: {y: _jacobian(outer, slope, variable) for y, variable in view.variables.items()}
                for x, slope in slopes.items()
            }
            for name, slopes in first.items()
        }


def hessian_products(evaluate: Evaluate, direction: Mapping[str, np.ndarray]) -> dict[str, Found]:
    """Return for each target the Hessian of its sum times `direction` (0 where a name is not given), (X)."""
    with _taped(evaluate, 2) as (view, (inner, outer), leave):
        along = {}
        for name, value in view.targets.items():
            along[name] = _inner_product(_by_each(inner, value, view), _tensors(direction, view))
        leave()
        return {name: _by_each(outer, value, view) for name, value in along.items()}


def along(evaluate: Evaluate, direction: Mapping[str, np.ndarray]) -> Found:
    """Return for each target its derivative along `direction`, the Jacobian times it, (T)."""
    with _taped(evaluate, 2) as (view, (inner, outer), leave):
        weights, products = {}, {}
        for name, value in view.targets.items():
            if _differentiable(value):
                # J'u is linear in u, so the gradient of (J'u)v by u is Jv.
                weights[name] = tf.ones_like(value)
                outer.watch(weights[name])
                slopes = _by_each(inner, value, view, output_gradients=weights[name])
                products[name] = _inner_product(slopes, _tensors(direction, view))
        leave()
        return {
            name: None if products.get(name) is None else _gradient(outer, products[name], weights[name])
            for name in view.targets
        }


def _by_each(tape: tf.GradientTape, value: Any, view: View, **options: Any) -> Found:
    names = list(view.variables)
    return dict(zip(names, _gradient(tape, value, [view.variables[x] for x in names], **options), strict=True))


def _gradient(tape: tf.GradientTape, target: Any, sources: Any, **options: Any) -> Any:
    if not _differentiable(target):
        return [None] * len(sources) if isinstance(sources, list) else None
    found = tape.gradient(target, sources, **options)
    # A gather's gradient comes as IndexedSlices.
    convert = lambda value: None if value is None else tf.convert_to_tensor(value)  # noqa: E731
    return [convert(value) for value in found] if isinstance(sources, list) else convert(found)


def _jacobian(tape: tf.GradientTape, value: Any, variable: tf.Tensor) -> Any:
    if not _differentiable(value):
        return None
    if _size(value) == 1 and value.shape.rank == 0:
        return _gradient(tape, value, variable)
    return tape.jacobian(value, variable, experimental_use_pfor=_size(value) > _LOOPED_ROWS)


def _differentiable(value: Any) -> bool:
    return bool(tf.is_tensor(value) and (value.dtype.is_floating or value.dtype.is_complex))


def _tensors(direction: Mapping[str, np.ndarray], view: View) -> dict[str, tf.Tensor]:
    """The direction in the shapes and dtypes of the variables."""
    tensors = {}
    for name, value in direction.items():
        like = view.variables[name]
        array = np.asarray(value)
        if array.shape != tuple(like.shape) and array.size == _size(like):
            array = array.reshape(tuple(like.shape))
        if array.shape != tuple(like.shape):
            raise UsageError(f"the direction of {name} has shape {array.shape}, but {name} has {tuple(like.shape)}")
        tensors[name] = tf.constant(array, like.dtype)
    return tensors


def _inner_product(slopes: Found, direction: Mapping[str, tf.Tensor]) -> Any:
    parts = [tf.reduce_sum(slopes[name] * v) for name, v in direction.items() if slopes[name] is not None]
    return tf.add_n(parts) if parts else None


def _check_entries(entries: int, what: str, instead: str) -> None:
    if entries > MOST_ENTRIES:
        size = entries * 8 / 1e9
        raise UsageError(f"{what} has {entries:,} entries ({size:.3g} GB)", hint=f"use products with it: {instead}")


def _size(value: Any) -> int:
    return int(np.prod(np.shape(value), dtype=np.int64))
