"""Data sets drawn from a known truth."""

from typing import Annotated, Literal

from pydantic import Field

from gdrun.config.section import Count, NonNegative, Number, PositiveInteger, Share, Whole

from .sections import DataSection


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
        """How many inputs there are, each a number an example."""
        return 2

    def input_names(self) -> tuple[str, ...]:
        return ("x",) if self.num_features == 1 else tuple(f"x{k + 1}" for k in range(self.num_features))

    def num_examples(self) -> int:
        return self.size


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


class BlobsData(GeneratedData):
    """Gaussian clouds, one a class; the target is the class label."""

    kind: Literal["blobs"]
    centers: Annotated[tuple[tuple[Number, ...], ...], Field(min_length=2)] = ((-2.0, 0.0), (2.0, 0.0))
    """The middle of each cloud."""
    noise: NonNegative = 1.0
    """Standard deviation of each cloud."""

    @property
    def num_features(self) -> int:
        return len(self.centers[0])


class MoonsData(GeneratedData):
    """Two interleaving half circles in the plane; labels 0 and 1."""

    kind: Literal["moons"]


class CirclesData(GeneratedData):
    """A circle of radius `factor` (label 1) within the unit circle (label 0)."""

    kind: Literal["circles"]
    factor: Share = 0.5
    """Radius of the inner circle."""


class SpiralsData(GeneratedData):
    """Interleaved spiral arms from the origin; one label an arm."""

    kind: Literal["spirals"]
    arms: Annotated[int, Field(ge=2), Whole] = 2
    """Number of arms."""
    turns: Number = 1.0
    """How often an arm winds round the origin."""


class XorData(GeneratedData):
    """Points uniform on [-1, 1] squared; label 1 where the signs of the coordinates differ."""

    kind: Literal["xor"]


class RingData(GeneratedData):
    """A disc of radius 1 (label 0) and a ring of radii [inner, outer] round it (label 1)."""

    kind: Literal["ring"]
    inner: Number = 1.5
    """Inner radius of the ring."""
    outer: Number = 2.5
    """Outer radius of the ring."""
