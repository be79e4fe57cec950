"""TensorFlow, set up once a process: quiet, deterministic, on the device that was asked for."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from typing import Any

from gdrun.errors import ResourceError
from gdrun.extras import require


@dataclass(frozen=True)
class Device:
    """Device that holds tensors and runs steps."""

    name: str
    """TensorFlow's name, "/CPU:0" or "/GPU:1"."""
    description: str
    """What a person calls it, for records."""


_DISABLE, _TREES = "--xla_disable_hlo_passes=", "tree_reduction_rewriter"
"""A pass of XLA for processors cuts each long sum in two, and neither half is fused with what makes its terms: three
arrays of all examples go through memory in place of none. Without it a step of 100 examples takes a third of the time,
one of 10,000 a fifth, and lanes half; the sum is then vectorised, with as many partial sums as a register holds."""


def set_compiler_flags() -> None:
    """Leave a pass of XLA out, unless the environment says which are. XLA reads this once, when it first compiles."""
    flags = os.environ.get("XLA_FLAGS", "")
    if _DISABLE not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_DISABLE}{_TREES}".strip()


def import_tensorflow() -> types.ModuleType:
    """Import TensorFlow, or return it if it is there, without its start-up chatter.

    Raises:
        ResourceError: it is not installed, or does not start.
    """
    set_compiler_flags()
    if "tensorflow" in sys.modules:  # a notebook's, a plugin's
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        os.environ["KERAS_BACKEND"] = "tensorflow"
    with _quick_import():
        tf = require("tensorflow", extra="tensorflow", what="this")
    # Retracing is reported per bound method; each run has a program of its own.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return tf


LEFT_OUT = ("matplotlib", "sklearn", "jax")
"""Packages that TensorFlow and Keras import, where they are installed, for parts that gdrun does not use, and take for
"not installed" while they import: Keras's galleries of pictures, keras.wrappers, models of JAX in tf.lite. They take as
long as half of TensorFlow itself. Who uses one of these parts in the same process imports its package before gdrun
does TensorFlow; the packages themselves can be imported at any time."""


class _LeftOut(MetaPathFinder):
    """Finder by which packages that are not imported yet are not installed, for the thread that made it."""

    def __init__(self) -> None:
        self._names = frozenset(LEFT_OUT) - sys.modules.keys()
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname in self._names and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is left out", name=fullname)


@contextmanager
def _quick_import() -> Iterator[None]:
    """Leave packages out of what is imported, and no time to the garbage collector: all modules stay."""
    finder, collects = _LeftOut(), gc.isenabled()
    sys.meta_path.insert(0, finder)
    gc.disable()
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        gc.freeze()  # what was imported is not looked through at each later collection
        if collects:
            gc.enable()


_configured: dict[str, Any] = {}


def configure(*, device: str = "auto", threads: int | None = None) -> Device:
    """Set TensorFlow up for a run and return the device.

    Args:
        device: "auto", "cpu", "gpu" or "gpu:1".
        threads: CPU threads; None leaves TensorFlow's choice. It can be set once a process.
    Raises:
        ResourceError: if the GPU is not there, or the threads come too late to be set.
    """
    tf = import_tensorflow()
    if "done" not in _configured:
        # Grappler's rewrites change last digits; without them a graph has those of eager TensorFlow.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        _configured["done"] = True
    if threads is not None and _configured.get("threads") != threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError:
            raise ResourceError(
                f"cannot change to {threads} threads: TensorFlow has started", hint="use a new process"
            ) from None
        _configured["threads"] = threads
    return _choose(tf, device)


def _choose(tf: types.ModuleType, device: str) -> Device:
    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu" or (device == "auto" and not gpus):
        return Device("/CPU:0", "cpu")
    index = int(device.partition(":")[2] or 0) if device != "auto" else 0
    if index >= len(gpus):
        there = ", ".join(f"gpu:{i}" for i in range(len(gpus))) or "no GPU"
        raise ResourceError(
            f"device {device} is not there; TensorFlow sees {there}",
            hint="use device: cpu or auto; gdrun doctor shows the devices",
        )
    details = tf.config.experimental.get_device_details(gpus[index])
    return Device(f"/GPU:{index}", f"gpu:{index} ({details.get('device_name', 'unknown')})")


def num_threads() -> int:
    """Return the number of CPU threads that TensorFlow computes with."""
    tf = import_tensorflow()
    return tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count() or 1
