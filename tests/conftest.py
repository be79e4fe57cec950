"""What tests of whole experiments share: configs as text, trained or refused in a folder of their own."""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdrun.errors import ConfigError, Problem

# XLA's programs are kept from test to test and from process to process: many tests train the same config. They are
# machine code, for this machine and this TensorFlow.
PROGRAMS = Path(__file__).parents[1] / "build" / "programs" / f"{version('tensorflow')}-{platform.node()}"
os.environ.setdefault("TF_XLA_FLAGS", f"--tf_xla_persistent_cache_directory={PROGRAMS}")


LONG_FILES = (
    "test_configs.py",
    "test_docs.py",
    "sweeping/test_lanes.py",
    "training/resuming/test_same_bits.py",
    "sweeping/test_slurm.py",
    "optimizers/test_optimizers.py",
    "optimizers/test_optimizers_lanes.py",
    "engine/test_loop.py",
    "formula/test_table.py",
    "engine/test_lanes.py",
    "engine/test_stream.py",
    "engine/test_compilations.py",
    "vocabulary/test_programs.py",
    "sweeping/test_resuming.py",
    "sweeping/test_real_workers.py",
    "training/test_training.py",
    "test_long.py",
    "cli/test_real.py",
)
"""Files of some ten seconds and more, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first: the process that began one of them last would end last."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONG_FILES)}
    assert all(path.exists() for path in ranks)
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_collection_finish() -> None:
    """Keep the garbage collector off TensorFlow's objects, which it would look at again in every program traced."""
    gc.freeze()
    gc.set_threshold(100_000)


@pytest.fixture(scope="session")
def tensorflow() -> Any:
    """TensorFlow as gdrun sets it up, before anything is traced: without grappler, on the CPU."""
    from gdrun.engine.device import configure, import_tensorflow

    tf = import_tensorflow()
    configure(device="cpu")
    return tf


@pytest.fixture(scope="session", autouse=True)
def no_delayed_messages() -> None:
    """Keep lines that depend on how fast the machine is off stderr."""
    from gdrun.cli import progress

    progress.SILENT_SECONDS = 3600.0


class Lab:
    """Builds, trains and refuses configs that are given as YAML text, in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"

    def load(self, text: str, overrides: Sequence[str] = ()) -> Any:
        """Return the checked config, read from a file so that relative paths count from the lab's folder.

        It runs as a graph where it does not say how to compile: XLA takes seconds for what a test runs in milliseconds.
        """
        from gdrun.experiment.loading import load_config

        if "compile" not in f"{text} {overrides}":
            overrides = [*overrides, "compile=graph"]
        path = self.folder / "case.yaml"
        path.write_text(text)
        return load_config(path, overrides)

    def prepare(self, text: str, overrides: Sequence[str] = ()) -> Any:
        """Return the experiment, built."""
        from gdrun.training.prepare import prepare

        return prepare(self.load(text, overrides))

    def build(self, text: str, overrides: Sequence[str] = ()) -> Any:
        """Return the built experiment alone."""
        return self.prepare(text, overrides).built

    def train(self, text: str, overrides: Sequence[str] = (), **options: Any) -> Any:
        """Return the finished run."""
        from gdrun.training.train import execute

        return execute(self.prepare(text, overrides), runs_dir=self.runs, command=["test"], **options)

    def reports(self, built: Any, **changes: Any) -> list[Any]:
        """Return the reports of the loop over a built experiment; `changes` replace arguments of `drive`."""
        from gdrun.engine.drive import drive

        given = {
            "program": built.program,
            "state": built.state,
            "setting": built.setting,
            "data": built.data,
            "rows": built.rows,
            "windows": built.windows,
        }
        return list(drive(**(given | changes)))

    def rows(self, built: Any, **changes: Any) -> dict[str, np.ndarray]:
        """Return the rows of a built experiment by name; "reason" and "state" are those of the end."""
        reports = self.reports(built, **changes)
        columns = {
            name: np.concatenate([report.records[name][report.is_row] for report in reports])
            for name in reports[0].records
        }
        return columns | {"reason": reports[-1].reason, "state": reports[-1].state}

    def refused(self, text: str, overrides: Sequence[str] = ()) -> Problem:
        """Return the one problem that a config is refused for; nothing may be left on disk."""
        with pytest.raises(ConfigError) as caught:
            self.train(text, overrides)
        assert not self.runs.exists()
        (problem,) = caught.value.problems
        assert problem.place is not None
        return problem


@pytest.fixture
def lab(tensorflow: Any, tmp_path: Path) -> Lab:
    """A folder to run configs in."""
    return Lab(tmp_path)


@pytest.fixture(scope="module")
def shared_lab(tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab that the tests of a module share, for what is built once and looked at often."""
    return Lab(tmp_path_factory.mktemp("lab"))


TapeLoop = Callable[..., Mapping[str, list[np.ndarray]]]


@pytest.fixture(scope="session")
def tape_loop(tensorflow: Any) -> TapeLoop:
    """The loop that people write by hand: eager TensorFlow, a GradientTape, a Keras optimizer."""
    import keras

    tf = tensorflow

    def loop(
        loss: Callable[..., Any],
        start: Mapping[str, Any],
        optimizer: Callable[[], Any],
        batches: Sequence[Any],
        dtype: str,
    ) -> Mapping[str, list[np.ndarray]]:
        """Return name -> values after 0, 1, 2, ... updates, and "loss" -> what each update saw.

        Args:
            loss: (batch, **variables) -> scalar.
            start: variable -> initial value.
            optimizer: returns a Keras optimizer. It keeps its learning rate in Keras's floatx, which becomes `dtype`.
            batches: one for each update.
        """
        floatx = keras.config.floatx()
        keras.config.set_floatx(dtype)
        try:
            return run(loss, start, optimizer(), batches, dtype)
        finally:
            keras.config.set_floatx(floatx)

    def run(loss: Any, start: Any, optimizer: Any, batches: Any, dtype: str) -> Mapping[str, list[np.ndarray]]:
        wide = {"float32": "complex64", "float64": "complex128"}[dtype]
        variables = {
            name: tf.Variable(np.asarray(value, wide if np.iscomplexobj(value) else dtype))
            for name, value in start.items()
        }
        trace: dict[str, list[np.ndarray]] = {name: [value.numpy()] for name, value in variables.items()}
        trace["loss"] = []
        for batch in batches:
            with tf.GradientTape() as tape:
                value = loss(batch, **variables)
            optimizer.apply_gradients(
                zip(tape.gradient(value, list(variables.values())), variables.values(), strict=True)
            )
            trace["loss"].append(value.numpy())
            for name, variable in variables.items():
                trace[name].append(variable.numpy())
        return trace

    return loop
