"""Lists of runs: found, filtered, sorted, told apart; whatever state each is in."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import gdrun
from gdrun.errors import ResourceError, UsageError
from gdrun.rundir.listing import runs, select, table
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.settings import differing, flatten, labels
from gdrun.rundir.store import RunStore
from tests.rows import append_rows

START = datetime(2026, 11, 23, tzinfo=UTC)
SETTINGS = {"seed": 0, "optimizer.kind": "sgd", "optimizer.learning_rate": 0.1, "model.hidden": [16, 16]}


def make(root: Path, second: int, name: str = "pi", status: str = "completed", **fields: Any) -> Run:
    """A run that started `second` seconds after midnight."""
    fields = {"settings": SETTINGS, "steps": 10, "final": {"loss": 0.5}} | fields
    with RunStore.create(root, name, now=START + timedelta(seconds=second), **fields) as store:
        store.close(status)
    return Run(store.directory)


def rate(value: float) -> dict[str, Any]:
    return SETTINGS | {"optimizer.learning_rate": value}


def ids(found: list[Any]) -> list[int]:
    """The seconds that runs were started at."""
    return [int(one.id[11:17]) for one in found]


def test_runs_are_filtered_sorted_and_limited(tmp_path: Path):
    for second, (value, loss) in enumerate([(0.1, 3.0), (0.2, "nan"), (0.3, 1.0), (0.4, None), (0.5, 2.0)]):
        make(tmp_path, second, settings=rate(value), final={} if loss is None else {"loss": loss})
    found = runs(tmp_path)
    assert ids(select(found, filter="lr >= 0.3")) == [2, 3, 4]
    assert ids(select(found, sort="loss")) == [2, 4, 0, 1, 3], "nan, then what is missing, comes last"
    assert ids(select(found, sort="-loss")) == [0, 4, 2, 1, 3]
    assert ids(select(found, sort="lr", limit=2)) == [0, 1]
    assert ids(select(found, limit=2)) == [3, 4], "the newest"
    assert ids(gdrun.runs(tmp_path, filter="loss < 2.5 and lr > 0.1", sort="-lr")) == [4, 2]
    assert ids(gdrun.runs(tmp_path, limit=1)) == [4]


def test_a_value_is_found_by_its_name_its_path_or_its_last_word(tmp_path: Path):
    run = make(
        tmp_path, 5, final={"loss": 0.5, "accuracy": 0.9, "learning_rate": 0.01}, versions={"python": "3.11"},
        best={"step": 7, "value": 0.25, "metric": "loss"}, extra={"num_parameters": 3}, seconds=1.5,
    )  # fmt: skip
    entry = Run(run.directory)
    values = {
        "id": run.id, "name": "pi", "status": "completed", "kind": "train", "steps": 10, "seconds": 1.5, "loss": 0.5,
        "accuracy": 0.9, "best": 0.25, "best_step": 7, "num_parameters": 3, "lr": 0.1, "learning_rate": 0.1,
        "optimizer.learning_rate": 0.1, "final.learning_rate": 0.01, "optimizer.kind": "sgd", "hidden": [16, 16],
        "seed": 0, "versions.python": "3.11", "momentum": None, "no.such.path": None,
        "directory": str(run.directory),
    }  # fmt: skip
    assert {name: entry.get(name) for name in values} == values
    assert entry.get("age", now=START + timedelta(hours=1)) == pytest.approx(3595)


def test_a_last_word_that_means_two_settings_is_refused(tmp_path: Path):
    make(
        tmp_path,
        0,
        settings={"model.layers.0.units": 3, "model.layers.1.units": 4, "model.units": 5, "a.x.k": 1, "b.x.k": 2},
    )
    found = runs(tmp_path)
    assert select(found, filter="units == 5"), "the nearest to the top is meant"
    with pytest.raises(UsageError, match=r"a\.x\.k, b\.x\.k"):
        select(found, filter="k == 1")


def test_a_name_that_no_run_has_is_refused_with_what_was_meant(tmp_path: Path):
    make(tmp_path, 0, final={"loss": 1, "validation_loss": 2})
    found = runs(tmp_path)
    for wrong, meant in {
        "lrr": "lr",
        "validation_los": "validation_loss",
        "statsu": "status",
        "hiden": "hidden",
    }.items():
        for how in ({"filter": f"{wrong} == 1"}, {"sort": wrong}):
            with pytest.raises(UsageError) as caught:
                select(found, **how)
            assert caught.value.hint == f"did you mean '{meant}'?"
    assert select([], filter="anything == 1") == []
    assert select(found, filter="diverged_at > 1") == [], "known, though no run diverged"


def test_every_state_of_a_run_is_listed_and_spoils_no_other(tmp_path: Path):
    make(tmp_path, 0)
    make(tmp_path, 1, status="diverged", diverged={"step": 3, "quantity": "loss"})
    killed = make(tmp_path, 2)
    record = json.loads((killed.directory / "run.json").read_text())
    (killed.directory / "run.json").write_text(json.dumps(record | {"status": "running", "final": {}, "steps": None}))
    (killed.directory / "metrics.jsonl").write_text('{"step":0,"loss":2}\n{"step":7,"loss":"inf"}\n{"step":8,"lo')
    for second, text in enumerate(
        ['{"schema_version": 1', "[]", '{"schema_version": 99}', '{"schema_version":1,"status":7}'], 3
    ):
        broken = tmp_path / f"2026-11-23T00000{second}-pi-0000"
        broken.mkdir()
        (broken / "run.json").write_text(text)
    (tmp_path / "2026-11-23T000009-empty-0000").mkdir()
    (tmp_path / "notes").mkdir()
    with RunStore.create(tmp_path, "live", now=START + timedelta(seconds=20)) as store:
        append_rows(store, [{"step": 4, "loss": 0.125}])
        found = runs(tmp_path)
        states = [entry.status.value for entry in found]
        assert states == ["completed", "diverged", "lost", *["corrupt"] * 4, "lost", "running"]
        assert [entry.problem is None for entry in found] == [True] * 3 + [False] * 5 + [True]
        assert (found[2].get("steps"), found[2].get("loss")) == (7, math.inf), "where it was killed"
        assert (found[-1].get("steps"), found[-1].get("loss")) == (4, 0.125), "where it is"
        assert [entry.get("name") for entry in found[3:8]] == ["pi"] * 4 + ["empty"]
        assert [entry.status for entry in select(found, filter="status in (lost, running)")] == [
            Status.LOST, Status.LOST, Status.RUNNING
        ]  # fmt: skip
        assert len(table(found)) == 9
        store.close("completed")


def test_a_run_says_what_its_run_info_says(tmp_path: Path):
    """In whatever layout the JSON is written."""
    run = make(tmp_path, 0, versions={"python": "3.11"}, host={"name": "box"}, git={"commit": "f"}, command=("a", "b"))
    path = run.directory / "run.json"
    record = json.loads(path.read_text())
    for text in (path.read_text(), json.dumps(record), json.dumps(record, indent=4), json.dumps(record, indent=2)):
        path.write_text(text)
        entry = Run(run.directory)
        for name in ("settings", "versions", "host", "git", "final", "steps"):
            assert entry.value(name) == record[name], name
        assert list(entry.value("command")) == record["command"]
        assert entry.settings == SETTINGS
        assert [entry.get(name) for name in ("lr", "seed", "hidden", "kind")] == [0.1, 0, [16, 16], "train"]


def test_a_text_that_looks_like_a_part_of_the_record_is_a_text(tmp_path: Path):
    trap = '\n  "settings": {\n    "optimizer.learning_rate": 9\n  },\n'
    run = make(tmp_path, 0, description=trap, settings=SETTINGS | {"data.target": '\n    "seed": 5,\n'})
    entry = Run(run.directory)
    assert entry.get("lr") == 0.1
    assert entry.get("seed") == 0
    assert entry.get("description") == trap


def test_damage_anywhere_in_a_run_info_is_found(tmp_path: Path):
    run = make(tmp_path, 0)
    path = run.directory / "run.json"
    path.write_text(path.read_text().replace('"optimizer.kind": "sgd"', '"optimizer.kind": sgd'))
    entry = Run(run.directory)
    assert entry.get("hidden") is None
    assert entry.status is Status.CORRUPT
    assert entry.problem


def test_a_run_without_recorded_settings_is_known_by_its_config(tmp_path: Path):
    run = make(tmp_path, 0, settings={})
    (run.directory / "config.yaml").write_text("name: pi\noptimizer:\n  kind: sgd\n  learning_rate: 0.3\n")
    assert Run(run.directory).get("lr") == 0.3
    (run.directory / "config.yaml").write_text("name: [")
    assert Run(run.directory).settings == {}


def test_settings_are_flat_short_and_still_different():
    long = "x + " * 100
    config = {
        "name": "a", "expect": {"loss": 1}, "seed": 0, "metrics": [], "model": {"layers": [{"units": 3}, {"units": 4}]},
        "data": {"inputs": {"x": list(range(100))}, "noise": None}, "define": {"f": long},
    }  # fmt: skip
    flat = flatten(config)
    assert list(flat) == [
        "seed",
        "metrics",
        "model.layers.0.units",
        "model.layers.1.units",
        "data.inputs.x",
        "define.f",
    ]
    assert len(flat["define.f"]) <= 200
    other = flatten(config | {"define": {"f": long + "1"}})
    assert differing([flat, other]) == ["define.f"]
    assert len(flatten({"a": {str(number): 1 for number in range(1000)}})) == 400


def test_differences_are_told_in_the_order_of_the_config():
    a, b = {"x": 1, "y.kind": "p", "z": [1]}, {"x": 2, "y.kind": "p", "w": 0}
    assert differing([a, b]) == ["x", "z", "w"]
    assert differing([a, a]) == differing([a]) == differing([]) == []
    assert labels(["y.kind", "optimizer.learning_rate", "v.kind"], ["y.kind", "v.kind", "optimizer.learning_rate"]) == {
        "y.kind": "y.kind", "v.kind": "v.kind", "optimizer.learning_rate": "lr"
    }  # fmt: skip


def test_a_table_is_plain_data_and_shows_itself_escaped(tmp_path: Path):
    make(tmp_path, 0, settings=rate(0.1), final={"loss": 1.0, "accuracy": 0.5})
    make(tmp_path, 1, "b", settings=SETTINGS | {"data.target": "<script>\x1b[31m", "seed": 1})
    made = gdrun.table(gdrun.runs(tmp_path))
    assert [row["accuracy"] for row in made] == [0.5, None]
    assert [row["seed"] for row in made] == [0, 1]
    assert "optimizer.kind" not in made[0], "it does not differ"
    page = made._repr_html_()
    assert "<script>" not in page
    assert "\x1b" not in page
    assert gdrun.table(gdrun.runs(tmp_path), ["lr", "loss"]) == [{"lr": 0.1, "loss": 1.0}, {"lr": 0.1, "loss": 0.5}]
    with pytest.raises(UsageError, match="losss"):
        gdrun.table(gdrun.runs(tmp_path), ["losss"])
    assert "no runs" in gdrun.table([])._repr_html_()


def test_a_table_becomes_a_data_frame_where_pandas_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = table([make(tmp_path, 0)], ["id", "loss"])
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ResourceError, match="pandas is not installed"):
        made.to_pandas()
    monkeypatch.undo()
    pandas = pytest.importorskip("pandas")
    assert isinstance(made.to_pandas(), pandas.DataFrame)
    assert made.to_pandas()["loss"].tolist() == [0.5]
