"""`gdrun` in this process, and a training that takes no time and no TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from gdrun.cli import main
from gdrun.errors import GdrunError
from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore
from gdrun.training.listener import Plan, Progress
from gdrun.training.prepare import Prepared
from tests.rows import append_rows

CONFIG = """\
name: {name}
precision: float64
data: {{kind: formula, inputs: {{x: "linspace(0, 1, 5)"}}, target: 2 * x}}
model: {{kind: formula, formula: a * x, parameters: {{a: 0}}}}
optimizer: {{kind: sgd, learning_rate: 0.1}}
schedule: {{steps: 10}}
"""


@dataclass(frozen=True)
class Result:
    """What a command ended with and printed."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def plain_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test begins in an empty folder, without settings of the person who runs it."""
    for name in ("NO_COLOR", "GDRUN_RUNS", "GDRUN_TRACEBACK", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def gdrun(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command line: gdrun("validate", "a.yaml") -> Result."""

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        code = main(arguments)
        streams = capsys.readouterr()
        return Result(code, streams.out, streams.err)

    return run


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., str]:
    """Write a small config and return its file's name: config("a", "expect: {steps: 10}") -> "a.yaml"."""

    def write(name: str = "line", more: str = "", text: str = CONFIG) -> str:
        (tmp_path / f"{name}.yaml").write_text(text.format(name=name) + more)
        return f"{name}.yaml"

    return write


@dataclass
class FakeTraining:
    """Stands in for gdrun.training.train: writes real run directories with the outcome that a test sets."""

    status: str = "completed"
    record: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=lambda: {"a": np.float64(2.0)})
    rows: list[dict[str, Any]] = field(default_factory=lambda: [{"step": 0, "loss": 1.5, "parameters.a": 0.0}])
    progress: list[Progress] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    error: Exception | None = None
    prepare_error: GdrunError | None = None
    noise: str = ""
    executed: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    prepared: list[dict[str, Any]] = field(default_factory=list)

    def prepare(self, loaded: Any, inputs: Any = None, **options: Any) -> Any:
        """Take the place of gdrun.training.prepare.prepare."""
        if self.prepare_error is not None:
            raise self.prepare_error
        self.prepared.append(options)
        return Prepared(loaded, built=cast(Any, None), device=cast(Any, None))

    def execute(
        self,
        prepared: Any,
        *,
        runs_dir: Path | None = None,
        name: str | None = None,
        listener: Any = None,
        keep: bool = True,
        log: Callable[[], str] | None = None,
        save_diff: bool = False,
    ) -> Run:
        """Take the place of gdrun.training.train.execute."""
        if self.noise:
            os.write(2, self.noise.encode())
        root = Path(runs_dir or os.environ.get("GDRUN_RUNS") or "runs") if keep else Path("temporary")
        name = name or prepared.loaded.experiment.name
        self.executed.append(name)
        facts = {"precision": "float64", "final": {"loss": 0.25, "r2": 0.5}, "seconds": 0.5, "steps": 10}
        with RunStore.create(root, name, device="cpu", compile="xla") as store:
            for message in self.warnings:
                listener.warned(message)
            listener.planned(Plan(name, "", 10, 1, 1, ("a",), "cpu", "xla", "float64", store.directory))
            if self.error is not None:
                raise self.error
            for report in self.progress:
                listener.progress(report)
            self.logged.append(log() if log else "")
            append_rows(store, self.rows)
            store.write_parameters(self.parameters)
            store.close(self.status, **(facts | self.record))
        run = Run(store.directory)
        listener.finished(run)
        return run


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> FakeTraining:
    """Replace training by one whose outcome the test chooses."""
    fake = FakeTraining()
    # First, so that what it imports by name is the real one, to be put back.
    monkeypatch.setattr("gdrun.checking.check.execute", fake.execute)
    monkeypatch.setattr("gdrun.training.prepare.prepare", fake.prepare)
    monkeypatch.setattr("gdrun.training.train.execute", fake.execute)
    return fake


def report(step: int, seconds: float, loss: float = 0.5, **parameters: Any) -> Progress:
    """A progress report after `seconds`."""
    values = {name: np.asarray(value) for name, value in parameters.items()}
    return Progress(
        step=step, epoch=step, loss=loss, learning_rate=0.1, parameters=values, seconds=seconds,
        steps_per_second=step / seconds,
    )  # fmt: skip
