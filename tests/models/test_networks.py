"""Keras layers as functions of their weights. The oracle is Keras: the layers themselves, called."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gdrun.errors import ShapeError
from gdrun.models.keras_initializers import initial_weights
from gdrun.models.keras_network import KerasNetwork
from tests.families import members

# kind -> (settings of the config, shape of one batch, settings of Keras's layer)
CASES = {
    "dense": ({"units": 3, "activation": "tanh"}, (4, 5), None),
    "conv1d": ({"filters": 2, "kernel_size": 3, "padding": "same"}, (4, 6, 2), None),
    "conv2d": ({"filters": 2, "kernel_size": (2, 3), "strides": 2, "use_bias": False}, (4, 6, 6, 1), None),
    "conv2d_transpose": ({"filters": 2, "kernel_size": 3, "strides": 2}, (4, 3, 3, 2), None),
    "max_pooling1d": ({"pool_size": 2}, (4, 6, 2), None),
    "max_pooling2d": ({"pool_size": 2, "strides": 1}, (4, 6, 6, 1), None),
    "average_pooling1d": ({"pool_size": 2}, (4, 6, 2), None),
    "average_pooling2d": ({"pool_size": (3, 2), "padding": "same"}, (4, 6, 6, 1), None),
    "global_average_pooling1d": ({}, (4, 6, 2), None),
    "global_average_pooling2d": ({}, (4, 6, 6, 2), None),
    "global_max_pooling1d": ({}, (4, 6, 2), None),
    "global_max_pooling2d": ({}, (4, 6, 6, 2), None),
    "up_sampling2d": ({"size": 2}, (4, 2, 3, 1), None),
    "zero_padding2d": ({"padding": 2}, (4, 2, 3, 1), None),
    "simple_rnn": ({"units": 3}, (4, 5, 2), {"units": 3, "seed": 7000}),
    "gru": ({"units": 3, "return_sequences": True}, (4, 5, 2), {"units": 3, "return_sequences": True, "seed": 7000}),
    "lstm": ({"units": 3, "dropout": 0.3}, (4, 5, 2), {"units": 3, "dropout": 0.3, "seed": 7000}),
    "flatten": ({}, (4, 3, 2), None),
    "reshape": ({"target_shape": (3, -1)}, (4, 6), None),
    "activation": ({"activation": "gelu"}, (4, 5), None),
    "dropout": ({"rate": 0.4}, (4, 50), {"rate": 0.4, "seed": 7000}),
    "gaussian_noise": ({"stddev": 0.4}, (4, 50), {"stddev": 0.4, "seed": 7000}),
    "batch_normalization": ({"momentum": 0.7}, (4, 5), None),
    "layer_normalization": ({"epsilon": 0.1}, (4, 5), None),
    "embedding": ({"input_dim": 9, "output_dim": 3}, (4, 2), None),
    "rescaling": ({"scale": 0.5, "offset": -1.0}, (4, 5), None),
}


def batch_for(kind, shape):
    random = np.random.default_rng(1)
    return random.integers(0, 9, shape) if kind == "embedding" else random.normal(size=shape).astype(np.float32)


LAYERS = members("layers")


def network_of(layers, **arguments):
    """The network of (kind, settings)."""
    return KerasNetwork([LAYERS[kind](kind=kind, **settings) for kind, settings in layers], **arguments)


def test_every_layer_is_tested_here():
    assert LAYERS.keys() == CASES.keys()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", CASES)
def test_a_layer_computes_what_keras_computes(tensorflow, kind, training):
    """Output and state, to the last bit; random layers by the same seed."""
    settings, shape, own = CASES[kind]
    network = network_of([(kind, settings)], input_shape=(None, *shape[1:]), seed=7)
    layer = getattr(keras.layers, LAYERS[kind].keras_name or LAYERS[kind].__name__)(
        **(settings if own is None else own)
    )
    layer.build((None, *shape[1:]))
    for variable, value in zip(layer.trainable_variables, network.parameters.values(), strict=True):
        variable.assign(value)
    x = tf.constant(batch_for(kind, shape))
    parameters = {name: tf.constant(value) for name, value in network.parameters.items()}
    state = {name: tf.constant(value) for name, value in network.state.items()}
    y, new = network.call(parameters, state, x, training=training)
    expected = layer(x, training=training) if layer._call_has_training_arg else layer(x)
    np.testing.assert_array_equal(y, expected)
    assert (None, *y.shape[1:]) == tuple(network.output_shape)
    for name, variable in zip(network.state, layer.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(new.get(name, state[name]), variable, err_msg=name)


def test_parameters_are_called_by_kind_and_number(tensorflow):
    layers = [("dense", {"units": 3}), ("batch_normalization", {}), ("dropout", {"rate": 0.1}), ("dense", {"units": 2})]
    network = network_of(layers, input_shape=(None, 4))
    assert {name: value.shape for name, value in network.parameters.items()} == {
        "dense1.kernel": (4, 3),
        "dense1.bias": (3,),
        "batch_normalization1.gamma": (3,),
        "batch_normalization1.beta": (3,),
        "dense2.kernel": (3, 2),
        "dense2.bias": (2,),
    }
    assert list(network.state) == [
        "batch_normalization1.moving_mean",
        "batch_normalization1.moving_variance",
        "dropout1.seed_generator_state",
    ]
    assert network.output_shape == (None, 2)
    assert not network.convolutional
    flat = network_of([("dense", {"units": 2})], input_shape=(None, 4), flat_names=True)
    assert list(flat.parameters) == ["kernel", "bias"]


def test_initial_weights_are_numbers_arrays_or_draws_by_the_seed(tensorflow):
    kernel = [[1.0, 2.0], [3.0, 4.0]]

    def weights(seed=0, **settings):
        network = network_of([("dense", {"units": 2, **settings})] * 2, input_shape=(None, 2), seed=seed)
        return network.parameters

    given = weights(kernel=kernel, bias=0.5)
    np.testing.assert_array_equal(given["dense1.kernel"], kernel)
    np.testing.assert_array_equal(given["dense1.bias"], [0.5, 0.5])
    drawn, again, other = weights(kernel="he_normal"), weights(kernel="he_normal"), weights(1, kernel="he_normal")
    np.testing.assert_array_equal(drawn["dense1.kernel"], again["dense1.kernel"])
    assert not np.array_equal(drawn["dense1.kernel"], drawn["dense2.kernel"])
    assert not np.array_equal(drawn["dense1.kernel"], other["dense1.kernel"])
    expected = keras.initializers.HeNormal(seed=0)((2, 2))
    np.testing.assert_array_equal(drawn["dense1.kernel"], expected)
    both = weights(kernel="random_normal", bias="random_normal")
    assert not np.array_equal(both["dense1.kernel"][0], both["dense1.bias"])


def test_initial_weights_of_a_shape(tensorflow):
    np.testing.assert_array_equal(initial_weights(2.5, (2, 3)), np.full((2, 3), 2.5))
    np.testing.assert_array_equal(initial_weights("ones", (3,)), np.ones(3))
    assert initial_weights("glorot_uniform", (4, 4), seed=1).dtype == np.float64
    with pytest.raises(ShapeError, match=r"\(2,\).*\(3,\)"):
        initial_weights([1, 2], (3,))


def test_a_frozen_layer_is_named(tensorflow):
    layers = [("dense", {"units": 3, "trainable": False}), ("dense", {"units": 1})]
    assert network_of(layers, input_shape=(None, 2)).frozen == {"dense1.kernel", "dense1.bias"}


def test_weights_have_the_precision_of_the_run(tensorflow):
    network = network_of([("dense", {"units": 3}), ("batch_normalization", {})], input_shape=(None, 2), dtype="float64")
    assert {value.dtype.name for value in (*network.parameters.values(), *network.state.values())} == {"float64"}


@pytest.mark.parametrize(
    ("layers", "parts"),
    [
        ([("dense", {"units": 2}), ("conv1d", {"filters": 1, "kernel_size": 2})], ["conv1d1", "(n, 2)"]),
        ([("reshape", {"target_shape": (4,)})], ["reshape1", "(n, 3)"]),
        ([("dense", {"units": 2, "kernel": [[1.0, 2.0]]})], ["(1, 2)", "(3, 2)"]),
        ([("flatten", {}), ("max_pooling2d", {})], ["max_pooling2d1", "(n, 3)"]),
    ],
)
def test_layers_that_do_not_fit_are_refused_by_name_and_shape(tensorflow, layers, parts):
    with pytest.raises(ShapeError) as caught:
        network_of(layers, input_shape=(None, 3))
    for part in parts:
        assert part in caught.value.message
    assert caught.value.within[:2] == ("layers", len(layers) - 1)


def test_rows_are_shaped_and_other_shapes_refused(tensorflow):
    network = network_of([("max_pooling1d", {})], input_shape=(None, 2, 2))
    rows = tf.constant([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    y, _ = network.call({}, {}, rows, training=False)
    assert y.numpy().tolist() == [[[3, 4]], [[7, 8]]]
    for wrong in (rows[:, :3], rows[:, None]):
        with pytest.raises(ShapeError, match=r"\(n, 2, 2\)"):
            network.call({}, {}, wrong, training=False)


def test_torch_linear_is_uniform_within_one_over_the_root_of_the_inputs(lab):
    """Kernel and bias of torch.nn.Linear(16, 400): variance 1 / (3 * 16), no number beyond 1 / 4."""
    text = """
data: {kind: formula, inputs: {x: "normal(0, 1, [5, 16])"}, target: "x[:, 0]"}
model: {kind: mlp, hidden: [400], kernel_initializer: torch_linear, bias_initializer: torch_linear}
loss: {kind: formula, formula: "mean((prediction[:, 0] - target)**2)"}
optimizer: sgd
schedule: {steps: 1}
"""
    built = lab.build(text)
    values = dict(zip(built.objective.trainable_names, built.state.parameters, strict=True))
    for name, inputs in (("dense1.kernel", 16), ("dense1.bias", 16), ("dense2.kernel", 400)):
        numbers = np.asarray(values[name]).ravel()
        assert np.max(np.abs(numbers)) <= 1 / np.sqrt(inputs)
        np.testing.assert_allclose(np.var(numbers), 1 / (3 * inputs), rtol=0.2)
    assert not np.allclose(values["dense1.bias"], values["dense1.kernel"][0])


def test_torch_linear_needs_a_kernel(lab):
    text = "model: {kind: formula, formula: sum(b**2), parameters: {b: {init: torch_linear, shape: SHAPE}}}\n"
    text += "optimizer: sgd\nschedule: {steps: 1}\n"
    assert "draws a kernel (inputs, outputs), not (3,)" in lab.refused(text.replace("SHAPE", "[3]")).message
    lab.build(text.replace("SHAPE", "[3, 1]"))
