"""Setting TensorFlow up."""

import gc
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf

from gdrun.engine.device import Device, _quick_import, configure, import_tensorflow, num_threads
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


def test_threads_are_set_before_tensorflow_starts_and_packages_that_nobody_asked_for_are_not_loaded():
    """In a process of its own, since threads can be set once."""
    code = """
import sys
from gdrun.engine.device import LEFT_OUT, configure, num_threads
configure(device="cpu", threads=1)
assert num_threads() == 1
configure(device="cpu", threads=1)
import keras
assert not sys.modules.keys() & set(LEFT_OUT), sys.modules.keys() & set(LEFT_OUT)
import tensorflow as tf
assert float(tf.constant(1.0) + 1.0) == 2
import sklearn.datasets, matplotlib.pyplot
assert sklearn.datasets.load_iris().data.shape == (150, 4)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "oneDNN" not in done.stdout


def test_a_package_is_left_out_by_the_importing_thread_alone_and_one_that_is_there_stays(monkeypatch):
    monkeypatch.setattr("gdrun.engine.device.LEFT_OUT", ("colorsys", "this", "sys"))
    for name in ("colorsys", "this"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    finders = list(sys.meta_path)
    with ThreadPoolExecutor() as other, _quick_import():
        assert __import__("sys") is sys
        with pytest.raises(ImportError):
            __import__("this")
        with pytest.raises(ImportError):
            __import__("colorsys")
        assert other.submit(__import__, "colorsys").result() is __import__("colorsys")
    assert (sys.meta_path, gc.isenabled()) == (finders, True)
    assert __import__("this").c == 97
