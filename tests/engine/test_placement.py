"""Placement of what a run computes, with two logical processors that stand for two GPUs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
from gdrun.engine import device

tf = device.import_tensorflow()
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
# TensorFlow's own choice is the first one, so that what was put nowhere shows there.
device._choose = lambda tf, name: device.Device("/CPU:1", "gpu:1 (a stand-in)")
tf.debugging.set_log_device_placement(True)

import gdrun

CONFIG = b'''
data: {kind: formula, inputs: {x: "linspace(-1, 1, 50)"}, target: x**3, noise: "normal(0, 0.1)", validation: 0.2}
model: {kind: mlp, hidden: [4], activation: tanh, outputs: 1}
optimizer: {kind: adam, learning_rate: 0.01, use_ema: true}
schedule: {epochs: 3, batch_size: 7}
compile: graph
'''


def part(name):
    print("part:", name, file=sys.stderr, flush=True)


part("run")
run = gdrun.train(CONFIG)
assert run.info.device == "gpu:1 (a stand-in)"
part("resumed")
assert gdrun.resume(run.directory, {"epochs": 5}).status == "completed"
part("lanes")
assert gdrun.sweep(CONFIG, {"lr": [0.01, 0.02]}).status == "completed"
part("one by one")
assert gdrun.sweep(CONFIG, {"lr": [0.01, 0.02]}, lanes="off").status == "completed"
part("end")
"""
PARTS = ("run", "resumed", "lanes", "one by one")
# Of a graph's nodes TensorFlow logs the place, too: sizes and axes, which kernels want on the host, are on the first.
_PLACE = re.compile(r"Executing op (\S+) in device \S+device:(CPU:\d)")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """Operations and their devices by part."""
    folder = tmp_path_factory.mktemp("placement")
    path = {"PYTHONPATH": str(Path(__file__).parents[2]), "TF_CPP_MIN_LOG_LEVEL": "0", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=folder, env=path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    texts = done.stderr.split("part: ")[1:]
    return {text.partition("\n")[0]: _PLACE.findall(text.partition("\n")[2]) for text in texts}


@pytest.mark.parametrize("part", PARTS)
def test_everything_is_on_the_chosen_device_and_not_on_tensorflows_own_choice(
    places: dict[str, list[tuple[str, str]]], part: str
) -> None:
    assert len(places[part]) > 100
    assert {operation for operation, device in places[part] if device != "CPU:1"} == set()
