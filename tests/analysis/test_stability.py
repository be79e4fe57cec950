"""Curvature and the rate it allows, against closed forms and numpy's eigenvalues."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.analysis.curvature import Curvature, lanczos
from gdrun.analysis.stability import predicted_limit, sharpness

X = np.asarray([[1.0, 2], [3, -1], [0, 1], [2, 2]])
LINE = f"""
precision: float64
data: {{kind: values, inputs: {{X: {X.tolist()}}}, target: [1, 2, 3, 4]}}
model: {{kind: formula, formula: X @ w, parameters: {{w: [0.5, 0.5]}}}}
optimizer: {{kind: sgd, learning_rate: 0.01}}
schedule: {{steps: 10}}
"""
EIGENVALUES = np.linalg.eigvalsh(2 / len(X) * X.T @ X)


@pytest.mark.parametrize(
    ("overrides", "limit"),
    [
        ([], 2 / EIGENVALUES[-1]),
        (["optimizer.momentum=0.9"], 3.8 / EIGENVALUES[-1]),
        (["optimizer.momentum=0.9", "optimizer.nesterov=true"], 3.8 / 2.8 / EIGENVALUES[-1]),
        (["optimizer.weight_decay=0.5"], 2 / (EIGENVALUES[-1] + 0.5)),
        (["loss={kind: squared_error, penalty: {l2: 0.25}}"], 2 / (EIGENVALUES[-1] + 0.5)),
        (["loss={kind: squared_error, reduction: sum}"], 2 / (len(X) * EIGENVALUES[-1])),
        (["precision=float32"], 2 / EIGENVALUES[-1]),
    ],
)
def test_the_limit_of_linear_least_squares_is_that_of_its_normal_matrix(lab, overrides, limit):
    found = predicted_limit(lab.build(LINE, overrides))
    assert found.exact
    assert found.limit == pytest.approx(limit, rel=1e-6 if "precision=float32" in overrides else 1e-12)


def test_the_schedules_factor_and_small_batches_make_it_inexact(lab):
    factor = "schedule.learning_rate_factor={kind: constant, factor: 0.5}"
    halved = predicted_limit(lab.build(LINE, [factor]))
    assert halved.limit == pytest.approx(4 / EIGENVALUES[-1])
    batches = predicted_limit(lab.build(LINE, ["batch_size=2"]))
    assert not batches.exact
    assert any("batch" in text for text in batches.caveats)
    summed = lab.build(LINE, ["batch_size=2", "loss={kind: squared_error, reduction: sum}"])
    assert predicted_limit(summed).limit == pytest.approx(2 / (2 * EIGENVALUES[-1]))


def test_adams_limit_is_that_of_the_preconditioned_hessian(lab):
    built = lab.build(LINE, ["optimizer={kind: adam, learning_rate: 0.1}"])
    gradient = 2 / len(X) * X.T @ (X @ [0.5, 0.5] - [1, 2, 3, 4])
    inverse = np.diag(1 / (np.abs(gradient) + 1e-7))
    largest = np.max(np.linalg.eigvals(inverse @ (2 / len(X) * X.T @ X)).real)
    found = predicted_limit(built)
    assert found.limit == pytest.approx(38 / largest)
    assert not found.exact


def test_groups_with_rates_of_their_own_scale_the_hessian(lab):
    text = LINE.replace("X @ w", "X @ w + b").replace("w: [0.5, 0.5]", "w: [0.5, 0.5], b: 0")
    groups = ["optimizer={kind: sgd, learning_rate: 0.01, groups: [{parameters: [b], learning_rate: 0.1}]}"]
    wide = np.column_stack([X, np.ones(len(X))])
    scale = np.sqrt([1, 1, 10])
    matrix = scale[:, None] * (2 / len(X) * wide.T @ wide) * scale
    assert predicted_limit(lab.build(text, groups)).limit == pytest.approx(2 / np.linalg.eigvalsh(matrix)[-1])


@pytest.mark.parametrize(
    ("formula", "start", "why"),
    [("-x**2", 1.0, "upward in no direction"), ("3*x", 1.0, "upward in no direction"), ("x**1.5", 0.0, "not finite")],
)
def test_where_there_is_no_limit_it_says_why(lab, formula, start, why):
    text = f"""
precision: float64
model: {{kind: formula, formula: {formula}, parameters: {{x: {start}}}}}
optimizer: {{kind: sgd, learning_rate: 0.01}}
schedule: {{steps: 1}}
"""
    found = predicted_limit(lab.build(text))
    assert found.limit is None
    assert why in found.why


def test_rosenbrocks_curvature_is_the_textbooks(lab):
    """At (-1.2, 1): [[1330, 480], [480, 200]]."""
    text = """
precision: float64
model: {kind: formula, formula: 100*(y - x**2)**2 + (1 - x)**2, parameters: {x: -1.2, y: 1}}
optimizer: {kind: sgd, learning_rate: 0.001}
schedule: {steps: 1}
"""
    found = sharpness(lab.build(text))
    values = np.linalg.eigvalsh([[1330, 480], [480, 200]])
    np.testing.assert_allclose(found.eigenvalues, values, rtol=1e-12)
    assert found.condition_number == pytest.approx(values[1] / values[0])
    assert not found.prediction.exact
    assert found.prediction.limit == pytest.approx(2 / values[1])


def test_logistic_regressions_hessian_is_x_d_x(lab):
    text = """
precision: float64
data: {kind: values, inputs: {X: [[1, 2], [3, -1], [0, 1]]}, target: [1, 0, 1]}
model: {kind: formula, formula: X @ w, parameters: {w: [0.2, -0.3]}}
loss: {kind: binary_crossentropy, from_logits: true}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 1}
"""
    x = np.asarray([[1.0, 2], [3, -1], [0, 1]])
    p = 1 / (1 + np.exp(-x @ [0.2, -0.3]))
    wanted = x.T @ np.diag(p * (1 - p)) @ x / 3
    np.testing.assert_allclose(Curvature(lab.build(text)).hessian(), wanted, rtol=1e-10)


def test_lanczos_finds_the_extreme_eigenvalues_of_a_matrix():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(300, 300))
    matrix = root + root.T
    values = np.linalg.eigvalsh(matrix)
    found, _ = lanczos(lambda v: matrix @ v, 300, tolerance=1e-9)
    assert found[-1] == pytest.approx(values[-1], rel=1e-6)
    few, _ = lanczos(lambda v: np.asarray([3.0, 2, 2, 2]) * v, 4)
    assert few[-1] == pytest.approx(3)


def test_a_network_beyond_the_exact_ones_has_the_eigenvalue_of_its_hessian(lab):
    text = """
precision: float64
data: {kind: moons, size: 40, noise: 0.1}
model: {kind: mlp, hidden: [30, 30], activation: tanh, outputs: 1}
loss: {kind: binary_crossentropy, from_logits: true}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 1}
"""
    built = lab.build(text)
    assert built.num_parameters > 1000
    exact = np.linalg.eigvalsh(Curvature(built).hessian())
    found = sharpness(built)
    assert not found.all_known
    assert found.condition_number is None
    assert found.largest == pytest.approx(exact[-1], rel=1e-5)
    assert found.prediction.limit == pytest.approx(2 / exact[-1], rel=1e-5)


def test_complex_parameters_are_refused_in_words(lab):
    text = """
model: {kind: formula, formula: abs(z - 1j)**2, parameters: {z: 1+1j}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 1}
"""
    assert "real parameters" in predicted_limit(lab.build(text)).why
