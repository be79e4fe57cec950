"""What a build says of experiments that run, but hardly mean what they say."""

from __future__ import annotations

import pytest

CLASSES = """
data: {kind: values, inputs: {x: [1.0, 2.0, 3.0]}, target: [0, 1, 1]}
model: MODEL
loss: LOSS
optimizer: sgd
schedule: {steps: 1}
"""
SPARSE = "{kind: sparse_categorical_crossentropy, from_logits: false}"


@pytest.mark.parametrize(
    ("model", "loss", "warns"),
    [
        ("{kind: mlp, outputs: 2}", SPARSE, True),
        ("{kind: layers, layers: [{kind: dense, units: 2}]}", SPARSE, True),
        ("{kind: linear}", "binary_crossentropy", True),
        ("{kind: mlp, outputs: 2, output_activation: softmax}", SPARSE, False),
        ("{kind: layers, layers: [{kind: dense, units: 2}, softmax]}", SPARSE, False),
        ("{kind: mlp, outputs: 2}", SPARSE.replace("false", "true"), False),
        ("{kind: linear}", "mse", False),
    ],
)
def test_raw_scores_taken_for_probabilities_are_told(lab, model, loss, warns):
    built = lab.build(CLASSES.replace("MODEL", model).replace("LOSS", loss))
    assert any("raw scores" in warning for warning in built.warnings) is warns
