"""What is minimised. Oracles: closed forms."""

import numpy as np
import pytest
import tensorflow as tf

HEAD = "precision: float64\ncompile: graph\nschedule: {steps: 3}\nrecord: {every: 1, gradients: true}\n"
SGD = "optimizer: {kind: sgd, learning_rate: 0.25}\n"


def rows(lab, text, overrides=()):
    return lab.rows(lab.build(HEAD + text, overrides))


def test_l1_and_l2_add_their_gradients(lab):
    """d/dw (l1 |w| + l2 w**2) = l1 sign(w) + 2 l2 w, beside the loss's own."""
    text = """
model: {kind: formula, formula: sum(w) + v, parameters: {w: [1.5, -2, 0.5], v: 3}}
loss: {kind: output, penalty: {l1: 0.25, l2: 0.125, of: [w]}}
"""
    got = rows(lab, text + SGD)
    w = np.asarray([1.5, -2, 0.5])
    for step in range(3):
        np.testing.assert_allclose(got["parameters.w"][step], w, rtol=1e-15)
        np.testing.assert_allclose(got["gradients.w"][step], 1 + 0.25 * np.sign(w) + 0.25 * w, rtol=1e-15)
        assert got["gradients.v"][step] == 1
        value = w.sum() + got["parameters.v"][step] + 0.25 * np.abs(w).sum() + 0.125 * (w**2).sum()
        np.testing.assert_allclose(got["loss"][step], value, rtol=1e-15)
        w = w - 0.25 * got["gradients.w"][step]


@pytest.mark.parametrize("transform", ["exp", "softplus", "sigmoid"])
def test_a_transformed_parameter_moves_by_the_chain_rule(lab, transform):
    """loss = 3 w, so d loss / d raw = 3 T'(raw); rows show T(raw)."""
    text = "model: {kind: formula, formula: 3*w, parameters: {w: {raw: -0.5, transform: TRANSFORM}}}\n"
    got = rows(lab, text.replace("TRANSFORM", transform) + SGD)
    value = {"exp": np.exp, "softplus": lambda r: np.logaddexp(0, r), "sigmoid": lambda r: 1 / (1 + np.exp(-r))}[
        transform
    ]
    slope = {
        "exp": np.exp,
        "softplus": lambda r: 1 / (1 + np.exp(-r)),
        "sigmoid": lambda r: np.exp(-r) / (1 + np.exp(-r)) ** 2,
    }[transform]
    raw = -0.5
    for step in range(4):
        np.testing.assert_allclose(got["parameters.w"][step], value(raw), rtol=1e-14)
        np.testing.assert_allclose(got["gradients.w"][step], 3 * slope(raw), rtol=1e-14)
        raw -= 0.25 * 3 * slope(raw)


def test_a_parameter_that_is_not_trained_stays_and_is_seen(lab):
    text = "model: {kind: formula, formula: (w - c)**2, parameters: {w: 1, c: {value: 3, trainable: false}}}\n"
    got = rows(lab, text + SGD)
    assert got["parameters.c"].tolist() == [3] * 4
    assert got["parameters.w"].tolist() == [1, 2, 2.5, 2.75]
    assert "gradients.c" not in got


def test_definitions_constants_step_and_epoch_are_seen_by_formulas(lab):
    text = """
constants: {a: 2, b: a + 1}
data: {kind: values, inputs: {x: [1, 2, 3]}, target: [1, 2, 3]}
define: {h: a * x * w, k: h + b}
model: {kind: formula, formula: k, parameters: {w: 1}}
loss: {kind: formula, formula: "sum(prediction * 0 + k - h) + 0*w + 10*step + 100*epoch"}
"""
    formulas = "record.formulas={m: mean(k), n: loss + gradient_norm, r: learning_rate}"
    got = rows(lab, text + SGD, ["schedule.batch_size=2", "schedule.order=sequential", formulas])
    np.testing.assert_array_equal(got["loss"], [6, 3 + 10, 6 + 20 + 100, 3 + 30 + 100])
    np.testing.assert_array_equal(got["m"], [2 * 1.5 + 3, 2 * 3 + 3, 2 * 1.5 + 3, 2 * 3 + 3])
    np.testing.assert_array_equal(got["n"], got["loss"])
    np.testing.assert_array_equal(got["r"], [0.25] * 4)


def test_several_outputs_are_named_in_loss_and_rows(lab):
    text = """
data: {kind: values, inputs: {x: [1, 2]}, target: [3, 5]}
model: {kind: formula, formula: {double: 2*x*w, plus: 2*x*w + b}, parameters: {w: 1, b: 0}}
loss: {kind: formula, formula: mean((plus - target)**2)}
record: {every: 1, formulas: {d: sum(double), p: sum(plus)}}
"""
    head = HEAD.replace("record: {every: 1, gradients: true}\n", "")
    got = lab.rows(lab.build(head + text + SGD))
    assert got["loss"][0] == 1
    assert (got["d"][0], got["p"][0]) == (6, 6)


NETWORKS = """
precision: float64
compile: graph
data: {kind: formula, inputs: {x: "linspace(-1, 1, 8)"}, target: x**2}
model:
  kind: formula
  networks: {net: {kind: mlp, hidden: [4], activation: tanh}}
  parameters: {s: 2}
  formula: s * net(x) + net(-x)
loss: mse
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 4}
record: {every: 1, parameters: true}
"""


def test_a_network_in_a_formula_is_its_layers_and_shares_its_weights(lab, tape_loop):
    got = lab.rows(lab.build(NETWORKS))
    import keras

    x = np.linspace(-1, 1, 8)

    def loss(_, *, s, k1, b1, k2, b2):
        def net(x):
            return (tf.tanh(x[:, None] @ k1 + b1) @ k2 + b2)[:, 0]

        return tf.reduce_mean((s * net(tf.constant(x)) + net(tf.constant(-x)) - x**2) ** 2)

    names = {"k1": "net.dense1.kernel", "b1": "net.dense1.bias", "k2": "net.dense2.kernel", "b2": "net.dense2.bias"}
    start = {"s": 2.0} | {short: got[f"parameters.{name}"][0] for short, name in names.items()}
    trace = tape_loop(loss, start, lambda: keras.optimizers.SGD(0.1), [None] * 4, "float64")
    for short, name in names.items():
        np.testing.assert_allclose(got[f"parameters.{name}"], trace[short], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(got["parameters.s"], trace["s"], rtol=1e-14)


DRAWS = """
compile: graph
precision: float64
data: {kind: values, inputs: {x: [1, 2, 3, 4]}, target: [1, 2, 3, 4]}
model: {kind: formula, formula: w * x, parameters: {w: 0}}
loss: {kind: formula, formula: "mean((prediction - target + normal(0, 1, 4))**2)"}
optimizer: {kind: sgd, learning_rate: 0}
schedule: {steps: 6}
record: {every: 1}
"""


def test_draws_differ_from_step_to_step_and_come_again_with_the_seed(lab):
    """The rate is 0, so that only the draws differ. A row and the update after it see the same draw."""
    built = lab.build(DRAWS)
    first, again = lab.rows(built), lab.rows(built)
    other = lab.rows(lab.build(DRAWS, ["seed=1"]), program=built.program)
    assert len(set(first["loss"].tolist())) == 7
    np.testing.assert_array_equal(first["loss"], again["loss"])
    np.testing.assert_array_equal(first["loss"][:-1], first["loss_before"][1:])
    assert not set(first["loss"].tolist()) & set(other["loss"].tolist())


def test_data_needs_no_target(lab):
    text = """
data: {kind: values, inputs: {x: [1, 2, 4, 9]}}
model: {kind: formula, formula: x - m, parameters: {m: 0}}
loss: {kind: formula, formula: mean(prediction**2)}
optimizer: {kind: sgd, learning_rate: 0.5}
"""
    got = rows(lab, text, ["schedule.batch_size=2", "schedule.order=sequential"])
    assert got["parameters.m"].tolist() == [0, 1.5, 6.5, 1.5]
    assert rows(lab, text)["parameters.m"].tolist() == [0, 4, 4, 4]
