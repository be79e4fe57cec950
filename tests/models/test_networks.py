"""Keras layers as functions of their weights. The oracle is Keras: the layers themselves, called."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gdrun.errors import ShapeError
from gdrun.models.initial import InitialContext, NormalInitializer, UniformInitializer, VarianceScaling
from gdrun.models.keras_initializers import initial_weights
from gdrun.models.keras_network import KerasNetwork
from gdrun.models.layers.base import graph_problems
from gdrun.models.networks import LinearNetwork, MlpNetwork
from gdrun.random_streams import integer_seed
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
    "bidirectional": (
        {"layer": {"kind": "gru", "units": 3, "return_sequences": True}},
        (4, 5, 2),
        {
            "layer": keras.layers.GRU(3, return_sequences=True, seed=7000),
            "backward_layer": keras.layers.GRU(
                3, return_sequences=True, go_backwards=True, seed=integer_seed(7000, "backward")
            ),
        },
    ),
    "separable_conv1d": ({"filters": 2, "kernel_size": 3, "depth_multiplier": 2}, (4, 6, 2), None),
    "separable_conv2d": ({"filters": 3, "kernel_size": 2, "padding": "same", "activation": "relu"}, (4, 5, 5, 2), None),
    "multi_head_attention": (
        {"num_heads": 2, "key_dim": 3, "dropout": 0.3},
        (4, 5, 6),
        {"num_heads": 2, "key_dim": 3, "dropout": 0.3, "seed": 7000},
    ),
    "add": ({"inputs": ("previous", "input")}, (4, 5), {}),
    "multiply": ({"inputs": ("previous", "input", "input")}, (4, 5), {}),
    "concatenate": ({"inputs": ("previous", "input"), "axis": 1}, (4, 3, 2), {"axis": 1}),
    "leaky_relu": ({"negative_slope": 0.1}, (4, 5), None),
    "masking": ({"mask_value": 0.5}, (4, 5, 2), None),
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
    section = LAYERS[kind](kind=kind, **settings)
    num_inputs = len(section.inputs or "1")
    layer.build(*section.arguments([(None, *shape[1:])] * num_inputs))
    for variable, value in zip(layer.trainable_variables, network.parameters.values(), strict=True):
        variable.assign(value)
    x = tf.constant(batch_for(kind, shape))
    parameters = {name: tf.constant(value) for name, value in network.parameters.items()}
    state = {name: tf.constant(value) for name, value in network.state.items()}
    y, new = network.call(parameters, state, x, training=training)
    arguments = section.arguments([x] * num_inputs)
    expected = layer(*arguments, training=training) if layer._call_has_training_arg else layer(*arguments)
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


EMBEDDED = ("embedding", {"input_dim": 9, "output_dim": 4, "mask_zero": True})
LSTM = {"kind": "lstm", "units": 3}


@pytest.mark.filterwarnings("ignore:Layer 'conv1d")
@pytest.mark.parametrize(
    "layers",
    [
        [EMBEDDED, ("lstm", {"units": 3}), ("dense", {"units": 2})],
        [EMBEDDED, ("dropout", {"rate": 0.5}), ("bidirectional", {"layer": {**LSTM, "return_sequences": True}})],
        [EMBEDDED, ("multi_head_attention", {"num_heads": 2, "key_dim": 3}), ("global_average_pooling1d", {})],
        [EMBEDDED, ("multi_head_attention", {"num_heads": 2, "key_dim": 3, "causal": True}), ("gru", {"units": 2})],
        [
            EMBEDDED,
            ("dense", {"units": 4, "inputs": ("embedding1",)}),
            ("multi_head_attention", {"num_heads": 1, "key_dim": 3, "inputs": ("dense1", "embedding1", "dense1")}),
            ("add", {"inputs": ("previous", "dense1")}),
            ("concatenate", {"inputs": ("previous", "embedding1")}),
            ("layer_normalization", {}),
            ("simple_rnn", {"units": 2}),
        ],
        [EMBEDDED, ("conv1d", {"filters": 2, "kernel_size": 1}), ("gru", {"units": 2})],  # a convolution has no mask
    ],
)
def test_masks_reach_the_layers_below_as_in_keras(tensorflow, layers):
    """The oracle is Keras's functional model, which hands masks on by itself."""
    network = network_of(layers, input_shape=(None, 5), seed=3)
    x = tf.constant([[1.0, 2, 3, 0, 0], [4, 5, 6, 7, 8], [1, 0, 2, 0, 3]])
    y, _ = network.call(network.parameters, network.state, x, training=False)
    np.testing.assert_allclose(y, network.to_keras(network.parameters)(x), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("layer", [("lstm", {"units": 3}), ("bidirectional", {"layer": {"kind": "gru", "units": 2}})])
def test_a_padded_sequence_ends_like_the_sequence_itself(tensorflow, layer):
    padded, short = tf.constant([[3.0, 1, 0, 0]]), tf.constant([[3.0, 1]])
    results = []
    for x in (padded, short):
        network = network_of([EMBEDDED, layer], input_shape=(None, x.shape[1]), seed=3)
        results.append(network.call(network.parameters, network.state, x, training=False)[0])
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_masked_steps_are_those_of_the_value(tensorflow):
    network = network_of([("masking", {"mask_value": 0.5}), ("simple_rnn", {"units": 2})], input_shape=(None, 3, 1))
    x, cut = tf.constant([[[1.0], [2], [0.5]]]), tf.constant([[[1.0], [2], [0.25]]])
    ends = [network.call(network.parameters, network.state, value, training=False)[0] for value in (x, cut)]
    w, u = network.parameters["simple_rnn1.kernel"], network.parameters["simple_rnn1.recurrent_kernel"]
    second = np.tanh(2 * w[0] + np.tanh(w[0]) @ u)
    np.testing.assert_allclose(ends[0][0], second, rtol=1e-5)
    np.testing.assert_allclose(ends[1][0], np.tanh(0.25 * w[0] + second @ u), rtol=1e-5)


def test_a_residual_network_adds_what_a_layer_above_gave(tensorflow):
    layers = [
        ("dense", {"units": 3, "activation": "tanh", "name": "skip"}),
        ("dense", {"units": 3, "activation": "tanh"}),
        ("add", {"inputs": ("previous", "skip")}),
        ("concatenate", {"inputs": ("add1", "input")}),
    ]
    network = network_of(layers, input_shape=(None, 2), seed=5)
    w = network.parameters
    assert list(w) == ["skip.kernel", "skip.bias", "dense2.kernel", "dense2.bias"]
    x = np.asarray([[1.0, 2], [3, -1]], np.float32)
    skip = np.tanh(x @ w["skip.kernel"])
    expected = np.concatenate([skip + np.tanh(skip @ w["dense2.kernel"]), x], axis=1)
    y, _ = network.call(w, {}, tf.constant(x), training=False)
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    np.testing.assert_allclose(network.to_keras(w)(x), expected, rtol=1e-5)
    assert network.output_shape == (None, 5)


@pytest.mark.parametrize(
    ("layers", "message", "within"),
    [
        ([("dense", {"units": 1}), ("add", {"inputs": ("previous", "desne1")})], "no layer 'desne1'", (1, "inputs", 1)),
        ([("add", {"inputs": ("input", "dense1")}), ("dense", {"units": 1})], "comes only below", (0, "inputs", 1)),
        ([("dense", {"units": 1}), ("add", {})], "add takes 2 or more inputs, not 1", (1,)),
        ([("flatten", {"inputs": ("input", "previous")})], "flatten takes 1 input, not 2", (0, "inputs")),
        ([("flatten", {"name": "a"}), ("flatten", {"name": "a"})], "'a' is taken", (0, "name")),
        ([("flatten", {"name": "input"})], "'input' is taken", (0, "name")),
        ([("dense", {"units": 1}), ("dense", {"units": 1, "inputs": ("input",)})], "nothing takes the output", (0,)),
    ],
)
def test_a_graph_of_layers_that_does_not_fit_together_is_refused_at_the_layer(layers, message, within):
    sections = [LAYERS[kind](kind=kind, **settings) for kind, settings in layers]
    problem = next(graph_problems(sections, ()))
    assert message in problem.message
    assert problem.path == within


def test_two_branches_that_are_joined_are_no_problem():
    layers = [
        ("dense", {"units": 2, "name": "a"}),
        ("dense", {"units": 2, "inputs": ("input",)}),
        ("add", {"inputs": ("a", "previous")}),
    ]
    assert not list(graph_problems([LAYERS[kind](kind=kind, **settings) for kind, settings in layers], ()))


def test_weights_of_one_name_have_that_of_their_part_and_are_drawn_independently(tensorflow):
    layers = [
        ("multi_head_attention", {"num_heads": 2, "key_dim": 3}),
        ("bidirectional", {"layer": {**LSTM, "dropout": 0.1}}),
    ]
    network = network_of(layers, input_shape=(None, 5, 6))
    names = [name for name in network.parameters if name.endswith(".kernel")]
    assert names == [
        *(f"multi_head_attention1.{part}.kernel" for part in ("query", "key", "value", "attention_output")),
        *(f"bidirectional1.{part}.kernel" for part in ("forward", "backward")),
    ]
    for one, other in ((names[0], names[1]), (names[1], names[2]), (names[4], names[5])):
        assert not np.array_equal(network.parameters[one], network.parameters[other])
    for part in ("forward", "backward"):
        np.testing.assert_array_equal(network.parameters[f"bidirectional1.{part}.bias"], [0] * 3 + [1] * 3 + [0] * 6)
    assert len(network.state) == 2


def test_initializers_take_their_settings_as_keras_does(tensorflow):
    shape = (3, 4)
    cases = [
        (NormalInitializer(kind="normal", deviation=0.02), keras.initializers.RandomNormal(0.0, 0.02, seed=5)),
        (UniformInitializer(kind="uniform", low=0, high=2), keras.initializers.RandomUniform(0, 2, seed=5)),
        (VarianceScaling(kind="variance_scaling", scale=2), keras.initializers.VarianceScaling(2, seed=5)),
    ]
    for section, expected in cases:
        np.testing.assert_array_equal(initial_weights(section, shape, seed=5, dtype="float32"), expected(shape))


def test_torch_linear_fills_the_range_of_one_over_the_root_of_the_inputs(tensorflow):
    section = MlpNetwork(
        kind="mlp", hidden=(400,), outputs=50, kernel_initializer="torch_linear", bias_initializer="torch_linear"
    )
    network = section.build_network((None, 25), seed=1, precision="float64", context=InitialContext())
    for name, num_inputs in (("dense1", 25), ("dense2", 400)):
        for weight in ("kernel", "bias"):
            values, limit = network.parameters[f"{name}.{weight}"], num_inputs**-0.5
            assert np.abs(values).max() <= limit
            # The deviation of a uniform number; the bound is four of its standard errors.
            assert abs(np.std(values) / (limit / 3**0.5) - 1) < 4 * 0.45 / values.size**0.5


def test_initial_weights_by_formula_see_constants_and_draw_the_weights_shape(tensorflow):
    def kernels(seed):
        section = LinearNetwork(kind="linear", outputs=3, kernel="scale * normal(0, 1)", bias="[scale, 0, 1]")
        context = InitialContext({"scale": np.asarray(0.5)})
        return section.build_network((None, 200), seed=seed, precision="float64", context=context).parameters

    drawn, again, other = kernels(1), kernels(1), kernels(2)
    np.testing.assert_array_equal(drawn["bias"], [0.5, 0, 1])
    np.testing.assert_array_equal(drawn["kernel"], again["kernel"])
    assert not np.array_equal(drawn["kernel"], other["kernel"])
    assert abs(np.std(drawn["kernel"]) - 0.5) < 4 * 0.5 / 1200**0.5


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
