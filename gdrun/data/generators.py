"""Data sets drawn from a known truth.

The arrays are float64 (N,). One feature is the input `x`; several are `x1`, `x2`, ... Classes are as equal in number as
N allows and come in random order, so that any part of the examples is a fair sample: `validation: 0.2` holds out the
last fifth.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gdrun.config.section import Count, NonNegative, Number, PositiveInteger, Share, Whole
from gdrun.errors import DataError
from gdrun.random_streams import RandomNumbers

from .dataset import Dataset, dataset
from .section import DataSection, LoadContext

MAX_NUMBERS = 2**27
"""Most numbers that a generated data set may hold: a slip in `size` is refused before it fills the memory."""


class GeneratedData(DataSection):
    """A data set drawn from a known truth."""

    size: PositiveInteger = 100
    """Number of examples."""
    noise: NonNegative = 0.0
    """Standard deviation of the Gaussian noise."""
    seed: Count | None = None
    """Draws this data set; null: the config's seed. A validation block that has the same goes on with other draws."""

    @property
    def num_features(self) -> int:
        """Number of inputs: the plane's two, unless a kind says otherwise."""
        return 2

    def input_names(self) -> tuple[str, ...]:
        return ("x",) if self.num_features == 1 else tuple(f"x{k + 1}" for k in range(self.num_features))

    def examples(self, context: LoadContext) -> Dataset:
        """Return the examples.

        Raises:
            DataError: the data would be absurdly large, or a setting is impossible.
        """
        features = max(2, self.num_features)
        if self.size * features > MAX_NUMBERS:
            raise DataError(
                f"{self.size:,} examples of {features} features are more than the {MAX_NUMBERS:,} numbers allowed"
            )
        return self.draw(context.generator(self.seed))

    def draw(self, random: RandomNumbers) -> Dataset:
        """Return the examples that `random` draws."""
        raise NotImplementedError

    def _noise(self, shape: tuple[int, ...], random: RandomNumbers) -> np.ndarray:
        # Drawn at noise 0 too, so that the examples that follow do not depend on whether there is any.
        return self.noise * random.standard_normal(shape)

    def _named(self, features: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self.input_names(), map(np.ascontiguousarray, features.T), strict=True))


class LinearData(GeneratedData):
    """y = x . weights + bias + noise, x uniform on [low, high]."""

    kind: Literal["linear"]
    weights: Annotated[tuple[Number, ...], Field(min_length=1)] = (1.0,)
    """One weight a feature."""
    bias: Number = 0.0
    """The intercept."""
    low: Number = -1.0
    """Smallest x."""
    high: Number = 1.0
    """Largest x."""

    @property
    def num_features(self) -> int:
        return len(self.weights)

    def draw(self, random: RandomNumbers) -> Dataset:
        features = random.uniform(self.low, self.high, (self.size, len(self.weights)))
        target = features @ np.asarray(self.weights, dtype=np.float64) + self.bias
        return dataset(self._named(features), target + self._noise((self.size,), random))


class PolynomialData(GeneratedData):
    """y = sum of coefficients[k] * x**k + noise, x evenly spaced on [low, high]."""

    kind: Literal["polynomial"]
    coefficients: Annotated[tuple[Number, ...], Field(min_length=1)]
    """From the constant upwards."""
    low: Number = -1.0
    """Smallest x."""
    high: Number = 1.0
    """Largest x."""

    @property
    def num_features(self) -> int:
        return 1

    def draw(self, random: RandomNumbers) -> Dataset:
        x = np.linspace(self.low, self.high, self.size)
        target = np.polynomial.polynomial.polyval(x, np.asarray(self.coefficients, dtype=np.float64))
        return dataset({"x": x}, target + self._noise((self.size,), random))


class SineData(GeneratedData):
    """y = amplitude * sin(frequency * x + phase) + noise, x evenly spaced on [low, high]."""

    kind: Literal["sine"]
    amplitude: Number = 1.0
    """Height of the wave."""
    frequency: Number = 1.0
    """Radians per unit of x."""
    phase: Number = 0.0
    """Radians at x = 0."""
    low: Number = 0.0
    """Smallest x."""
    high: Number = 6.283185307179586
    """Largest x."""

    @property
    def num_features(self) -> int:
        return 1

    def draw(self, random: RandomNumbers) -> Dataset:
        x = np.linspace(self.low, self.high, self.size)
        target = self.amplitude * np.sin(self.frequency * x + self.phase)
        return dataset({"x": x}, target + self._noise((self.size,), random))


class _LabelledData(GeneratedData):
    """Points of classes; noise moves the points, never the labels."""

    def draw(self, random: RandomNumbers) -> Dataset:
        points, label = self._points(random)
        return dataset(self._named(points + self._noise(points.shape, random)), label.astype(np.float64))

    def _points(self, random: RandomNumbers) -> tuple[np.ndarray, np.ndarray]:
        """Return points without noise, (N, features), and the class of each, (N,)."""
        raise NotImplementedError


class BlobsData(_LabelledData):
    """Gaussian clouds, one a class; the target is the class label."""

    kind: Literal["blobs"]
    centers: Annotated[tuple[tuple[Number, ...], ...], Field(min_length=2)] = ((-2.0, 0.0), (2.0, 0.0))
    """The middle of each cloud."""
    noise: NonNegative = 1.0
    """Standard deviation of each cloud."""

    @property
    def num_features(self) -> int:
        return max(map(len, self.centers))

    def _points(self, random: RandomNumbers) -> tuple[np.ndarray, np.ndarray]:
        if len({len(center) for center in self.centers}) != 1:
            raise DataError("the centers of blobs differ in their number of coordinates")
        centers = np.asarray(self.centers, dtype=np.float64)
        label, _ = _classes(self.size, len(centers), random)
        return centers[label], label


class MoonsData(_LabelledData):
    """Two interleaving half circles in the plane; labels 0 and 1."""

    kind: Literal["moons"]

    def _points(self, random: RandomNumbers) -> tuple[np.ndarray, np.ndarray]:
        # Radius 1; the upper one round (0, 0) is label 0, the lower one round (1, 1/2) label 1.
        label, place = _classes(self.size, 2, random)
        points = _circle(np.pi * place) * np.where(label == 0, 1.0, -1.0)[:, None]
        points[label == 1] += (1.0, 0.5)
        return points, label


class CirclesData(_LabelledData):
    """A circle of radius `factor` (label 1) within the unit circle (label 0)."""

    kind: Literal["circles"]
    factor: Share = 0.5
    """Radius of the inner circle."""

    def _points(self, random: RandomNumbers) -> tuple[np.ndarray, np.ndarray]:
        label, place = _classes(self.size, 2, random, closed=False)
        radius = np.where(label == 0, 1.0, self.factor)
        return radius[:, None] * _circle(2 * np.pi * place), label


class SpiralsData(_LabelledData):
    """Interleaved spiral arms from the origin; one label an arm."""

    kind: Literal["spirals"]
    arms: Annotated[int, Field(ge=2), Whole] = 2
    """Number of arms."""
    turns: Number = 1.0
    """Number of turns of an arm round the origin."""

    def _points(self, random: RandomNumbers) -> tuple[np.ndarray, np.ndarray]:
        # Radius t and angle 2 pi (turns * t + arm / arms), t evenly spaced on [0, 1].
        label, place = _classes(self.size, self.arms, random)
        angle = 2 * np.pi * (self.turns * place + label / self.arms)
        return place[:, None] * _circle(angle), label


class XorData(_LabelledData):
    """Points uniform on [-1, 1] squared; label 1 where the signs of the coordinates differ."""

    kind: Literal["xor"]

    def _points(self, random: RandomNumbers) -> tuple[np.ndarray, np.ndarray]:
        points = random.uniform(-1.0, 1.0, (self.size, 2))
        return points, (points[:, 0] < 0) != (points[:, 1] < 0)


class RingData(_LabelledData):
    """A disc of radius 1 (label 0) and a ring of radii [inner, outer] round it (label 1)."""

    kind: Literal["ring"]
    inner: Number = 1.5
    """Inner radius of the ring."""
    outer: Number = 2.5
    """Outer radius of the ring."""

    def _points(self, random: RandomNumbers) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= self.inner < self.outer:
            raise DataError(
                f"the ring between the radii {self.inner:g} and {self.outer:g} is empty", hint="0 <= inner < outer"
            )
        label, _ = _classes(self.size, 2, random)
        low, high = np.where(label == 0, 0.0, self.inner), np.where(label == 0, 1.0, self.outer)
        # Uniform by area: the square of the radius is what is uniform.
        radius = np.sqrt(random.uniform(0.0, 1.0, self.size) * (high**2 - low**2) + low**2)
        return radius[:, None] * _circle(random.uniform(0.0, 2 * np.pi, self.size)), label


def _classes(size: int, classes: int, random: RandomNumbers, *, closed: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (N,) in random order, and each example's place among its class, evenly spaced on [0, 1] or [0, 1).

    A circle is not closed: its first point would come twice.
    """
    example = random.permutation(size)
    label = example % classes
    counts = np.bincount(label, minlength=classes)
    return label, (example // classes) / np.maximum(counts - closed, 1)[label]


def _circle(angle: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)
