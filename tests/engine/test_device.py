"""Setting TensorFlow up."""

import subprocess
import sys

import pytest
import tensorflow as tf

from gdrun.engine.device import Device, configure, import_tensorflow, num_threads
from gdrun.errors import ResourceError


def test_the_cpu_is_there_and_auto_takes_it_where_there_is_no_gpu(tensorflow):
    assert configure(device="cpu") == Device("/CPU:0", "cpu")
    if not tf.config.list_physical_devices("GPU"):
        assert configure(device="auto") == Device("/CPU:0", "cpu")


@pytest.mark.parametrize("device", ["gpu:9", "gpu:99"])
def test_a_gpu_that_is_not_there_is_named_with_those_that_are(tensorflow, device):
    with pytest.raises(ResourceError) as caught:
        configure(device=device)
    assert caught.value.exit_code == 8
    assert device in caught.value.message
    assert "gdrun doctor" in caught.value.hint


def test_grappler_is_off_so_that_graphs_have_eager_digits(tensorflow):
    assert tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"] is True


def test_an_imported_tensorflow_is_taken_as_it_is():
    assert import_tensorflow() is tf
    assert num_threads() >= 1


def test_threads_are_set_before_tensorflow_starts_and_matplotlib_is_not_loaded():
    """In a process of its own, since threads can be set once."""
    code = """
import sys
from gdrun.engine.device import configure, num_threads
configure(device="cpu", threads=1)
assert num_threads() == 1
configure(device="cpu", threads=1)
import keras
assert "matplotlib" not in sys.modules
import tensorflow as tf
assert float(tf.constant(1.0) + 1.0) == 2
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "oneDNN" not in done.stdout
