"""What models predict. Oracles: closed forms and NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from gdrun.errors import ConfigError
from gdrun.models.keras_network import joined

HEAD = """
precision: float64
compile: graph
data: {kind: values, inputs: INPUTS, target: [1, 2, 3]}
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {steps: 0}
record: {formulas: {p: prediction}}
"""


def predictions(lab, inputs, model, overrides=()):
    return lab.rows(lab.build(HEAD.replace("INPUTS", inputs) + f"model: {model}\n", overrides))["p"][0]


def test_a_polynomial_is_that_of_numpy(lab):
    x, coefficients = [-1.5, 0.5, 2], [3, -2, 0.5, 0.25]
    for degree in range(4):
        model = f"{{kind: polynomial, degree: {degree}, coefficients: {coefficients[: degree + 1]}}}"
        expected = np.polynomial.polynomial.polyval(x, coefficients[: degree + 1])
        np.testing.assert_allclose(predictions(lab, f"{{x: {x}}}", model), expected, rtol=1e-15)


def test_inputs_are_joined_in_the_order_written(lab):
    inputs = "{b: [1, 2, 3], a: [[10, 20], [30, 40], [50, 60]]}"
    model = "{kind: linear, kernel: [[1], [0.5], [0.25]], bias: [7]}"
    got = predictions(lab, inputs, model)
    b, a = np.asarray([1.0, 2, 3]), np.asarray([[10.0, 20], [30, 40], [50, 60]])
    np.testing.assert_array_equal(got, (b + 0.5 * a[:, 0] + 0.25 * a[:, 1] + 7)[:, None])


def test_a_multilayer_perceptron_is_its_matrix_products(lab):
    model = "{kind: mlp, hidden: [4, 3], activation: tanh, outputs: 2, output_activation: sigmoid}"
    text = HEAD.replace("INPUTS", "{x: [1, 2, 3]}") + f"model: {model}\n"
    built = lab.build(text, ["data.target=[[1, 0], [0, 1], [1, 1]]"])
    w = dict(zip(built.objective.trainable_names, (value.numpy() for value in built.state.parameters), strict=True))
    h = np.asarray([[1.0], [2], [3]])
    for number in (1, 2):
        h = np.tanh(h @ w[f"dense{number}.kernel"] + w[f"dense{number}.bias"])
    expected = 1 / (1 + np.exp(-(h @ w["dense3.kernel"] + w["dense3.bias"])))
    np.testing.assert_allclose(lab.rows(built)["p"][0], expected, rtol=1e-14)


def test_layers_take_an_input_of_several_axes_as_it_is(lab):
    inputs = "{x: [[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[0, 1], [1, 0]]]}"
    model = "{kind: layers, layers: [{kind: flatten}, {kind: dense, units: 1, kernel: [[1], [10], [100], [1000]]}]}"
    np.testing.assert_array_equal(predictions(lab, inputs, model)[:, 0], [4321, 8765, 110])


def test_input_shape_shapes_the_examples(lab):
    inputs = "{x: [[1, 2, 3, 4], [5, 6, 7, 8], [0, 1, 1, 0]]}"
    layers = "[{kind: max_pooling1d}, {kind: flatten}, {kind: dense, units: 1, kernel: [[1], [10]]}]"
    got = predictions(lab, inputs, f"{{kind: layers, input_shape: [2, 2], layers: {layers}}}")
    np.testing.assert_array_equal(got[:, 0], [3 + 40, 7 + 80, 1 + 10])


def test_a_frozen_layer_keeps_its_weights(lab):
    layers = "[{kind: dense, units: 2, trainable: false}, {kind: dense, units: 1}]"
    text = HEAD.replace("INPUTS", "{x: [1, 2, 3]}") + f"model: {{kind: layers, layers: {layers}}}\n"
    rows = lab.rows(lab.build(text, ["steps=3", "record.parameters=true"]))
    assert len(np.unique(rows["parameters.dense1.kernel"], axis=0)) == 1
    assert len(np.unique(rows["parameters.dense2.kernel"], axis=0)) == 4


def test_initial_values_are_drawn_by_name_and_seed(lab):
    model = "{kind: formula, formula: sum(a) + sum(b) + x, parameters: {PARAMETERS}}"
    a, b = 'a: {init: "normal(0, 0.1)", shape: [3]}', "b: {init: glorot_uniform, shape: [2, 2]}"

    def start(parameters, seed):
        text = HEAD.replace("INPUTS", "{x: [1, 2, 3]}") + f"model: {model.replace('PARAMETERS', parameters)}\n"
        built = lab.build(text, [f"seed={seed}"])
        return dict(
            zip(built.objective.trainable_names, (value.numpy() for value in built.state.parameters), strict=True)
        )

    one, swapped, other = start(f"{a}, {b}", 0), start(f"{b}, {a}", 0), start(f"{a}, {b}", 1)
    for name in ("a", "b"):
        np.testing.assert_array_equal(one[name], swapped[name])
        assert not np.array_equal(one[name], other[name])
    assert np.abs(one["a"]).max() < 1
    assert one["b"].shape == (2, 2)


def test_columns_are_joined_to_rows(tensorflow):
    joint = joined([tf.constant([1.0, 2]), tf.constant([[3.0, 4], [5, 6]])])
    assert joint.numpy().tolist() == [[1, 3, 4], [2, 5, 6]]
    assert joined([tf.constant([1.0, 2])]).shape == (2, 1)


BLOCKS = """
precision: float64
compile: graph
data: {kind: values, inputs: {x: [-1, 0.5, 2]}, target: [1, 2, 3]}
define: {h: {start: "enter(x)", repeat: "h + blocks[i](h)", times: 12}}
model:
  kind: formula
  networks:
    enter: {kind: linear, outputs: 2}
    blocks: {count: 12, kind: mlp, hidden: [3], activation: tanh, outputs: 2, bias_initializer: "normal(0, 1)"}
  formula: h[:, 0] + blocks[-1](h)[:, 1]
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {steps: 0}
record: {formulas: {p: prediction}}
"""


def test_a_list_of_networks_is_called_by_number_in_loops_of_any_length(lab):
    """A loop of more than 8 rounds knows its counter only while it runs."""
    built = lab.build(BLOCKS)
    w = dict(zip(built.objective.trainable_names, (value.numpy() for value in built.state.parameters), strict=True))

    def block(number, h):
        own = {name: w[f"blocks.{number}.dense{name}"] for name in ("1.kernel", "1.bias", "2.kernel", "2.bias")}
        return np.tanh(h @ own["1.kernel"] + own["1.bias"]) @ own["2.kernel"] + own["2.bias"]

    h = np.asarray([[-1.0], [0.5], [2]]) @ w["enter.kernel"] + w["enter.bias"]
    for number in range(12):
        h = h + block(number, h)
    np.testing.assert_allclose(lab.rows(built)["p"][0], h[:, 0] + block(11, h)[:, 1], rtol=1e-12)
    assert not np.array_equal(w["blocks.0.dense1.bias"], w["blocks.1.dense1.bias"])


def test_a_network_of_a_list_is_chosen_by_a_value_of_the_run(lab):
    text = """
precision: float64
compile: graph
data: {kind: values, inputs: {x: [-1, 0.5, 2]}, target: [1, 2, 3]}
model:
  kind: formula
  networks: {experts: {count: 3, kind: linear, kernel: "normal(0, 1)"}}
  parameters: {gate: {value: [0, 0, 1.5], trainable: false}}
  formula: experts[argmax(gate)](x)
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 2}
record: {parameters: true}
"""
    rows = lab.rows(lab.build(text))
    moved = {name: not np.array_equal(values[0], values[-1]) for name, values in rows.items() if "kernel" in name}
    assert moved == {f"parameters.experts.{k}.kernel": k == 2 for k in range(3)}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("blocks[i](h)", "blocks(h)", "blocks is a list of 12 networks"),
        ("blocks[i](h)", "blocks[i + 1](h)", r"there is no blocks\[12\]"),
        ("times: 12", "times: 9", "network 'blocks.9' is never called"),
        ("enter(x)", "enter[0](x)", "enter is one network"),
        ("hidden: [3]", "hidden: [-3]", "must be at least 1"),
        ('"normal(0, 1)"', "he_normla", "unknown name 'he_normla'"),
        ('"normal(0, 1)"', '"normal(0, 1, 7)"', r"the values have shape \(7,\), but \(3,\)"),
    ],
)
def test_calls_of_a_list_that_do_not_fit_are_refused(lab, old, new, message):
    with pytest.raises(ConfigError, match=message):
        lab.build(BLOCKS.replace(old, new))
