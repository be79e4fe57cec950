"""Shapes of formulas seen by NumPy: TensorFlow is the oracle, which refuses the same formulas at the same places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gdrun.errors import ConfigError
from gdrun.experiment.formula_trial import try_formulas
from gdrun.experiment.inputs import read_inputs
from gdrun.experiment.loading import load_config

DATA = '{kind: formula, inputs: {x: "linspace(0, 1, 6)"}, target: 2 * x}'


def config(model: str, *, data: str = DATA, loss: str = "mse", more: str = "") -> Any:
    parts = [f"data: {data}"] if data else []
    parts += [f"model: {{kind: formula, {model}}}", f"loss: {loss}", "optimizer: sgd", "schedule: {steps: 1}", more]
    return load_config("\n".join(parts).encode()).experiment


def tried(experiment: Any) -> ConfigError | None:
    """Return the refusal, None where there is none."""
    try:
        try_formulas(experiment, read_inputs(experiment, Path()))
    except ConfigError as error:
        return error
    return None


REFUSED = {
    "two lengths": config("formula: 'a * x', parameters: {a: [1, 2, 3]}"),
    "matrix and column": config("formula: 'x @ a', parameters: {a: [[1, 2]]}"),
    "a prediction of one column": config("formula: 'a * x[:, None]', parameters: {a: 1}"),
    "several predictions": config("formula: 'stack([a * x, x], axis=1)', parameters: {a: 1}"),
    "a loss of each example": config(
        "formula: 'a * x', parameters: {a: 1}", loss="{kind: formula, formula: '(prediction - target)**2'}"
    ),
    "an objective of two numbers": config("formula: 'a * [1, 2]', parameters: {a: 1}", data="", loss="output"),
    "a definition": config("formula: 'sum(w) * x', parameters: {a: 1}", more="define: {w: 'a * [1, 2] + [1, 2, 3]'}"),
    "an output of its own": config(
        "formula: {p: 'a * x', q: 'x * [1, 2]'}, parameters: {a: 1}",
        loss="{kind: formula, formula: 'mean((p - target)**2) + mean(q)'}",
    ),
    "an initial value": config("formula: 'sum(a) * x', parameters: {a: {value: [1, 2, 3], shape: [2]}}"),
}


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("experiment", REFUSED.values(), ids=REFUSED.keys())
def test_what_numpy_refuses_tensorflow_refuses_at_the_same_place(experiment: Any) -> None:
    from gdrun.assembly import build

    refusal = tried(experiment)
    assert refusal is not None
    with pytest.raises(ConfigError) as caught:
        build(experiment, directory=Path())
    assert [problem.path for problem in refusal.problems] == [problem.path for problem in caught.value.problems]
    assert [problem.offset for problem in refusal.problems] == [problem.offset for problem in caught.value.problems]


LEFT_TO_TENSORFLOW = {
    "a matrix that has no factor": config("formula: 'sum(cholesky(a)) * x', parameters: {a: [[1, 2], [2, 1]]}"),
    "a singular matrix": config("formula: 'sum(inv(a)) * x', parameters: {a: [[1, 1], [1, 1]]}"),
    "an index beyond the end": config("formula: 'a[3 * x + 10] * x', parameters: {a: [1, 2]}"),
    "a draw of negative width": config("formula: 'a * x + 0 * normal(0, -1)', parameters: {a: 1}"),
    "a derivative": config("formula: 'grad(a * x**2, x) + [1, 2]', parameters: {a: 1}"),
    "a loop": config(
        "formula: 'w * x + a', parameters: {a: 1}", more="define: {w: {start: a, repeat: 'w + [1, 2]', times: 2}}"
    ),
    "a network": config("formula: 'net(x[:, None])', networks: {net: {kind: mlp, hidden: [2], outputs: 2}}"),
    "an initializer": config("formula: 'x @ a', parameters: {a: {init: zeros, shape: [2, 2]}}"),
}


@pytest.mark.parametrize("experiment", LEFT_TO_TENSORFLOW.values(), ids=LEFT_TO_TENSORFLOW.keys())
def test_where_numpy_could_be_wrong_nothing_is_said(experiment: Any) -> None:
    assert tried(experiment) is None


FITTING = {
    "a formula of the whole batch": config("formula: 'reshape(a * reshape(x, [2, 3]), [6])', parameters: {a: 1}"),
    "a loss that broadcasts": config(
        "formula: 'a * [[1], [2]]', parameters: {a: 1}", loss="{kind: mse, broadcast: true}"
    ),
    "transforms": config("formula: 's * x', parameters: {s: {value: 2, transform: exp}}"),
    "step and weights": config(
        "formula: 'a * x + 0 * step', parameters: {a: 1}",
        data='{kind: formula, inputs: {x: "linspace(0, 1, 6)"}, target: 2 * x, example_weights: "1 + x"}',
        loss="{kind: formula, formula: 'mean(example_weights * (prediction - target)**2)'}",
    ),
}


@pytest.mark.parametrize("experiment", FITTING.values(), ids=FITTING.keys())
def test_what_fits_is_not_refused(experiment: Any) -> None:
    assert tried(experiment) is None
