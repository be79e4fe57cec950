"""What formulas mean around loops, networks and derivatives. Oracles: NumPy, and what one way says of another."""

import numpy as np
import pytest

HEAD = "precision: float64\ncompile: graph\nrecord: {every: 1}\noptimizer: {kind: sgd, learning_rate: 0.1}\n"


def rows(lab, text, steps=2):
    return lab.rows(lab.build(f"{HEAD}schedule: {{steps: {steps}}}\n{text.strip()}\n"))


LOOP = """
define:
  y: {start: %s, repeat: "y * (1 - a / 10) + i", keep: all, %s}
model: {kind: formula, formula: a**2, parameters: {a: 1}}
record: {every: 1, formulas: {states: y}}
"""


def states(a, start, count):
    values = [np.asarray(start, np.float64) * np.ones(2)]
    for i in range(count):
        values.append(values[-1] * (1 - a / 10) + i)
    return np.array(values)


@pytest.mark.parametrize("compile", ["graph", "xla", "eager"])
@pytest.mark.parametrize("count", [0, 3, 12])
def test_a_loop_keeps_its_first_state_and_every_later_one(shared_lab, compile, count):
    """Written out, compiled, or in Python, and whatever the number of rounds."""
    text = HEAD.replace("record: {every: 1}\n", "") + "schedule: {steps: 1}\n" + LOOP % ("[3, 3]", f"times: {count}")
    got = shared_lab.rows(shared_lab.build(text.replace("graph", compile)))
    for a, kept in zip(got["parameters.a"], got["states"], strict=True):
        np.testing.assert_allclose(kept, states(a, 3, count), rtol=1e-14)


@pytest.mark.parametrize("most", [6, 40])
def test_a_loop_that_ends_early_repeats_its_last_state(shared_lab, most):
    text = LOOP % ("[3, 3]", f"while: i < 4, at_most: {most}")
    got = shared_lab.rows(shared_lab.build(HEAD.replace("record: {every: 1}\n", "") + "schedule: {steps: 1}\n" + text))
    wanted = states(1, 3, 4)
    np.testing.assert_allclose(got["states"][0], np.r_[wanted, [wanted[-1]] * (most - 4)], rtol=1e-14)


def test_what_is_drawn_outside_of_a_loop_is_the_same_in_its_rounds_and_their_derivatives(shared_lab):
    """In a short loop, which is written out, and in a long one, which is compiled."""
    text = """
precision: float64
compile: graph
define:
  z: normal(0, 1, [3])
  s: {start: w, repeat: "s - 0.1*grad(sum(s*z), s)", times: 4}
  t: {start: w, repeat: "t - 0.1*grad(sum(t*z), t)", times: 40}
  n: {start: w, repeat: "n + normal(0, 1)", times: 2, keep: all}
model: {kind: formula, formula: sum(w*z), parameters: {w: [1, 2, 3]}}
optimizer: sgd
schedule: {steps: 0}
record: {formulas: {short: (w - s)/z, long: (w - t)/z, rounds: "n[1:, 0] - n[:-1, 0]"}}
"""
    rows = shared_lab.rows(shared_lab.build(text))
    np.testing.assert_allclose(rows["short"][0], 0.1 * 4, rtol=1e-12)
    np.testing.assert_allclose(rows["long"][0], 0.1 * 40, rtol=1e-12)
    assert rows["rounds"][0][0] != rows["rounds"][0][1]


def test_a_number_may_start_a_loop_of_vectors(shared_lab):
    text = """
define: {y: {start: 0, repeat: "y + a * [1, 2]", times: 3, keep: all}}
model: {kind: formula, formula: "sum(y[-1])", parameters: {a: 1}}
"""
    assert rows(shared_lab, text)["loss"].tolist() == pytest.approx([9, 9 - 0.1 * 81, 9 - 0.2 * 81])


def test_a_loops_own_names_may_not_hide_others(lab):
    text = """
define: {y: {start: 1, define: {a: 2 * y}, repeat: a, times: 3}}
model: {kind: formula, formula: y * a, parameters: {a: 1}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 1}
"""
    assert lab.refused(text).message == "the name 'a' is taken by model.parameters.a"


def test_a_mistake_in_a_loops_own_name_is_shown_there(lab):
    text = """
define: {y: {start: 1, define: {half: "y @ 2"}, repeat: half, times: 3}}
model: {kind: formula, formula: y * a, parameters: {a: 1}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 1}
"""
    problem = lab.refused(text)
    assert problem.path == ("define", "y", "define", "half")
    assert "a single number is no matrix" in problem.message


NETWORK = """
data: {kind: values, inputs: {x: [1, 2, 3], X: [[1, 2], [3, 4], [5, 6]]}}
model:
  kind: formula
  networks:
    one: {kind: linear, kernel: 2}
    two: {kind: linear, kernel: 3}
    wide: {kind: linear, kernel: 1, outputs: 2}
  formula: sum(one(x)) + sum(two(X)) + sum(wide(x))
record:
  every: 1
  formulas: {vector: one(x), number: one(5), table: two(X), pair: wide(1), mixed: "two(x, 4)", pairs: wide(x)}
"""


def test_a_network_answers_in_the_shape_it_is_asked(shared_lab):
    """A vector for a vector and a number for a number where there is one output; rows else."""
    got = shared_lab.rows(shared_lab.build(HEAD.replace("record: {every: 1}\n", "") + "schedule: {steps: 0}" + NETWORK))
    assert got["vector"][0].tolist() == [2, 4, 6]
    assert got["number"][0] == 10
    assert got["table"][0].tolist() == [[9], [21], [33]]
    assert got["pair"][0].tolist() == [1, 1]
    assert got["mixed"][0].tolist() == [15, 18, 21]
    assert got["pairs"][0].tolist() == [[1, 1], [2, 2], [3, 3]]


def test_arguments_of_different_lengths_are_refused(lab):
    text = "constants: {c: [1, 2]}\n" + HEAD + "schedule: {steps: 0}" + NETWORK.replace("sum(two(X))", "sum(two(x, c))")
    problem = lab.refused(text.replace("record: {every: 1}\n", "", 1))
    assert "2 and 3" in problem.message


def test_a_derivative_sees_the_dropout_that_the_prediction_saw(shared_lab):
    """A linear network is its slope times its input, mask by mask, and the masks change from step to step."""
    text = """
data: {kind: formula, inputs: {X: "reshape(range(40), [8, 5]) + 1"}}
model: {kind: layers, layers: [{kind: dropout, rate: 0.5}, {kind: dense, units: 1, use_bias: false, kernel: 1}]}
loss: {kind: formula, formula: "mean(prediction**2) + 0 * sum(grad(prediction, X))"}
"""
    formulas = '{gap: "sum(abs(sum(X * grad(prediction, X), axis=1) - prediction[:, 0]))", total: sum(prediction)}'
    head = HEAD.replace("record: {every: 1}", f"record: {{every: 1, formulas: {formulas}}}").replace("0.1}", "0}")
    got = shared_lab.rows(shared_lab.build(f"{head}schedule: {{steps: 4}}\n{text}"))
    assert np.max(got["gap"]) < 1e-10
    assert len(set(got["total"].tolist())) == 5


@pytest.mark.parametrize("more", ["", " + 0 * sum(grad(net(x), x)**2) + 0 * sum(grad(prediction, x))"])
def test_a_derivative_does_not_move_moving_averages(shared_lab, more):
    """After one step of a batch normalization with momentum 0.75 the mean is a quarter of the batch's."""
    text = f"""
data: {{kind: values, inputs: {{x: [1, 2, 6]}}}}
model:
  kind: formula
  networks: {{net: {{kind: layers, layers: [{{kind: batch_normalization, momentum: 0.75}}]}}}}
  formula: net(x)
loss: {{kind: formula, formula: "mean(prediction**2){more}"}}
"""
    built = shared_lab.build(f"{HEAD}schedule: {{steps: 2}}\n{text}")
    state = dict(zip(built.objective.state_names, shared_lab.rows(built)["state"].model_state, strict=True))
    np.testing.assert_allclose(state["net.batch_normalization1.moving_mean"], [3 * (1 - 0.75**2)], rtol=1e-12)


def test_loss_and_prediction_are_differentiated_by_any_name(shared_lab):
    """loss = mean((w x - y)**2): by x, by w, by a constant and by a defined value."""
    text = """
constants: {k: 2}
data: {kind: values, inputs: {x: [1, 2]}, target: [3, 5]}
define: {slope: w * k}
model: {kind: formula, formula: slope * x, parameters: {w: 1}}
loss: mse
"""
    formulas = (
        '{by_x: "grad(loss, x)", by_w: "grad(loss, w)", by_k: "grad(loss, k)", by_slope: "grad(loss, slope)", '
        'twice: "hessian(loss, w)", each: "jacobian(prediction, x)"}'
    )
    head = HEAD.replace("record: {every: 1}", f"record: {{every: 1, formulas: {formulas}}}")
    got = {
        name: values[0].tolist()
        for name, values in shared_lab.rows(shared_lab.build(f"{head}schedule: {{steps: 0}}{text}")).items()
        if name in formulas
    }
    error = np.array([2 * 1 - 3, 2 * 2 - 5])
    assert got["by_x"] == (error * 2).tolist()
    assert got["by_slope"] == np.sum(error * [1, 2])
    assert got["by_w"] == 2 * got["by_slope"]
    assert got["by_k"] == got["by_slope"]
    assert got["twice"] == np.mean(2 * (2 * np.array([1, 2])) ** 2)
    assert got["each"] == [[2, 0], [0, 2]]


def test_an_index_may_be_computed(shared_lab):
    """A number that only the run knows picks an entry of any axis, beside slices and new axes."""
    text = """
constants: {table: "reshape(range(24), [2, 3, 4])"}
define: {k: "floor(step)"}
model: {kind: formula, formula: w**2, parameters: {w: 1}}
"""
    formulas = '{a: "table[:, k]", b: "table[..., k, None]", c: "table[1, k, 1:]", d: "table[k - 1]"}'
    head = HEAD.replace("record: {every: 1}", f"record: {{every: 1, formulas: {formulas}}}")
    got = shared_lab.rows(shared_lab.build(f"{head}schedule: {{steps: 1}}{text}"))
    table = np.arange(24.0).reshape(2, 3, 4)
    for k in (0, 1):
        assert got["a"][k].tolist() == table[:, k].tolist()
        assert got["b"][k].tolist() == table[..., k, None].tolist()
        assert got["c"][k].tolist() == table[1, k, 1:].tolist()
        assert got["d"][k].tolist() == table[k - 1].tolist()


def test_a_weight_of_a_network_that_nothing_depends_on_stays_and_is_told(shared_lab):
    """A loss of slopes does not know the last bias; Keras's optimizers leave such a weight alone, too."""
    text = """
data: {kind: values, inputs: {x: [1, 2, 3]}}
model:
  kind: formula
  networks: {net: {kind: linear, kernel: 3, bias: 7}}
  formula: mean((grad(net(x), x) - 1)**2)
"""
    built = shared_lab.build(f"{HEAD}schedule: {{steps: 1}}\n{text}")
    assert built.warnings == ("the loss does not depend on net.bias: left as it is",)
    got = shared_lab.rows(built)
    assert got["parameters.net.bias"].tolist() == [[7], [7]]
    assert got["parameters.net.kernel"].ravel().tolist() == pytest.approx([3, 3 - 0.1 * 2 * 2])


@pytest.mark.parametrize(
    ("inputs", "formula", "told"),
    [
        ("[[1], [2], [3]]", "w * x", True),
        ("[1, 2, 3]", "w * x", False),
        ("[[1], [2], [3]]", '"(w * x)[:, 0]"', False),
    ],
)
def test_a_column_against_a_vector_in_a_formula_is_told(shared_lab, inputs, formula, told):
    text = f"""
data: {{kind: values, inputs: {{x: {inputs}}}, target: [1, 2, 3]}}
model: {{kind: formula, formula: {formula}, parameters: {{w: 1}}}}
loss: {{kind: formula, formula: mean((prediction - target)**2)}}
"""
    warnings = shared_lab.build(f"{HEAD}schedule: {{steps: 1}}\n{text}").warnings
    assert ["make a table" in warning for warning in warnings] == [True] * told


SADDLE = """
precision: float64
compile: graph
define: {g: x**2 + y**2 - 1}
model:
  kind: formula
  formula: "-(x + y) + m * g - 2 * (m - stop_gradient(m)) * stop_gradient(g)"
  parameters: {x: 0.1, y: 0.5, m: 0.5}
optimizer: {kind: sgd, learning_rate: 0.05, groups: [{parameters: [m], learning_rate: 0.1}]}
schedule: {steps: 2000}
"""


def test_a_multiplier_climbs_while_the_rest_descends_to_the_constrained_maximum(lab):
    """The largest x + y on the unit circle, by gradients that stop_gradient turns round."""
    run = lab.train(SADDLE)
    for name in ("x", "y", "m"):
        np.testing.assert_allclose(run.parameters[name], 0.5**0.5, rtol=1e-9)


NAMES_OF_FUNCTIONS = """
precision: float64
compile: graph
data: {kind: values, inputs: {x: [1.0, 2.0, 6.0]}}
model: {kind: formula, formula: "mean(log(std) + 0.5 * ((x - mean) / std)**2)", parameters: {mean: 2.0, std: 2.0}}
loss: output
optimizer: newton
schedule: {steps: 30}
"""


def test_parameters_may_be_called_mean_and_std(lab):
    run = lab.train(NAMES_OF_FUNCTIONS)
    np.testing.assert_allclose(run.parameters["mean"], 3.0, rtol=1e-9)
    np.testing.assert_allclose(run.parameters["std"], np.std([1, 2, 6]), rtol=1e-9)
