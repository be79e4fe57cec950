"""The state as arrays and back."""

import numpy as np
import tensorflow as tf

from gdrun.engine.state import Reason, from_arrays, to_arrays

TEXT = """
compile: graph
data: {kind: moons, size: 20, noise: 0.1, validation: 0.2}
model: {kind: layers, layers: [{kind: dense, units: 3}, {kind: batch_normalization}, {kind: dropout, rate: 0.1}, {kind: dense, units: 1}]}
loss: {kind: binary_crossentropy, from_logits: true}
optimizer: {kind: adam, learning_rate: 0.01, use_ema: true}
schedule:
  epochs: 4
  batch_size: 5
  learning_rate_factor: {kind: plateau, patience: 1}
  stop: {patience: {epochs: 9, metric: validation_loss, restore_best: true}}
"""  # noqa: E501


def test_a_state_that_went_through_arrays_goes_on_with_the_same_bits(lab):
    """What resume rests on: 16 steps are 7 and then 9 more."""
    built = lab.build(TEXT)
    whole = lab.rows(built)["state"]
    events = np.asarray([0, 4, 7])
    half, _ = built.program.run(
        built.state, built.setting, built.data, built.windows.at(0), events, built.rows.assesses(events)
    )
    arrays = to_arrays(half)
    assert all(isinstance(value, np.ndarray) for value in arrays.values())
    assert arrays["step"] == 7
    assert {"patience.best", "plateau.factor", "parameters.0", "epoch_loss.1"} <= arrays.keys()
    restored = from_arrays(built.state, arrays)
    rest = lab.rows(built, state=restored, resumed=True)
    assert rest["step"].tolist() == list(range(8, 17))
    for one, other in zip(tf.nest.flatten(rest["state"]), tf.nest.flatten(whole), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_reasons_from_not_finite_up_are_divergences():
    assert [reason.name for reason in Reason if reason.diverged] == [
        "LOSS_NOT_FINITE",
        "GRADIENT_NOT_FINITE",
        "PARAMETERS_NOT_FINITE",
    ]
