"""Class labels need an output each, wherever the examples are."""

from __future__ import annotations

import numpy as np
import pytest

CONFIG = """
data: {kind: values, inputs: {x: [1.0, 2.0, 3.0, 4.0]}, target: [0, 1, 1, 0]VALIDATION}
model: {kind: linear, outputs: 2}
loss: {kind: sparse_categorical_crossentropy, from_logits: true}
optimizer: sgd
schedule: {epochs: 1, batch_size: 2}
"""


def test_a_label_without_an_output_is_refused_in_training_data(lab):
    problem = lab.refused(CONFIG.replace("[0, 1, 1, 0]VALIDATION", "[0, 1, 2, 0]"))
    assert problem.message.startswith("the label 2 is not among 0 to 1")
    assert problem.path == ("data", "target")


@pytest.mark.parametrize("block", ["{inputs: {x: [5.0]}, target: [3]}", "{last: 1}"])
def test_a_label_without_an_output_is_refused_in_validation_data(lab, block):
    text = CONFIG.replace("VALIDATION", f", validation: {block}")
    if "last" in block:
        text = text.replace("[0, 1, 1, 0]", "[0, 1, 1, 3]")
    problem = lab.refused(text)
    assert problem.message.startswith("the label 3 is not among 0 to 1")
    assert problem.path == ("data", "validation")


def test_a_label_without_an_output_is_refused_in_data_that_stays_on_disk(lab):
    np.savez(lab.folder / "many.npz", x=np.arange(6.0), y=np.array([0, 1, 0, 1, 4, 0]))
    mapped = "data: {kind: npz, path: many.npz, inputs: [x], target: y, memory: mapped}"
    start, rest = CONFIG.index("data:"), CONFIG.index("model:")
    problem = lab.refused(CONFIG[:start] + mapped + "\n" + CONFIG[rest:])
    assert problem.message.startswith("the label 4 is not among 0 to 1")


def test_labels_that_have_outputs_are_taken(lab):
    assert lab.build(CONFIG.replace("VALIDATION", "")).num_parameters == 4
