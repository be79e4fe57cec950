"""The limits of optimizers against the spectral radius of their own update, written out as a matrix."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gdrun.analysis.limits import rule_of

COMMON = {"clipnorm": None, "clipvalue": None, "global_clipnorm": None, "use_ema": False, "weight_decay": None}


def section(kind, **settings):
    """What the checked section of an optimizer holds."""
    return SimpleNamespace(kind=kind, **(COMMON | settings))


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
    rule = rule_of(optimizer, np.ones(1))
    assert rule is not None

    def radius(s):
        return np.max(np.abs(np.linalg.eigvals(matrix(s))))

    assert radius(rule.factor * 0.999) < 1 < radius(rule.factor * 1.001)


def test_adam_with_its_defaults_is_stable_up_to_38():
    assert rule_of(section("adam", beta_1=0.9, epsilon=1e-7), np.ones(1)).factor == pytest.approx(38)


def test_adaptive_kinds_divide_by_the_root_of_what_they_average():
    gradient = np.asarray([3.0, -4.0])
    kinds = {
        "adam": section("adam", beta_1=0.9, epsilon=0.5),
        "rmsprop": section("rmsprop", momentum=0.0, epsilon=0.5, centered=False),
        "adagrad": section("adagrad", initial_accumulator_value=0.25, epsilon=0.5),
    }
    wanted = {"adam": [3.5, 4.5], "rmsprop": np.sqrt([9.5, 16.5]), "adagrad": np.sqrt([9.75, 16.75])}
    for kind, optimizer in kinds.items():
        np.testing.assert_allclose(rule_of(optimizer, gradient).divides_by, wanted[kind])
    known = rule_of(kinds["adam"], gradient, np.asarray([1.0, 4.0]))
    np.testing.assert_allclose(known.divides_by, [1.5, 2.5])


@pytest.mark.parametrize("kind", ["lion", "formula", "levenberg_marquardt", "muon"])
def test_of_other_kinds_no_limit_is_claimed(kind):
    assert rule_of(section(kind), np.ones(1)) is None


def test_clipping_makes_the_limit_inexact():
    clipped = rule_of(section("sgd", momentum=0.0, nesterov=False, clipnorm=1.0), np.ones(1))
    assert not clipped.exact
    assert "oscillates" in clipped.caveats[0]
