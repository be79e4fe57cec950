"""`schedule:` -> lengths, factors and rules. Oracles: closed forms."""

import math

import numpy as np
import pytest

from gdrun.config.forms import form
from gdrun.schedules.factors import LearningRateFactor

TEXT = """
compile: graph
precision: float64
constants: {c: 3}
data: {kind: moons, size: 20, noise: 0.1, validation: 0.2}
model: {kind: mlp, hidden: [2]}
loss: {kind: binary_crossentropy, from_logits: true}
metrics: [accuracy]
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {epochs: 4, batch_size: 8}
"""
# kind -> (settings, the factor at step 3 of 8, two steps an epoch)
FACTORS = {
    "constant": ("factor: 0.5", 0.5),
    "exponential": ("rate: 0.9, every: 2", 0.9**1.5),
    "inverse_time": ("rate: 0.5, unit: epoch", 1 / 1.5),
    "polynomial": ("end: 0.2, power: 2", 0.8 * (5 / 8) ** 2 + 0.2),
    "cosine": ("end: 0", (1 + math.cos(math.pi * 3 / 8)) / 2),
    "piecewise": ("boundaries: [2], factors: [1, 0.25]", 0.25),
    "one_cycle": ("length: 10, peak_at: 0.3", 1.0),
    "formula": ("formula: c / (1 + epoch)", 1.5),
    "plateau": ("patience: 1", None),
}


def test_every_factor_of_the_config_is_here():
    assert form(LearningRateFactor).kinds.variants.keys() == FACTORS.keys()


@pytest.mark.parametrize("kind", FACTORS)
def test_a_factor_has_the_settings_of_the_config_and_the_schedules_length(tensorflow, lab, kind):
    from gdrun.assembly.schedule import build_factor

    settings, expected = FACTORS[kind]
    schedule = lab.load(TEXT, [f"schedule.learning_rate_factor={{kind: {kind}, {settings}}}"]).experiment.schedule
    factor = build_factor(schedule, {"c": np.asarray(3.0)}, steps_per_epoch=2, total_steps=8)
    if expected is None:
        assert factor is None
        assert schedule.plateau.patience == 1
    else:
        np.testing.assert_allclose(factor(np.arange(8)), [factor(np.asarray([step]))[0] for step in range(8)])
        np.testing.assert_allclose(factor(np.arange(8))[3], expected, rtol=1e-14)


def test_epochs_are_counted_in_updates(lab):
    """16 training examples in batches of 8."""
    for overrides, steps in (
        ([], 8),
        (["schedule.batch_size=6"], 12),
        (["schedule.batch_size=6", "schedule.drop_remainder=true"], 8),
        (["schedule.batch_size=null"], 4),
        (["steps=7"], 7),
    ):
        built = lab.build(TEXT, overrides)
        assert built.total_steps == steps
        assert built.rows.total_steps == steps


def test_a_small_batch_is_shuffled_unless_the_order_is_given(lab):
    for overrides, order in (
        ([], "shuffled"),
        (["schedule.batch_size=null"], "sequential"),
        (["schedule.batch_size=16"], "sequential"),
        (["schedule.order=sampled"], "sampled"),
    ):
        assert lab.build(TEXT, overrides).program.feed.batches.order == order


@pytest.mark.parametrize(
    ("metric", "mode", "higher"),
    [
        ("validation_loss", "auto", False),
        ("validation_accuracy", "auto", True),
        ("accuracy", "auto", True),
        ("loss_epoch", "auto", False),
        ("validation_accuracy", "min", False),
        ("validation_loss", "max", True),
    ],
)
def test_patience_knows_which_way_is_better(lab, metric, mode, higher):
    stop = f"schedule.stop.patience={{epochs: 3, metric: {metric}, mode: {mode}, min_delta: 0.5}}"
    assert lab.load(TEXT, [stop]).experiment.schedule.stop.patience.higher_is_better == higher
