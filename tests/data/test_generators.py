"""Claims about the data sets with a known truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gdrun.data import generators
from gdrun.data.generators import GeneratedData
from gdrun.data.section import LoadContext
from gdrun.errors import DataError
from gdrun.random_streams import Streams, stream
from tests.families import members

GENERATORS = {kind: member for kind, member in members("data").items() if issubclass(member, GeneratedData)}
REQUIRED = {"polynomial": {"coefficients": (1.0, -2.0, 0.5)}}


def draw(kind, random, **settings):
    return GENERATORS[kind](kind=kind, **settings).draw(random)


def test_every_generator_is_a_kind():
    assert set(GENERATORS.values()) == {
        member
        for member in vars(generators).values()
        if isinstance(member, type) and issubclass(member, GeneratedData) and "kind" in member.model_fields
    }


def points(data):
    return np.stack(list(data.inputs.values()), axis=1)


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("size", [1, 2, 7, 100])
@pytest.mark.parametrize("random", [lambda: stream(1, "data"), lambda: np.random.RandomState(1)])
def test_every_generator_gives_size_finite_examples_that_its_random_state_decides(kind, size, random):
    data = draw(kind, random(), size=size, **REQUIRED.get(kind, {}))
    again = draw(kind, random(), size=size, **REQUIRED.get(kind, {}))
    assert tuple(data.inputs) == GENERATORS[kind](kind=kind, **REQUIRED.get(kind, {})).input_names()
    assert data.num_examples == size
    assert data.target.shape == (size,)
    for name, array in data.arrays().items():
        assert array.dtype == np.float64
        assert np.array_equal(array, again.arrays()[name])


@pytest.mark.parametrize("kind", ["blobs", "moons", "circles", "spirals", "ring"])
def test_classes_are_equal_in_number_and_mixed(kind):
    target = draw(kind, stream(0, "data"), size=1000).target
    assert list(np.bincount(target.astype(int))) == [500, 500]
    last_fifth = target[800:].mean()
    assert 0.35 < last_fifth < 0.65


def test_linear_without_noise_is_the_weighted_sum():
    data = draw("linear", stream(0, "data"), weights=(2.0, -3.0, 0.5), bias=7.0, low=0.0, high=4.0)
    assert list(data.inputs) == ["x1", "x2", "x3"]
    assert np.allclose(data.target, points(data) @ [2.0, -3.0, 0.5] + 7.0, rtol=1e-15)
    assert points(data).min() >= 0
    assert points(data).max() < 4
    assert list(draw("linear", stream(0, "data")).inputs) == ["x"]


def test_noise_has_the_deviation_asked_for():
    data = draw("linear", stream(0, "data"), size=20000, weights=(2.0,), noise=0.3)
    residual = data.target - 2 * data.inputs["x"]
    assert abs(residual.std() - 0.3) < 4 * 0.3 / np.sqrt(2 * 20000)
    assert abs(residual.mean()) < 4 * 0.3 / np.sqrt(20000)


def test_polynomial_and_sine_are_their_formulas_on_even_points():
    data = draw("polynomial", stream(0, "data"), size=5, coefficients=(1.0, 0.0, 2.0), low=-2, high=2)
    assert np.array_equal(data.inputs["x"], [-2, -1, 0, 1, 2])
    assert np.array_equal(data.target, [9, 3, 1, 3, 9])
    data = draw("sine", stream(0, "data"), size=9, amplitude=2, frequency=3, phase=0.5)
    x = data.inputs["x"]
    assert np.allclose(x, 2 * np.pi * np.arange(9) / 8, rtol=1e-15)
    assert np.allclose(data.target, 2 * np.sin(3 * x + 0.5), rtol=1e-14)


def test_blobs_lie_round_their_centers():
    centers = ((0.0, 0.0, 5.0), (10.0, 0.0, 0.0), (0.0, -10.0, 0.0))
    data = draw("blobs", stream(0, "data"), size=3000, centers=centers, noise=0.5)
    for label, center in enumerate(centers):
        cloud = points(data)[data.target == label]
        assert np.allclose(cloud.mean(axis=0), center, atol=4 * 0.5 / np.sqrt(1000))
        assert np.allclose(cloud.std(axis=0), 0.5, atol=4 * 0.5 / np.sqrt(2000))


def test_moons_lie_on_their_half_circles():
    data = draw("moons", stream(0, "data"), size=101)
    upper, lower = points(data)[data.target == 0], points(data)[data.target == 1]
    assert np.allclose(np.hypot(*upper.T), 1)
    assert upper[:, 1].min() > -1e-12
    assert np.allclose(np.hypot(*(lower - (1.0, 0.5)).T), 1)
    assert lower[:, 1].max() < 0.5 + 1e-12
    assert np.allclose([upper[:, 0].min(), upper[:, 0].max()], [-1, 1])


def test_circles_have_their_radii():
    data = draw("circles", stream(0, "data"), size=60, factor=0.25)
    assert np.allclose(np.hypot(*points(data).T), np.where(data.target == 0, 1.0, 0.25))


def test_a_spiral_arm_turns_with_its_radius():
    data = draw("spirals", stream(0, "data"), size=90, arms=3, turns=1.5)
    radius = np.hypot(*points(data).T)
    angle = 2 * np.pi * (1.5 * radius + data.target / 3)
    assert np.allclose(points(data), radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    assert np.isclose(radius.max(), 1)


def test_xor_labels_say_whether_the_signs_differ():
    data = draw("xor", stream(0, "data"), size=500)
    assert np.array_equal(data.target, points(data).prod(axis=1) < 0)
    assert np.abs(points(data)).max() <= 1


def test_ring_points_are_uniform_by_area():
    data = draw("ring", stream(0, "data"), size=40000, inner=1.0, outer=2.0)
    radius = np.hypot(*points(data).T)
    disc, ring = radius[data.target == 0], radius[data.target == 1]
    assert disc.max() <= 1
    assert ring.min() >= 1
    assert ring.max() <= 2
    assert abs(np.mean(disc < np.sqrt(0.5)) - 0.5) < 0.015
    assert abs(np.mean(ring < np.sqrt(2.5)) - 0.5) < 0.015


def test_impossible_shapes_are_refused():
    with pytest.raises(DataError, match="centers"):
        draw("blobs", stream(0, "data"), centers=((0.0,), (1.0, 2.0)))
    with pytest.raises(DataError, match=r"1,000,000,000,000 examples of 2 features are more than"):
        generators.XorData(kind="xor", size=10**12).examples(LoadContext(Path(), {}, Streams(0)))
    with pytest.raises(DataError, match="ring"):
        draw("ring", stream(0, "data"), inner=2.0, outer=1.0)
