"""Notebooks: progress in a cell, and the example in the docs executed by a real kernel."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gdrun.errors import ResourceError
from gdrun.rundir.notebook import progress_html
from gdrun.rundir.tables import ColumnTable
from gdrun.training.listener import Listener, Plan, Progress
from gdrun.training.notebook import NotebookListener, default_listener

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a cell has shown, one after the other, by an IPython that is not there."""
    pages: list[str] = []

    def display(page: str, display_id: bool) -> Any:
        pages.append(page)
        return SimpleNamespace(update=pages.append)

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1)))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(HTML=str, display=display))
    monkeypatch.setattr("gdrun.training.notebook._SECONDS_BETWEEN", 0.0)
    return pages


def plan(**fields: Any) -> Plan:
    facts: dict[str, Any] = {"name": "<b>", "description": "", "total_steps": 100, "steps_per_epoch": 1}
    facts |= {"num_parameters": 1, "parameter_names": ("a",), "device": "cpu", "compile": "xla", "precision": "float64"}
    return Plan(**facts | {"directory": None} | fields)


def test_progress_is_shown_in_a_kernel_alone(shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert type(default_listener()) is Listener
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())
    assert type(default_listener()) is NotebookListener


def test_a_run_shows_its_bar_and_its_losses(shown: list[str]) -> None:
    listener = NotebookListener()
    listener.planned(plan())
    for step, loss in ((0, 4.0), (50, 2.0)):
        listener.progress(Progress(seconds=1.0, step=step, loss=loss))
    assert "value='0.5000'" in shown[-1]
    assert "step 50, loss 2" in shown[-1]
    assert "loss 4 to 2 over steps 0 to 50" in shown[-1]
    assert all("<b>" not in page for page in shown)


def test_a_sweep_shows_its_trials_and_the_best_so_far(shown: list[str]) -> None:
    listener = NotebookListener()
    listener.planned(plan(num_trials=8))
    listener.progress(Progress(seconds=1.0, num_trials=8))
    listener.progress(Progress(seconds=1.0, trials_done=1, num_trials=8, best_value=3.0))
    listener.progress(Progress(seconds=1.0, trials_done=4, num_trials=8, best_value=1.5, diverged=2))
    assert "value='0.5000'" in shown[-1]
    assert "trials 4, diverged 2, best 1.5" in shown[-1]
    assert "best 3 to 1.5 over trials 1 to 4" in shown[-1]


def test_a_bar_is_never_longer_than_whole() -> None:
    assert "value='1.0000'" in progress_html("a", 1.5, {}, "")


def test_the_example_notebook_runs_and_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    pytest.importorskip("pandas", reason="pandas is not installed")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.delenv("GDRUN_RUNS", raising=False)
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    trained, rows, picture, swept, trials, drawn = (cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    summary = "".join(output.data["text/html"] for output in trained if "data" in output)
    assert "completed" in summary
    assert "<polyline" in summary
    assert "<progress" not in summary
    (frame,) = (output.data["text/html"] for output in rows if "data" in output)
    assert "2000" in frame
    table = "".join(output.data["text/html"] for output in swept if "data" in output)
    assert "<th>optimizer.learning_rate</th>" in table
    assert table.count("<polyline") == 3
    assert "0.05" in trials[-1].data["text/html"]
    for outputs in (picture, drawn):
        assert "text/plain" in outputs[-1].data


def test_columns_are_numbers_by_name_in_a_data_frame() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    columns = ColumnTable(step=np.array([0, 5]), loss=np.array([2.0, 1.0]), W=np.array([[1.0, 2.0], [3.0, 4.0]]))
    frame = columns.to_pandas()
    assert list(frame.columns) == ["loss", "W[0]", "W[1]"]
    assert frame.index.tolist() == [0, 5]
    assert frame.loc[5].tolist() == [1.0, 3.0, 4.0]


def test_a_table_without_pandas_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ResourceError, match="pandas is not installed") as refused:
        ColumnTable(step=np.array([0])).to_pandas()
    assert refused.value.hint == "pip install 'gdrun[pandas]'"
