"""Reading runs: whole, running, killed, corrupt and hostile ones."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import gdrun.rundir
from gdrun.errors import RunDirectoryError, UsageError
from gdrun.rundir.listing import runs
from gdrun.rundir.run import Run, load_run
from gdrun.rundir.run_info import Status
from gdrun.rundir.store import RunStore
from tests.rows import append_rows


@pytest.fixture
def finished(tmp_path: Path) -> Run:
    with RunStore.create(tmp_path, "pi", precision="float32") as store:
        store.write_text("config.yaml", "name: pi\n")
        append_rows(store, [{"step": step, "loss": np.float32(0.1) * np.float32(step)} for step in range(3)])
        store.write_parameters({"a": np.float32(3.1415927)})
        store.close("completed", steps=2, seconds=0.5, final={"loss": 0.2})
    return Run(store.directory)


def test_a_run_shows_what_was_written(finished: Run):
    assert finished.status is Status.COMPLETED
    assert finished.problem is None
    assert finished.config == "name: pi\n"
    assert finished.metrics["loss"].dtype == np.float32
    np.testing.assert_array_equal(finished.metrics["loss"], np.float32(0.1) * np.arange(3, dtype=np.float32))
    assert finished.parameters["a"] == np.float32(3.1415927)
    assert finished.best is None
    assert finished.summary() == {
        "id": finished.id, "status": "completed", "steps": 2, "seconds": 0.5, "loss": 0.2
    }  # fmt: skip


def test_a_run_is_loaded_by_any_reference(finished: Run, monkeypatch: pytest.MonkeyPatch):
    root = finished.directory.parent
    for reference in ("latest", finished.id, finished.id[:10], finished.directory, str(finished.directory)):
        assert load_run(reference, root).directory == finished.directory
    monkeypatch.setenv("GDRUN_RUNS", str(root))
    assert load_run("latest").directory == finished.directory
    assert [run.directory for run in runs()] == [finished.directory]
    monkeypatch.chdir(root)
    assert load_run(Path(finished.id), root / "absent").directory == Path(finished.id)
    with pytest.raises(UsageError):
        load_run("latest~1")


def test_the_best_parameters_are_there_where_a_metric_chose_some(tmp_path: Path):
    with RunStore.create(tmp_path, "pi") as store:
        store.write_arrays("best.npz", {"a": np.ones(2)})
        store.close("completed")
    best = Run(store.directory).best
    assert best is not None
    assert best["a"].tolist() == [1, 1]


def test_what_a_run_does_not_have_is_told(tmp_path: Path):
    with RunStore.create(tmp_path, "pi") as store:
        run = Run(store.directory)
        assert run.metrics == {}
        for read in (lambda: run.parameters, lambda: run.config):
            with pytest.raises(RunDirectoryError, match="has no"):
                read()
        store.close("failed")


@pytest.mark.parametrize("text", [b"", b"{", b'{"schema_version": 99}', b"\0" * 100, b"[" * 10**5])
def test_a_corrupt_run_is_listed_beside_the_others(finished: Run, text: bytes):
    other = finished.directory.parent / "2000-01-01T000000-old-0000"
    other.mkdir()
    (other / "run.json").write_bytes(text)
    (other / "metrics.jsonl").write_bytes(b'{"step":0}\nnonsense\n')
    listed = runs(finished.directory.parent)
    assert [run.status for run in listed] == [Status.CORRUPT, Status.COMPLETED]
    assert listed[0].problem
    assert "corrupt" in repr(listed[0])
    assert listed[0].table.corrupt_lines == (2,)
    with pytest.raises(RunDirectoryError):
        _ = listed[0].info


def test_corrupt_arrays_are_told_with_their_path(finished: Run):
    path = finished.directory / "parameters.npz"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(RunDirectoryError, match=r"parameters\.npz is corrupt"):
        _ = finished.parameters


def test_a_claimed_directory_without_a_record_is_lost(tmp_path: Path):
    directory = tmp_path / "2026-11-23T003318-pi-7f3a"
    directory.mkdir()
    assert [run.status for run in runs(tmp_path)] == [Status.LOST]


def test_a_run_shows_itself_short_and_escaped(tmp_path: Path):
    with RunStore.create(tmp_path, "pi") as store:
        store.close("failed", why="<script>\x1b[31m", final={"loss": "nan"}, steps=1)
    run = Run(store.directory)
    assert repr(run) == f"Run({run.id}: failed, 1 step, loss nan)"
    page = run._repr_html_()
    assert "<script>" not in page
    assert "\x1b" not in page


def test_a_notebook_shows_the_values_and_the_curve_of_a_run(finished: Run):
    page = finished._repr_html_()
    for text in (
        finished.id,
        "completed",
        "<th style='text-align:left'>loss</th>",
        "<polyline",
        str(finished.directory),
    ):
        assert text in page
    assert "loss 0 to 0.2 over steps 0 to 2" in page


@pytest.mark.parametrize(
    "rows",
    [
        [], [{"step": 0, "loss": 1.0}], [{"step": s, "loss": "nan"} for s in range(3)],
        [{"step": s, "loss": "<b>"} for s in range(3)], [{"step": s, "loss": [1, 2]} for s in range(3)],
        [{"step": s, "loss": v} for s, v in enumerate((-1.7e308, 1.7e308, 0.0))],
        [{"step": s, "loss": v} for s, v in enumerate((1.0, 1.0, "inf"))],
    ],
)  # fmt: skip
def test_a_notebook_shows_any_run(tmp_path: Path, rows: list[dict[str, object]]):
    with RunStore.create(tmp_path, "pi", precision="float64") as store:
        append_rows(store, rows)
        store.close("completed", final={"<script>": "<script>"}, best={"<script>": "<script>"})
    page = Run(store.directory)._repr_html_()
    assert "<script>" not in page
    assert "nan" not in page.partition("<svg")[2].partition("points=")[2]


def test_what_lists_runs_does_not_import_numpy():
    """Only what reads or writes numbers may: a list of runs must cost what Python costs."""
    folder = Path(gdrun.rundir.__file__).parent
    for name in ("claim", "environment", "files", "layout", "listing", "lock", "run", "run_info", "strict_json"):
        tree = ast.parse((folder / f"{name}.py").read_text())
        imported = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        for node in imported:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            heavy = (
                "numpy",
                "gdrun.rundir.metrics",
                "gdrun.rundir.arrays",
                "gdrun.rundir.store",
                "gdrun.rundir.digits",
            )
            assert not [module for module in names if module.startswith(heavy)], f"{name} imports {names}"
