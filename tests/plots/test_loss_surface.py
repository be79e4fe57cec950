"""The loss around a trajectory, by NumPy, beside the formula written in Python."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.errors import UsageError
from gdrun.plots.trajectory import trajectory

ROWS = [{"step": k, "loss": 1.0, "parameters.x": 0.1 * k, "parameters.y": 1.0 - 0.2 * k} for k in range(5)]
CONFIG = """\
constants: {{c: 100}}
define: {{h: y - x**2}}
model:
  kind: formula
  formula: {formula}
  parameters: {{x: 0, "y": 0}}
optimizer: {{kind: sgd, learning_rate: 0.1}}
schedule: {{steps: 4}}
{more}
"""


def grid_of(make_run, formula: str = "(1 - x)**2 + c * h**2", more: str = ""):
    return trajectory(make_run(ROWS, config=CONFIG.format(formula=formula, more=more)), load=never_built).grid


def never_built():
    raise UsageError("no data")


def test_the_contours_are_those_of_the_formula(make_run):
    grid = grid_of(make_run)
    x, y = np.meshgrid(grid.x, grid.y)
    np.testing.assert_allclose(grid.values, (1 - x) ** 2 + 100 * (y - x**2) ** 2, rtol=1e-12)
    assert grid.x[0] < 0 < 0.4 < grid.x[-1]
    assert grid.y[0] < 0.2 < 1.0 < grid.y[-1]


def test_the_contours_of_a_maximum_are_those_of_the_recorded_loss(make_run):
    """The loss is what is minimised: the output with the other sign."""
    grid = grid_of(make_run, "4 - (x - 1)**2 - y**2", "loss: {kind: output, maximize: true}")
    x, y = np.meshgrid(grid.x, grid.y)
    np.testing.assert_allclose(grid.values, (x - 1) ** 2 + y**2 - 4, rtol=1e-12, atol=1e-12)


def test_what_is_not_finite_is_left_blank(make_run):
    grid = grid_of(make_run, "log(x) + y")
    assert np.isfinite(grid.values).any()
    assert not np.isfinite(grid.values[:, grid.x < 0]).any()


@pytest.mark.parametrize(
    ("formula", "more"),
    [
        ("x**2", "data: {kind: formula, inputs: {x: 1}}"),  # the loss needs the data
        ("x**2 + y", "loss: {kind: output, penalty: {l2: 0.1}}"),
        ("x**2 + y", "loss: mse"),
        ("x + y + z", ""),  # an unknown name
        ("x + y + step", ""),
        ("x + y + normal(0, 1)", ""),
        ("sum([x, y] * [x, y])", ""),  # looks at its arguments as wholes
        ("mean(x) + y * 0 + x", ""),
        ("matmul([[x, y]], [[x], [y]])", ""),
        ("3 + 0 * x", ""),  # flat
        ("(x", ""),
    ],
)
def test_where_it_is_not_a_formula_of_the_two_the_way_stands_alone(make_run, formula, more):
    assert grid_of(make_run, f'"{formula}"', more) is None


def test_a_broken_config_costs_only_the_contours(make_run):
    for config in ("{", "[]", "model: 3", "model: {kind: formula, formula: [1], parameters: [x]}"):
        figure = trajectory(make_run(ROWS, config=config), load=never_built)
        assert figure.grid is None
        assert len(figure.series[0].x) == 5
