"""Claims about lowering the rate on a plateau, against Keras's callback."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from gdrun.components.plateau import Plateau


def keras_rates(metrics, **settings):
    """The learning rates after each epoch, from Keras's callback on a model that is never trained."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1.0))
    callback = keras.callbacks.ReduceLROnPlateau(monitor="watched", **settings)
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, metric in enumerate(metrics):
        callback.on_epoch_end(epoch, {"watched": metric})
        rates.append(float(model.optimizer.learning_rate.numpy()))
    return rates


@pytest.mark.parametrize(
    ("settings", "keras_settings"),
    [
        ({"patience": 2}, {"patience": 2}),
        ({"decay": 0.5, "patience": 1, "cooldown": 3}, {"factor": 0.5, "patience": 1, "cooldown": 3}),
        ({"decay": 0.5, "patience": 0, "floor": 0.2}, {"factor": 0.5, "patience": 0, "min_lr": 0.2}),
        ({"decay": 0.7, "patience": 3, "min_delta": 0.05}, {"factor": 0.7, "patience": 3, "min_delta": 0.05}),
        ({"patience": 2, "higher_is_better": True}, {"patience": 2, "mode": "max"}),
    ],
)
def test_the_factor_is_keras_rate(settings, keras_settings):
    metrics = np.round(np.random.default_rng(3).normal(1, 0.2, 60) + 1 / np.arange(1, 61), 2)
    state, got = Plateau(**settings), []
    for metric in metrics:
        state = state.update(metric)
        got.append(state.factor)
    assert len(set(got)) > 1
    assert np.allclose(got, keras_rates(metrics, **{"mode": "min", **keras_settings}), rtol=1e-5)


def test_the_state_survives_a_checkpoint():
    settings = Plateau(decay=0.5, patience=2, cooldown=1)
    metrics = np.random.default_rng(1).normal(size=40)
    whole, saved = settings, settings
    for metric in metrics:
        whole = whole.update(metric)
        saved = settings.with_arrays({name: np.array(value) for name, value in saved.to_arrays().items()})
        saved = saved.update(metric)
        assert saved == whole
