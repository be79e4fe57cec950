"""A line search for the strong Wolfe conditions, and the methods that stand on it: L-BFGS and conjugate gradients.

Shape letters: P entries of all parameters, M pairs in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from gdrun.derivatives import flattened, unflattened, value_and_gradient
from gdrun.errors import ComponentError

from .base import LocalObjective, PointUpdate, State

MOST_EVALUATIONS = 30
"""Evaluations of one search."""
_SUFFICIENT = 1e-4
"""Share of the decrease that the slope foretells which a step has to reach."""
_ROUNDING = 8.0
"""Differences of the loss below so many units of its last place say nothing."""


class LinePoint(NamedTuple):
    """The loss at a distance along the direction."""

    distance: tf.Tensor
    loss: tf.Tensor
    slope: tf.Tensor


class SearchResult(NamedTuple):
    """The end of a search."""

    distance: tf.Tensor
    """(): 0 where no lower loss was found."""
    loss: tf.Tensor
    """(): there."""
    gradient: tf.Tensor
    """(P,): there."""
    evaluations: tf.Tensor
    """int64 ()."""


def search(point: LocalObjective, direction: tf.Tensor, first_distance: tf.Tensor, *, curvature: float) -> SearchResult:
    """Return a distance along `direction`, (P,), at which

        loss <= loss at 0 + 1e-4 * distance * slope at 0,     |slope| <= curvature * |slope at 0|

    hold, or the best one that was found in 30 evaluations. Where rounding hides the first, near a minimum, a slope of
    at most (2e-4 - 1) times the one at 0 takes its place (Hager and Zhang).

    The interval is widened until it holds such a distance, and narrowed by cubic interpolation.

    Sources: Nocedal, Wright 2006, "Numerical Optimization", algorithms 3.5 and 3.6; Hager, Zhang 2005, "A new
    conjugate gradient method with guaranteed descent and an efficient line search".
    """
    start = flattened(point.parameters)
    dtype = start.dtype
    zero, infinity = tf.zeros([], dtype), tf.constant(np.inf, dtype)
    begin = LinePoint(zero, point.loss, tf.reduce_sum(direction * flattened(point.gradients)))
    noise = _ROUNDING * np.finfo(dtype.as_numpy_dtype).eps * tf.abs(begin.loss)

    def evaluate(distance: tf.Tensor) -> tuple[LinePoint, tf.Tensor]:
        loss, gradient = value_and_gradient(
            lambda flat: point.loss_at(unflattened(flat, point.parameters)), start + distance * direction
        )
        assert gradient is not None, "the loss at the start has one"
        return LinePoint(distance, loss, tf.reduce_sum(direction * gradient)), gradient

    def narrow(
        count: tf.Tensor, done: tf.Tensor, trial: tf.Tensor, low: LinePoint, high: LinePoint, gradient: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, LinePoint, LinePoint, tf.Tensor]:
        new, new_gradient = evaluate(trial)
        finite = tf.math.is_finite(new.loss) & tf.reduce_all(tf.math.is_finite(new_gradient))
        enough = new.loss <= begin.loss + _SUFFICIENT * new.distance * begin.slope
        unseen = (tf.abs(new.loss - begin.loss) <= noise) & (new.slope <= (2 * _SUFFICIENT - 1) * begin.slope)
        rises = tf.logical_not(finite & (enough | unseen)) | ((new.loss >= low.loss) & tf.logical_not(unseen))
        flat = tf.abs(new.slope) <= -curvature * begin.slope
        done = tf.logical_not(rises) & flat
        # Where the loss climbs from the new point towards the interval's far end, the minimum is on the other side.
        turned = tf.logical_not(rises) & (new.slope * tf.sign(high.distance - low.distance) >= 0)
        next_high = _select(rises, new, _select(turned, low, high))
        next_low = _select(rises, low, new)
        return (
            count + 1,
            done,
            _next_trial(count, low, next_low, next_high),
            next_low,
            next_high,
            tf.where(rises, gradient, new_gradient),
        )

    count, _, _, low, _, gradient = tf.while_loop(
        lambda count, done, *_: (count < MOST_EVALUATIONS) & tf.logical_not(done),
        narrow,
        (
            tf.constant(0, tf.int64),
            tf.constant(False),
            tf.cast(first_distance, dtype),
            begin,
            LinePoint(infinity, infinity, zero),
            flattened(point.gradients),
        ),
        maximum_iterations=MOST_EVALUATIONS,
    )
    return SearchResult(low.distance, low.loss, gradient, count)


def _select(condition: tf.Tensor, one: LinePoint, other: LinePoint) -> LinePoint:
    return LinePoint(*(tf.where(condition, a, b) for a, b in zip(one, other, strict=True)))


def _next_trial(count: tf.Tensor, before: LinePoint, low: LinePoint, high: LinePoint) -> tf.Tensor:
    """Return the next distance: the minimum of the cubic through both ends, kept off them, and each fourth time the
    middle, so that the interval shrinks in any case; while there is no far end, where the slopes point to, between 1.1
    and 4 times the last step further on."""
    width = high.distance - low.distance
    mixed = low.slope + high.slope - 3 * (low.loss - high.loss) / (low.distance - high.distance)
    root = tf.sign(width) * tf.sqrt(mixed * mixed - low.slope * high.slope)
    share = (high.slope + root - mixed) / (high.slope - low.slope + 2 * root)
    cubic = high.distance - width * share
    one, other = low.distance + 0.001 * width, high.distance - 0.001 * width
    within = tf.clip_by_value(cubic, tf.minimum(one, other), tf.maximum(one, other))
    inside = tf.where(tf.math.is_finite(cubic), within, low.distance + 0.2 * width)
    inside = tf.where(count % 4 == 3, low.distance + 0.5 * width, inside)
    last = low.distance - before.distance
    secant = low.distance - low.slope * last / (low.slope - before.slope)
    least, most = low.distance + 1.1 * last, low.distance + 4 * last
    beyond = tf.where(secant >= least, tf.minimum(secant, most), most)
    return tf.where(tf.math.is_finite(high.distance), inside, beyond)


class Direction(Protocol):
    """A method's way to choose directions, from what it remembers in tensors."""

    names: tuple[str, ...]
    """Of the tensors."""
    curvature: float
    """Bound on the slope where a search ends, as a share of the one at its start."""

    def blank(self, like: tf.Tensor) -> State:
        """Return the memory before the first step, for parameters like `like`, (P,)."""

    def choose(self, memory: State, gradient: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return a direction, (P,), and the distance along it that a search tries first, ()."""

    def remember(self, memory: State, step: tf.Tensor, direction: tf.Tensor, old: tf.Tensor, new: tf.Tensor) -> State:
        """Return the memory after a `step`, (P,), between two gradients."""


class LineSearchUpdate(PointUpdate):
    """parameters + distance * direction, the distance by a line search of its own.

    Where no distance lowers the loss, the parameters stay as they are, and the memory begins anew: the next direction
    is the steepest. Where that fails too, it is the end: no update changes a bit any more.

    State: the memory, whether the last search failed with a memory, and the evaluations so far.
    """

    def __init__(self, method: Direction) -> None:
        self._method = method

    @property
    def state_names(self) -> tuple[str, ...]:
        """Those of the method's memory, then this update's own."""
        return (*self._method.names, "undecided", "evaluations")

    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return the state before the first step. Raises ComponentError for parameters that it is not for."""
        if any(parameter.dtype.is_complex for parameter in parameters):
            raise ComponentError("line searches are for real parameters", hint="give the two parts as parameters")
        return (*self._method.blank(flattened(parameters)), tf.constant(False), tf.constant(0, tf.int64))

    def apply_at(
        self, state: State, point: LocalObjective, learning_rate: tf.Tensor
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the state and the parameters after one search. There is no learning rate."""
        *memory, _, evaluations = state
        gradient, start = flattened(point.gradients), flattened(point.parameters)
        direction, first = self._method.choose(tuple(memory), gradient)
        result = search(point, direction, first, curvature=self._method.curvature)
        # Steps whose gain rounding hides are taken while the gradient shrinks, or there would be no end to them.
        better = (result.loss < point.loss) | (tf.norm(result.gradient) < 0.9 * tf.norm(gradient))
        new = tf.where(better, start + result.distance * direction, start)
        moved = tf.reduce_any(new != start)
        remembered = self._method.remember(tuple(memory), new - start, direction, gradient, result.gradient)
        blank = self._method.blank(start)
        kept = tuple(tf.where(moved, one, other) for one, other in zip(remembered, blank, strict=True))
        had_memory = tf.reduce_any(tf.stack([tf.reduce_any(one != 0) for one in memory]))
        undecided = tf.logical_not(moved) & had_memory
        return (*kept, undecided, evaluations + result.evaluations), unflattened(new, point.parameters)

    def is_undecided(self, state: State) -> tf.Tensor:
        """Return whether the last search failed and the steepest direction is still to be tried, bool ()."""
        return state[-2]


def _first_distance(gradient: tf.Tensor) -> tf.Tensor:
    """Return the distance of a step of length 1 at most, for a scale that is not known."""
    return tf.minimum(tf.ones([], gradient.dtype), 1 / tf.norm(gradient))


class LbfgsDirection:
    """-H gradient, H the inverse Hessian by the BFGS formula from the last M steps and changes of the gradient.

    Args:
        memory: M.

    Source: Liu, Nocedal 1989, "On the limited memory BFGS method for large scale optimization".
    """

    names: tuple[str, ...] = ("steps", "changes", "inverse_products")
    curvature = 0.9

    def __init__(self, memory: int) -> None:
        self._memory = memory

    def blank(self, like: tf.Tensor) -> State:
        """Return no pairs: zeros."""
        pairs = tf.zeros([self._memory, like.shape[0]], like.dtype)
        return pairs, pairs, tf.zeros([self._memory], like.dtype)

    def choose(self, memory: State, gradient: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the direction by the two loops over the pairs, the latest last; pairs that are 0 change nothing."""
        steps, changes, inverse_products = memory
        shares = []
        direction = -gradient
        for k in reversed(range(self._memory)):
            shares.append(inverse_products[k] * tf.reduce_sum(steps[k] * direction))
            direction = direction - shares[-1] * changes[k]
        known = inverse_products[-1] > 0
        length = tf.reduce_sum(changes[-1] * changes[-1])
        scale = tf.where(known, 1 / (inverse_products[-1] * tf.where(known, length, tf.ones_like(length))), 1.0)
        direction = direction * scale
        for k, share in enumerate(reversed(shares)):
            direction = direction + (share - inverse_products[k] * tf.reduce_sum(changes[k] * direction)) * steps[k]
        descends = tf.reduce_sum(direction * gradient) < 0
        first = tf.where(known & descends, tf.ones([], gradient.dtype), _first_distance(gradient))
        return tf.where(descends, direction, -gradient), first

    def remember(self, memory: State, step: tf.Tensor, direction: tf.Tensor, old: tf.Tensor, new: tf.Tensor) -> State:
        """Return the memory with the latest pair last, unless the loss does not curve upwards along it."""
        change = new - old
        product = tf.reduce_sum(step * change)
        curves = product > np.finfo(step.dtype.as_numpy_dtype).eps * tf.reduce_sum(change * change)
        latest = (step, change, 1 / tf.where(curves, product, tf.ones_like(product)))
        return tuple(
            tf.where(curves, tf.concat([one[1:], value[None]], axis=0), one)
            for one, value in zip(memory, latest, strict=True)
        )


class ConjugateDirection:
    """-gradient + beta * direction before, beta by Polak, Ribière and Polyak, at least 0.

    Source: Nocedal, Wright 2006, "Numerical Optimization", chapter 5.2.
    """

    names: tuple[str, ...] = ("direction", "distance", "slope")
    curvature = 0.1

    def blank(self, like: tf.Tensor) -> State:
        """Return no direction: zeros."""
        return tf.zeros_like(like), tf.zeros([], like.dtype), tf.zeros([], like.dtype)

    def choose(self, memory: State, gradient: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the direction, whose first distance foretells as much decrease as the last step's slope did."""
        direction, distance, slope = memory
        own_slope = tf.reduce_sum(direction * gradient)
        descends = own_slope < 0
        foretold = distance * slope / tf.where(descends, own_slope, tf.ones_like(own_slope))
        first = tf.where(descends & (foretold > 0), foretold, _first_distance(gradient))
        return tf.where(descends, direction, -gradient), first

    def remember(self, memory: State, step: tf.Tensor, direction: tf.Tensor, old: tf.Tensor, new: tf.Tensor) -> State:
        """Return the next direction, with the last step's length along the one before and its slope."""
        beta = tf.maximum(tf.reduce_sum(new * (new - old)) / tf.reduce_sum(old * old), 0)
        distance = tf.norm(step) / tf.norm(direction)
        return -new + beta * direction, distance, tf.reduce_sum(direction * old)
