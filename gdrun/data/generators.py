"""Data sets with a known truth.

Every function takes `size` (N examples), `noise` (standard deviation of Gaussian noise) and `random`, which draws; the
arrays are float64 (N,). One feature is the input `x`; several are `x1`, `x2`, ... Classes are as equal in number as N
allows and come in random order, so that any part of the examples is a fair sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gdrun.errors import DataError
from gdrun.random_streams import RandomNumbers

from .dataset import Dataset, dataset


def linear(
    *,
    size: int = 100,
    weights: Sequence[float] = (1.0,),
    bias: float = 0.0,
    low: float = -1.0,
    high: float = 1.0,
    noise: float = 0.0,
    random: RandomNumbers,
) -> Dataset:
    """y = x . weights + bias + noise, x uniform on [low, high)."""
    features = random.uniform(low, high, (size, len(weights)))
    target = features @ np.asarray(weights, dtype=np.float64) + bias
    return dataset(_named(features), target + _noise(noise, size, random))


def polynomial(
    *,
    size: int = 100,
    coefficients: Sequence[float],
    low: float = -1.0,
    high: float = 1.0,
    noise: float = 0.0,
    random: RandomNumbers,
) -> Dataset:
    """y = sum of coefficients[k] * x**k + noise, x evenly spaced on [low, high], ascending."""
    x = np.linspace(low, high, size)
    target = np.polynomial.polynomial.polyval(x, np.asarray(coefficients, dtype=np.float64))
    return dataset({"x": x}, target + _noise(noise, size, random))


def sine(
    *,
    size: int = 100,
    amplitude: float = 1.0,
    frequency: float = 1.0,
    phase: float = 0.0,
    low: float = 0.0,
    high: float = 2 * np.pi,
    noise: float = 0.0,
    random: RandomNumbers,
) -> Dataset:
    """y = amplitude * sin(frequency * x + phase) + noise, x evenly spaced on [low, high], ascending."""
    x = np.linspace(low, high, size)
    return dataset({"x": x}, amplitude * np.sin(frequency * x + phase) + _noise(noise, size, random))


def blobs(
    *,
    size: int = 100,
    centers: Sequence[Sequence[float]] = ((-2.0, 0.0), (2.0, 0.0)),
    noise: float = 1.0,
    random: RandomNumbers,
) -> Dataset:
    """Gaussian clouds round `centers`, (classes, features); the target is the number of the cloud."""
    if len({len(center) for center in centers}) != 1:
        raise DataError("the centers of blobs differ in their number of coordinates")
    middles = np.asarray(centers, dtype=np.float64)
    label, _ = _classes(size, len(middles), random)
    return _labelled(middles[label], label, noise, random)


def moons(*, size: int = 100, noise: float = 0.0, random: RandomNumbers) -> Dataset:
    """Two interleaving half circles of radius 1: the upper round (0, 0), label 0, the lower round (1, 1/2), label 1."""
    label, place = _classes(size, 2, random)
    angle = np.pi * place
    points = _circle(angle) * np.where(label == 0, 1.0, -1.0)[:, None]
    points[label == 1] += (1.0, 0.5)
    return _labelled(points, label, noise, random)


def circles(*, size: int = 100, factor: float = 0.5, noise: float = 0.0, random: RandomNumbers) -> Dataset:
    """The unit circle, label 0, and within it the circle of radius `factor`, label 1."""
    label, place = _classes(size, 2, random, closed=False)
    radius = np.where(label == 0, 1.0, factor)
    return _labelled(radius[:, None] * _circle(2 * np.pi * place), label, noise, random)


def spirals(
    *, size: int = 100, arms: int = 2, turns: float = 1.0, noise: float = 0.0, random: RandomNumbers
) -> Dataset:
    """Arms r = t, angle = 2 pi (turns * t + arm / arms), t evenly spaced on [0, 1]; the target is the arm."""
    label, place = _classes(size, arms, random)
    angle = 2 * np.pi * (turns * place + label / arms)
    return _labelled(place[:, None] * _circle(angle), label, noise, random)


def xor(*, size: int = 100, noise: float = 0.0, random: RandomNumbers) -> Dataset:
    """Points uniform on [-1, 1) squared, label 1 where the signs differ; noise moves the points, not the labels."""
    points = random.uniform(-1.0, 1.0, (size, 2))
    label = (points[:, 0] < 0) != (points[:, 1] < 0)
    return _labelled(points, label, noise, random)


def ring(
    *, size: int = 100, inner: float = 1.5, outer: float = 2.5, noise: float = 0.0, random: RandomNumbers
) -> Dataset:
    """Points uniform on the unit disc, label 0, and on the ring between the radii inner and outer, label 1."""
    if not 0 <= inner < outer:
        raise DataError(f"the ring between the radii {inner:g} and {outer:g} is empty", hint="0 <= inner < outer")
    label, _ = _classes(size, 2, random)
    low, high = np.where(label == 0, 0.0, inner), np.where(label == 0, 1.0, outer)
    # Uniform by area: the square of the radius is what is uniform.
    radius = np.sqrt(random.uniform(0.0, 1.0, size) * (high**2 - low**2) + low**2)
    return _labelled(radius[:, None] * _circle(random.uniform(0.0, 2 * np.pi, size)), label, noise, random)


GENERATORS: dict[str, Callable[..., Dataset]] = {
    "linear": linear,
    "polynomial": polynomial,
    "sine": sine,
    "blobs": blobs,
    "moons": moons,
    "circles": circles,
    "spirals": spirals,
    "xor": xor,
    "ring": ring,
}
"""Every generator by its kind."""

MAX_SIZE = 2**27
"""Most numbers that a generated data set may hold."""


def generated_data(kind: str, *, random: RandomNumbers, **settings: Any) -> Dataset:
    """Return the data set of a kind.

    Args:
        kind: a key of GENERATORS.
        random: draws.
        settings: the arguments of that generator.
    Raises:
        DataError: if the data would be absurdly large, or for what the generator refuses.
    """
    size = settings.get("size", 100)
    features = max([2, len(settings.get("weights", ())), *map(len, settings.get("centers", ()))])
    if size * features > MAX_SIZE:
        raise DataError(f"{size:,} examples of {features} features are more than the {MAX_SIZE:,} numbers allowed")
    return GENERATORS[kind](random=random, **settings)


def _noise(deviation: float, shape: int | tuple[int, ...], random: RandomNumbers) -> np.ndarray:
    return deviation * random.standard_normal(shape)


def _classes(size: int, classes: int, random: RandomNumbers, *, closed: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) in random order, and each example's place among its class, evenly spaced on [0, 1] or [0, 1)."""
    example = random.permutation(size)
    label = example % classes
    counts = np.bincount(label, minlength=classes)
    return label, (example // classes) / np.maximum(counts - closed, 1)[label]


def _circle(angle: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _labelled(points: np.ndarray, label: np.ndarray, noise: float, random: RandomNumbers) -> Dataset:
    return dataset(_named(points + _noise(noise, points.shape, random)), label.astype(np.float64))


def _named(features: np.ndarray) -> dict[str, np.ndarray]:
    if features.shape[1] == 1:
        return {"x": features[:, 0]}
    return {f"x{k + 1}": np.ascontiguousarray(column) for k, column in enumerate(features.T)}
