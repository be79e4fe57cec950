"""The limits of optimizers against the spectral radius of their own update, written out as a matrix."""

from __future__ import annotations

import numpy as np
import pytest

from tests.optimizers.family import MEMBERS


def section(kind, **settings):
    return MEMBERS[kind](kind=kind, **settings)


def limit_of(optimizer, gradient, second_moment=None):
    return optimizer.stability_limit(gradient, second_moment)


def heavy_ball(s, beta):
    """(w, v) after v = beta v - s w, w = w + v: a learning rate times an eigenvalue of s."""
    return np.asarray([[1 - s, beta], [-s, beta]])


def nesterov(s, beta):
    """(w, v) after v' = beta v - s w, w = w + beta v' - s w, as Keras writes it."""
    return np.asarray([[1 - s - beta * s, beta**2], [-s, beta]])


def adam(s, beta):
    """(w, m) after m = beta m + (1 - beta) w, w = w - s m: the divisor fixed."""
    return np.asarray([[1 - s * (1 - beta), -s * beta], [1 - beta, beta]])


def nadam(s, beta):
    """(w, m) after m' = beta m + (1 - beta) w, w = w - s (beta m' + (1 - beta) w)."""
    return np.asarray([[1 - s * (1 - beta) * (1 + beta), -s * beta**2], [1 - beta, beta]])


CASES = [
    (section("sgd", momentum=0.0, nesterov=False), lambda s: np.asarray([[1 - s]])),
    *((section("sgd", momentum=b, nesterov=False), lambda s, b=b: heavy_ball(s, b)) for b in (0.5, 0.9, 0.99)),
    *((section("sgd", momentum=b, nesterov=True), lambda s, b=b: nesterov(s, b)) for b in (0.5, 0.9, 0.99)),
    *((section("adam", beta_1=b, epsilon=0.0), lambda s, b=b: adam(s, b)) for b in (0.0, 0.5, 0.9)),
    *((section("nadam", beta_1=b, epsilon=0.0), lambda s, b=b: nadam(s, b)) for b in (0.5, 0.9)),
    *((section("rmsprop", momentum=b, epsilon=0.0, centered=False), lambda s, b=b: heavy_ball(s, b)) for b in (0, 0.9)),
]


@pytest.mark.parametrize(("optimizer", "matrix"), CASES, ids=[f"{c.kind}-{i}" for i, (c, _) in enumerate(CASES)])
def test_the_limit_is_where_the_update_stops_contracting(optimizer, matrix):
    limit = limit_of(optimizer, np.ones(1))
    assert limit is not None

    def radius(s):
        return np.max(np.abs(np.linalg.eigvals(matrix(s))))

    assert radius(limit.factor * 0.999) < 1 < radius(limit.factor * 1.001)


def test_adam_with_its_defaults_is_stable_up_to_38():
    assert limit_of(section("adam", beta_1=0.9, epsilon=1e-7), np.ones(1)).factor == pytest.approx(38)


def test_adaptive_kinds_divide_by_the_root_of_what_they_average():
    gradient = np.asarray([3.0, -4.0])
    kinds = {
        "adam": section("adam", beta_1=0.9, epsilon=0.5),
        "rmsprop": section("rmsprop", momentum=0.0, epsilon=0.5, centered=False),
        "adagrad": section("adagrad", initial_accumulator_value=0.25, epsilon=0.5),
    }
    wanted = {"adam": [3.5, 4.5], "rmsprop": np.sqrt([9.5, 16.5]), "adagrad": np.sqrt([9.75, 16.75])}
    for kind, optimizer in kinds.items():
        np.testing.assert_allclose(limit_of(optimizer, gradient).divides_by, wanted[kind])
    known = limit_of(kinds["adam"], gradient, np.asarray([1.0, 4.0]))
    np.testing.assert_allclose(known.divides_by, [1.5, 2.5])


KNOWN = {"sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad", "newton", "gauss_newton"}
NEEDED = {"formula": {"update": {"parameter": "0"}}, "custom": {"name": "mine"}}
"""Settings without which there is no section."""


@pytest.mark.parametrize("kind", MEMBERS)
def test_of_other_kinds_no_limit_is_claimed(kind):
    limit = limit_of(section(kind, **NEEDED.get(kind, {})), np.ones(1))
    assert (limit is not None) == (kind in KNOWN)


@pytest.mark.parametrize("kind", ["newton", "gauss_newton"])
def test_a_full_step_is_stable_up_to_twice_itself_whatever_the_curvature_unless_it_is_damped(kind):
    limit = limit_of(section(kind), np.ones(1))
    assert (limit.factor, limit.by_curvature) == (2.0, False)
    assert limit_of(section(kind, damping=0.1), np.ones(1)) is None


def test_clipping_makes_the_limit_inexact():
    clipped = limit_of(section("sgd", momentum=0.0, nesterov=False, clipnorm=1.0), np.ones(1))
    assert not clipped.exact
    assert "oscillates" in clipped.caveats[0]
