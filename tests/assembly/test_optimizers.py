"""`optimizer:` of a config: groups, second-order kinds and what they ask of the loss."""

import numpy as np
import pytest

from gdrun.errors import ConfigError

APART = """
precision: float64
model:
  kind: formula
  formula: sum((a - 1)**2) + sum((b - 2)**4) + c**2
  parameters: {{a: [0.5, 3.0], b: [1.0], c: 4.0}}
optimizer: {optimizer}
schedule: {{steps: 30{schedule}}}
record: {{every: 1}}
"""
GROUPS = """{kind: adam, learning_rate: 0.1, groups: [
  {parameters: [b], learning_rate: 0.02},
  {parameters: [c], optimizer: {kind: sgd, learning_rate: 0.3, momentum: 0.5}}]}"""


@pytest.mark.parametrize("factor", ["", ", learning_rate_factor: {kind: exponential, rate: 0.5, every: 10}"])
def test_each_group_moves_as_it_would_alone(lab, factor):
    """The loss is a sum of parts, so that each parameter's path is its own."""
    together = lab.rows(lab.build(APART.format(optimizer=GROUPS, schedule=factor)))
    alone = {
        "a": "{kind: adam, learning_rate: 0.1}",
        "b": "{kind: adam, learning_rate: 0.02}",
        "c": "{kind: sgd, learning_rate: 0.3, momentum: 0.5}",
    }
    for name, optimizer in alone.items():
        rows = lab.rows(lab.build(APART.format(optimizer=optimizer, schedule=factor)))
        np.testing.assert_allclose(together[f"parameters.{name}"], rows[f"parameters.{name}"], rtol=1e-13)
        if name == "a":
            np.testing.assert_array_equal(together["learning_rate"], rows["learning_rate"])


def test_a_frozen_group_is_not_trained_and_is_no_part_of_the_gradient(lab):
    frozen = lab.build(APART.format(optimizer="{kind: sgd, groups: [{parameters: [a, c], frozen: true}]}", schedule=""))
    assert frozen.objective.trainable_names == ("b",)
    rows = lab.rows(frozen)
    np.testing.assert_allclose(rows["gradient_norm"][0], 4.0)
    np.testing.assert_array_equal(rows["parameters.a"][-1], [0.5, 3.0])
    np.testing.assert_array_equal(rows["parameters.c"][-1], 4.0)


def test_a_layers_name_stands_for_its_parameters(lab):
    text = """
data: {kind: formula, inputs: {x: "linspace(0, 1, 8)"}, target: x}
model: {kind: mlp, hidden: [3], outputs: 1}
optimizer: {kind: sgd, groups: [{parameters: [dense1], frozen: true}]}
schedule: {steps: 1}
"""
    assert lab.build(text).objective.trainable_names == ("dense2.kernel", "dense2.bias")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("[{parameters: [d], frozen: true}]", "there is no parameter 'd'"),
        ("[{parameters: [a], frozen: true}, {parameters: [b, a], learning_rate: 1}]", "'a' is in two groups"),
        ("[{parameters: [a]}]", "give one of learning_rate, frozen: true, optimizer"),
        ("[{parameters: [a], frozen: true, learning_rate: 1}]", "give one of"),
        ("[{parameters: [], frozen: true}]", "needs at least 1 entry"),
        ("[{parameters: [a, b, c], frozen: true}]", "there is no trainable parameter"),
        (
            "[{parameters: [a], optimizer: {kind: sgd, groups: [{parameters: [a], frozen: true}]}}]",
            "the optimizer of a group has no groups of its own",
        ),
        ("[{parameters: [a], optimizer: newton}]", "unknown kind"),
    ],
)
def test_groups_that_cannot_be_are_refused(lab, groups, message):
    problem = lab.refused(APART.format(optimizer=f"{{kind: sgd, groups: {groups}}}", schedule=""))
    assert message in problem.message


def test_a_scaled_loss_goes_with_no_groups(lab):
    optimizer = "{kind: sgd, loss_scale_factor: 8, groups: [{parameters: [a], frozen: true}]}"
    assert "loss_scale_factor" in lab.refused(APART.format(optimizer=optimizer, schedule="")).message


T = np.linspace(0, 1, 9)
Y = np.sin(3 * T)
FIT = """
precision: float64
data: {{kind: formula, inputs: {{t: "linspace(0, 1, 9)"}}, target: sin(3*t)}}
model: {{kind: formula, formula: {formula}, parameters: {{p: [0.4, -0.3, 0.2]}}}}
loss: {loss}
optimizer: {optimizer}
schedule: {{steps: {steps}{schedule}}}
record: {{every: 1}}
"""
PARABOLA = '"p[0] + p[1]*t + p[2]*t**2"'


@pytest.mark.parametrize(
    ("optimizer", "loss", "ridge"),
    [
        ("gauss_newton", "mse", 0.0),
        ("gauss_newton", "half_sse", 0.0),
        ("gauss_newton", "{kind: squared_error, reduction: sum, factor: 3}", 0.0),
        ("gauss_newton", "{kind: squared_error, penalty: {l2: 0.1}}", 0.1 * 9),
        ("gauss_newton", "{kind: squared_error, reduction: sum, factor: 2, penalty: {l2: 0.1, of: [p]}}", 0.1 / 2),
        ("newton", "{kind: squared_error, penalty: {l2: 0.1}}", 0.1 * 9),
    ],
)
def test_a_linear_fit_ends_in_one_step_whatever_the_form_of_the_squares(lab, optimizer, loss, ridge):
    text = FIT.format(formula=PARABOLA, loss=loss, optimizer=optimizer, steps=1, schedule="")
    columns = np.stack([np.ones(9), T, T**2], 1)
    wanted = np.linalg.solve(columns.T @ columns + ridge * np.eye(3), columns.T @ Y)
    np.testing.assert_allclose(lab.rows(lab.build(text))["parameters.p"][-1], wanted, rtol=1e-11)


DECAY = FIT.format(
    formula='"p[0] + p[1]*exp(p[2]*t)"',
    loss="{kind: squared_error, reduction: mean, penalty: {l2: 0.001}}",
    optimizer="levenberg_marquardt",
    steps=500,
    schedule=", stop: {parameters_unchanged: true}",
)


def test_levenberg_marquardt_takes_the_same_steps_eagerly(lab):
    """A few steps: each is a loop in Python over every column."""
    graph, eager = (
        lab.rows(lab.build(DECAY, [f"compile={compile}", "schedule.steps=2"]))["parameters.p"]
        for compile in ("graph", "eager")
    )
    np.testing.assert_allclose(eager, graph, rtol=1e-12)


def test_levenberg_marquardt_comes_to_rest_at_scipys_minimum(lab):
    """As a graph; by XLA the shipped misra1a.yaml comes to NIST's digits."""
    from scipy.optimize import least_squares

    rows = lab.rows(lab.build(DECAY))
    assert rows["reason"].name == "PARAMETERS_UNCHANGED"

    def residuals(p):
        return np.concatenate([(p[0] + p[1] * np.exp(p[2] * T) - Y) / 3, 0.001**0.5 * p])

    # From close by: the problem has several minima.
    wanted = least_squares(residuals, [0.7, -0.6, -3.5], xtol=1e-15, ftol=1e-15, gtol=1e-15).x
    np.testing.assert_allclose(rows["parameters.p"][-1], wanted, rtol=1e-6)
    assert np.all(np.diff(rows["loss"]) <= 1e-15), "a step that raises the loss is not taken"


def test_a_rejected_step_stops_no_run(lab):
    """Rosenbrock's residuals, so lightly damped that the first trial fails: parameters stay, and the run goes on."""
    text = """
precision: float64
data: {kind: values, inputs: {t: [0, 1]}, target: [0, 1]}
model: {kind: formula, formula: "where(t > 0.5, p[0], 10*(p[1] - p[0]**2))", parameters: {p: [-1.2, 1.0]}}
loss: sse
optimizer: {kind: levenberg_marquardt, initial_damping: 1.0e-8, acceleration: 0}
schedule: {steps: 300, stop: {parameters_unchanged: true, parameter_change_below: 1.0e-12}}
record: {every: 1}
"""
    path = lab.rows(lab.build(text))["parameters.p"]
    np.testing.assert_array_equal(path[1], path[0])
    np.testing.assert_allclose(path[-1], [1.0, 1.0], rtol=1e-12)
    assert len(path) < 300


def test_newton_damps_and_finds_rosenbrocks_minimum_in_float32_too(lab):
    text = """
model: {kind: formula, formula: (1 - x)**2 + 100*(y - x**2)**2, parameters: {x: -1.2, y: 1.0}}
optimizer: {kind: newton, damping: 1.0e-3}
schedule: {steps: 50}
"""
    rows = lab.rows(lab.build(text))
    np.testing.assert_allclose([rows["parameters.x"][-1], rows["parameters.y"][-1]], 1.0, rtol=1e-5)


def test_a_singular_hessian_ends_the_run_as_diverged(lab):
    text = """
model: {kind: formula, formula: x + 2*y, parameters: {x: 1.0, y: 1.0}}
optimizer: newton
schedule: {steps: 5}
"""
    assert lab.rows(lab.build(text))["reason"].name == "PARAMETERS_NOT_FINITE"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "mae"}, "levenberg_marquardt needs squared errors, absolute_error has none"),
        ({"loss": '{kind: formula, formula: "sum((prediction - target)**2)"}'}, "needs squared errors, formula"),
        ({"loss": "{kind: squared_error, factor: -1}"}, "factor must be positive"),
        ({"loss": "{kind: squared_error, penalty: {l1: 0.1}}"}, "an l1 penalty has none"),
        ({"schedule": ", batch_size: 3"}, "needs all examples in each update"),
        ({"schedule": ", learning_rate_factor: {kind: constant, factor: 0.5}"}, "has no learning rate"),
        ({"optimizer": "{kind: levenberg_marquardt, learning_rate: 1}"}, "unknown key 'learning_rate'"),
        ({"optimizer": "{kind: levenberg_marquardt, initial_damping: 0}"}, "must be greater than 0"),
    ],
)
def test_levenberg_marquardt_refuses_what_it_cannot_work_with(lab, changes, message):
    given = {"formula": PARABOLA, "loss": "sse", "optimizer": "levenberg_marquardt", "steps": 1, "schedule": ""}
    with pytest.raises(ConfigError) as caught:
        lab.train(FIT.format(**given | changes))
    assert any(message in problem.message for problem in caught.value.problems)
    assert all(problem.place is not None for problem in caught.value.problems)


def test_a_fit_without_a_target_is_refused(lab):
    text = APART.format(optimizer="gauss_newton", schedule="")
    assert "there is none" in lab.refused(text).message


def test_gauss_newton_with_too_few_residuals_is_refused_at_the_optimizer(lab):
    text = FIT.format(formula=PARABOLA, loss="sse", optimizer="gauss_newton", steps=1, schedule="")
    problem = lab.refused(text.replace("linspace(0, 1, 9)", "linspace(0, 1, 2)"))
    assert "2 residuals do not determine 3 parameters" in problem.message
    assert problem.path == ("optimizer",)


def test_levenberg_marquardt_in_float32_says_what_it_costs(lab):
    text = FIT.format(formula=PARABOLA, loss="sse", optimizer="levenberg_marquardt", steps=1, schedule="")
    assert lab.build(text).warnings == ()
    assert "float64" in lab.build(text, ["precision=float32"]).warnings[0]


def test_networks_are_fitted_by_levenberg_marquardt(lab):
    text = """
precision: float64
data: {kind: formula, inputs: {x: "linspace(-1, 1, 30)"}, target: sin(3*x)}
model: {kind: mlp, hidden: [5], activation: tanh, outputs: 1}
optimizer: levenberg_marquardt
schedule: {steps: 100}
"""
    assert lab.rows(lab.build(text))["loss"][-1] < 1e-4


STILL = """
precision: float64
data: {kind: values, inputs: {x: [[1, 2], [0.5, -1]]}, target: [1, 0]}
define: {moved: "x + 0.1 * sign(grad(sum(softplus(x @ w) - target * (x @ w)), x))"}
model: {kind: formula, formula: x @ w, parameters: {w: {value: [1, -2], trainable: false}}}
loss: {kind: binary_crossentropy, from_logits: true}
optimizer: none
schedule: {steps: 0}
record: {formulas: {moved: moved}}
"""


@pytest.mark.parametrize("compile", ["graph", "xla"])
@pytest.mark.parametrize("steps", [0, 3])
def test_a_config_that_trains_nothing_records_an_attack_on_its_inputs(lab, compile, steps):
    """Against a logistic model the sign of the gradient by x is that of (sigmoid - target) * w."""
    rows = lab.rows(lab.build(STILL, [f"compile={compile}", f"steps={steps}"]))
    np.testing.assert_allclose(rows["moved"][-1], [[0.9, 2.1], [0.6, -1.1]], rtol=1e-14)
    assert len(rows["moved"]) == steps + 1
    assert not rows["gradient_norm"].any()


def test_optimizer_none_leaves_trainable_parameters_and_networks_as_they_are(lab):
    text = STILL.replace("trainable: false", "trainable: true").replace("steps: 0", "steps: 2")
    rows = lab.rows(lab.build(text, ["record.parameters=true", "compile=graph"]))
    np.testing.assert_array_equal(rows["parameters.w"], [[1, -2]] * 3)


def test_optimizer_none_refuses_rules_that_wait_for_a_parameter_to_move(lab):
    problem = lab.refused(STILL, ["schedule.stop.parameters_unchanged=true"])
    assert problem.message == "optimizer: none moves no parameter"
