"""Claims about the data sets with a known truth."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.data import generators
from gdrun.data.generators import GENERATORS, generated_data
from gdrun.errors import DataError
from gdrun.random_streams import stream

REQUIRED = {"polynomial": {"coefficients": (1.0, -2.0, 0.5)}}


def points(data):
    return np.stack(list(data.inputs.values()), axis=1)


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("size", [1, 2, 7, 100])
@pytest.mark.parametrize("random", [lambda: stream(1, "data"), lambda: np.random.RandomState(1)])
def test_every_generator_gives_size_finite_examples_that_its_random_state_decides(kind, size, random):
    data = generated_data(kind, size=size, random=random(), **REQUIRED.get(kind, {}))
    again = GENERATORS[kind](size=size, random=random(), **REQUIRED.get(kind, {}))
    assert data.num_examples == size
    assert data.target.shape == (size,)
    for name, array in data.arrays().items():
        assert array.dtype == np.float64
        assert np.array_equal(array, again.arrays()[name])


@pytest.mark.parametrize("kind", ["blobs", "moons", "circles", "spirals", "ring"])
def test_classes_are_equal_in_number_and_mixed(kind):
    target = GENERATORS[kind](size=1000, random=stream(0, "data")).target
    assert list(np.bincount(target.astype(int))) == [500, 500]
    last_fifth = target[800:].mean()
    assert 0.35 < last_fifth < 0.65


def test_linear_without_noise_is_the_weighted_sum():
    data = generators.linear(weights=(2.0, -3.0, 0.5), bias=7.0, low=0.0, high=4.0, random=stream(0, "data"))
    assert list(data.inputs) == ["x1", "x2", "x3"]
    assert np.allclose(data.target, points(data) @ [2.0, -3.0, 0.5] + 7.0, rtol=1e-15)
    assert points(data).min() >= 0
    assert points(data).max() < 4
    assert list(generators.linear(random=stream(0, "data")).inputs) == ["x"]


def test_noise_has_the_deviation_asked_for():
    data = generators.linear(size=20000, weights=(2.0,), noise=0.3, random=stream(0, "data"))
    residual = data.target - 2 * data.inputs["x"]
    assert abs(residual.std() - 0.3) < 4 * 0.3 / np.sqrt(2 * 20000)
    assert abs(residual.mean()) < 4 * 0.3 / np.sqrt(20000)


def test_polynomial_and_sine_are_their_formulas_on_even_points():
    data = generators.polynomial(size=5, coefficients=(1.0, 0.0, 2.0), low=-2, high=2, random=stream(0, "data"))
    assert np.array_equal(data.inputs["x"], [-2, -1, 0, 1, 2])
    assert np.array_equal(data.target, [9, 3, 1, 3, 9])
    data = generators.sine(size=9, amplitude=2, frequency=3, phase=0.5, random=stream(0, "data"))
    x = data.inputs["x"]
    assert np.allclose(x, 2 * np.pi * np.arange(9) / 8, rtol=1e-15)
    assert np.allclose(data.target, 2 * np.sin(3 * x + 0.5), rtol=1e-14)


def test_blobs_lie_round_their_centers():
    centers = ((0.0, 0.0, 5.0), (10.0, 0.0, 0.0), (0.0, -10.0, 0.0))
    data = generators.blobs(size=3000, centers=centers, noise=0.5, random=stream(0, "data"))
    for label, center in enumerate(centers):
        cloud = points(data)[data.target == label]
        assert np.allclose(cloud.mean(axis=0), center, atol=4 * 0.5 / np.sqrt(1000))
        assert np.allclose(cloud.std(axis=0), 0.5, atol=4 * 0.5 / np.sqrt(2000))


def test_moons_lie_on_their_half_circles():
    data = generators.moons(size=101, random=stream(0, "data"))
    upper, lower = points(data)[data.target == 0], points(data)[data.target == 1]
    assert np.allclose(np.hypot(*upper.T), 1)
    assert upper[:, 1].min() > -1e-12
    assert np.allclose(np.hypot(*(lower - (1.0, 0.5)).T), 1)
    assert lower[:, 1].max() < 0.5 + 1e-12
    assert np.allclose([upper[:, 0].min(), upper[:, 0].max()], [-1, 1])


def test_circles_have_their_radii():
    data = generators.circles(size=60, factor=0.25, random=stream(0, "data"))
    assert np.allclose(np.hypot(*points(data).T), np.where(data.target == 0, 1.0, 0.25))


def test_a_spiral_arm_turns_with_its_radius():
    data = generators.spirals(size=90, arms=3, turns=1.5, random=stream(0, "data"))
    radius = np.hypot(*points(data).T)
    angle = 2 * np.pi * (1.5 * radius + data.target / 3)
    assert np.allclose(points(data), radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    assert np.isclose(radius.max(), 1)


def test_xor_labels_say_whether_the_signs_differ():
    data = generators.xor(size=500, random=stream(0, "data"))
    assert np.array_equal(data.target, points(data).prod(axis=1) < 0)
    assert np.abs(points(data)).max() <= 1


def test_ring_points_are_uniform_by_area():
    data = generators.ring(size=40000, inner=1.0, outer=2.0, random=stream(0, "data"))
    radius = np.hypot(*points(data).T)
    disc, ring = radius[data.target == 0], radius[data.target == 1]
    assert disc.max() <= 1
    assert ring.min() >= 1
    assert ring.max() <= 2
    assert abs(np.mean(disc < np.sqrt(0.5)) - 0.5) < 0.015
    assert abs(np.mean(ring < np.sqrt(2.5)) - 0.5) < 0.015


def test_impossible_shapes_are_refused():
    with pytest.raises(DataError, match="centers"):
        generators.blobs(centers=((0.0,), (1.0, 2.0)), random=stream(0, "data"))
    with pytest.raises(DataError, match=r"1,000,000,000,000 examples of 2 features are more than"):
        generated_data("xor", size=10**12, random=stream(0, "data"))
    with pytest.raises(DataError, match="ring"):
        generators.ring(inner=2.0, outer=1.0, random=stream(0, "data"))
