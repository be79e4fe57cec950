"""What commands do not import: fast answers stay fast."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gdrun.rundir.store import RunStore
from tests.rows import append_rows

HEAVY = ("tensorflow", "keras", "matplotlib", "optuna", "distributed", "plotly", "pandas", "sklearn", "mlflow", "wandb")
PROGRAM = """\
import sys
from gdrun.cli import main
code = main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


def modules_of(folder, *arguments: str) -> set[str]:
    """The modules that a process has loaded when the command is done."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"], ["validate", "line.yaml"], ["explain", "line.yaml", "lr"], ["ls"], ["show"],
        ["compare", "latest", "latest~1"], ["verify", "latest"],
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_a_command_without_training_loads_no_heavy_library(tmp_path, config, arguments):
    config()
    for name in ("a", "b"):
        with RunStore.create(tmp_path / "runs", name, settings={"seed": 0}) as store:
            store.write_text("config.yaml", (tmp_path / "line.yaml").read_text())
            store.write_text("source/line.yaml", (tmp_path / "line.yaml").read_text())
            append_rows(store, [{"step": 0, "loss": 1.0}])
            store.write_parameters({"a": 1.0})
            store.close("completed", steps=0, final={"loss": 1.0})
    loaded = modules_of(tmp_path, *arguments)
    assert "gdrun.cli.app" in loaded
    assert loaded.isdisjoint(HEAVY), loaded.intersection(HEAVY)


def test_a_process_with_tensorflow_ends_at_once_but_runs_what_is_registered_for_its_end(tmp_path):
    program = (
        "import atexit, sys; sys.modules['tensorflow'] = sys; sys.argv = ['gdrun', 'nonsense']\n"
        "atexit.register(print, 'goodbye')\n"
        "from gdrun.cli import main\n"
        "main()\n"
        "print('not reached')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "goodbye\n")
