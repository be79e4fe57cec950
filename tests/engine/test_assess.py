"""Losses and metrics over whole data sets. The oracle is NumPy, the model in inference mode."""

import numpy as np
import tensorflow as tf

TEXT = """
precision: float64
compile: graph
seed: 1
data: {kind: moons, size: 20, noise: 0.1, validation: 0.25}
model:
  kind: layers
  layers: [{kind: dense, units: 3}, {kind: batch_normalization, momentum: 0.5}, {kind: dropout, rate: 0.5}, {kind: dense, units: 1}]
loss: {kind: squared_error, penalty: {l2: 0.125, of: [dense2.kernel]}}
metrics: [mae, {name: spread, formula: "max(prediction) - min(prediction)"}]
optimizer: {kind: sgd, learning_rate: 0.05}
schedule: {epochs: 3, batch_size: 4}
record: {every: epoch, parameters: true}
"""  # noqa: E501


def test_dropout_is_off_and_moving_averages_are_used(lab):
    built = lab.build(TEXT)
    rows = lab.rows(built)
    state = rows["state"]
    w = dict(zip(built.objective.trainable_names, (value.numpy() for value in state.parameters), strict=True))
    average = dict(zip(built.objective.state_names, (value.numpy() for value in state.model_state), strict=True))

    def predict(inputs):
        x = np.stack([value.numpy() for value in inputs.values()], axis=1)
        h = x @ w["dense1.kernel"] + w["dense1.bias"]
        mean, variance = (average[f"batch_normalization1.moving_{name}"] for name in ("mean", "variance"))
        h = (h - mean) / np.sqrt(variance + 1e-3) * w["batch_normalization1.gamma"] + w["batch_normalization1.beta"]
        return h @ w["dense2.kernel"] + w["dense2.bias"]

    window = built.windows.at(0)
    values = built.assess(state, built.setting, built.data, built.program.feed.moment(window, state.step))
    assert tuple(values) == built.assess.names
    penalty = 0.125 * np.sum(w["dense2.kernel"] ** 2)
    validation = built.assess.validation
    for prefix, data in (("", built.data), ("validation_", validation)):
        prediction, target = predict(built.objective.named_inputs(data)), data.target.numpy()
        expected = {
            "validation_loss" if prefix else "loss_all": np.mean((prediction - target) ** 2) + penalty,
            f"{prefix}mae": np.mean(np.abs(prediction - target)),
            f"{prefix}spread": np.ptp(prediction),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(values[name], value, rtol=1e-12, err_msg=name)
            if name != "loss_all":
                np.testing.assert_allclose(rows[name][-1], value, rtol=1e-12, err_msg=name)


def test_where_nothing_was_assessed_a_row_holds_nan(lab):
    built = lab.build(TEXT)
    for lanes, shape in ((None, ()), (3, (3,))):
        blank = built.assess.blank(lanes)
        assert tuple(blank) == built.assess.names
        assert all(value.shape == shape and bool(tf.reduce_all(tf.math.is_nan(value))) for value in blank.values())
