"""Runs beside each other: compare, diff, where losses part; what is known of one run; the end of a growing file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdrun
from gdrun.errors import UsageError
from gdrun.experiment.loading import load_config
from gdrun.rundir import strict_json
from gdrun.rundir.comparing import compare, diff, parting
from gdrun.rundir.describing import column_summary, describe_run
from gdrun.rundir.run import Run
from gdrun.rundir.settings import flatten
from gdrun.rundir.store import RunStore
from gdrun.rundir.tail import Tail, follow, last_row
from tests.rows import append_rows

WRITTEN = """\
name: line
data: {kind: values, inputs: {x: [1, 2]}, target: [1, 2]}
model: {kind: formula, formula: a * x, parameters: {a: 0}}
loss: squared_error
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 3}
"""


def make(root: Path, losses: Sequence[Any] = (4, 2, 1), overrides: Sequence[str] = (), **fields: Any) -> Run:
    from gdrun.experiment.dump import plain

    loaded = load_config(WRITTEN.encode(), overrides)
    fields = {"settings": flatten(plain(loaded.experiment)), "precision": "float64"} | fields
    with RunStore.create(root, "line", **fields) as store:
        store.write_text("config.yaml", loaded.resolved_text())
        store.write_text("source/line.yaml", WRITTEN)
        store.write_text("source/overrides.txt", "".join(f"{line}\n" for line in overrides))
        append_rows(store, [{"step": step, "loss": loss} for step, loss in enumerate(losses)])
        store.close("completed", steps=len(losses) - 1, final={"loss": losses[-1]} | fields.get("final", {}))
    return Run(store.directory)


def test_compare_shows_small_parameters_of_runs_and_of_the_best_trial(tmp_path: Path):
    run, sweep = make(tmp_path), make(tmp_path, kind="sweep")
    arrays = {"a": np.float32(0.5), "W": np.array([[1.0, 2.0]]), "net.kernel": np.zeros((4, 4))}
    np.savez(run.directory / "parameters.npz", **arrays)
    (sweep.directory / "best").mkdir()
    (sweep.directory / "best" / "run.json").write_bytes((run.directory / "run.json").read_bytes())
    np.savez(sweep.directory / "best" / "parameters.npz", a=np.float32(0.25))
    results = {row["name"]: row["values"] for row in compare([run, Run(sweep.directory)])["results"]}
    assert {name: values for name, values in results.items() if name.startswith("parameters.")} == {
        "parameters.a": [0.5, 0.25], "parameters.W[0,0]": [1, None], "parameters.W[0,1]": [2, None]
    }  # fmt: skip


def test_compare_puts_results_and_differing_settings_side_by_side(tmp_path: Path):
    runs = [
        make(tmp_path, final={"accuracy": 0.5, "gradient_norm": 1.0}),
        make(tmp_path, (4, 3, 2.5), ["lr=0.05", "seed=7"], final={"accuracy": 0.75, "gradient_norm": 2.0}),
        make(tmp_path, (4, 3, "nan"), ["lr=0.05"]),
    ]
    facts = compare(runs)
    results = {row["name"]: row for row in facts["results"]}
    assert facts["runs"] == [run.id for run in runs]
    assert results["loss"]["values"][:2] == [1, 2.5]
    assert math.isnan(results["loss"]["values"][2])
    assert {name: row["best"] for name, row in results.items()} == {
        "status": None, "steps": None, "loss": 0, "accuracy": 1, "gradient_norm": None
    }  # fmt: skip
    assert {row["name"]: row["values"] for row in facts["settings"]} == {
        "seed": [0, 7, 0], "optimizer.learning_rate": [0.1, 0.05, 0.05]
    }  # fmt: skip
    assert strict_json.loads(strict_json.dumps(facts))["runs"] == facts["runs"]


def test_diff_tells_settings_environment_and_where_the_losses_part(tmp_path: Path):
    a = make(tmp_path, (4, 2, 1), versions={"tensorflow": "2.20"}, device="cpu", host={"name": "box", "process": 1})
    b = make(
        tmp_path,
        (4, 2, 3),
        ["lr=0.2"],
        versions={"tensorflow": "2.21"},
        device="cpu",
        host={"name": "box", "process": 2},
    )
    facts = diff(a, b)
    assert facts["settings"] == [{"name": "optimizer.learning_rate", "a": 0.1, "b": 0.2}]
    assert facts["environment"] == [{"name": "versions.tensorflow", "a": "2.20", "b": "2.21"}], (
        "a process id means nothing"
    )
    assert facts["losses"]["first"] == {"step": 2, "a": 1, "b": 3, "absolute": 2, "relative": pytest.approx(2 / 3)}
    same = gdrun.diff(a.directory, a.directory)
    assert (same["settings"], same["environment"], same["losses"]["same"]) == ([], [], True)


def columns(steps: list[int], losses: list[float], kind: Any = np.float64) -> dict[str, np.ndarray]:
    return {"step": np.array(steps), "loss": np.array(losses, kind)}


def test_losses_part_at_the_first_common_step_with_another_bit():
    a = columns([0, 1, 2, 5, 9], [9, 8, 7, 1, 5])
    b = columns([0, 2, 3, 5, 9], [9, np.nextafter(7, 8), 6, 4, 5])
    found = parting(a, b)
    assert (found["rows"], found["same"], found["first"]["step"], found["greatest"]["step"]) == (4, False, 2, 5)
    assert found["first"]["absolute"] == np.nextafter(7, 8) - 7


def test_nan_equals_nan_and_differs_from_numbers():
    a, b = columns([0, 1, 2], [1, math.nan, math.inf]), columns([0, 1, 2], [1, math.nan, math.inf])
    assert parting(a, b)["same"] is True
    found = parting(a, columns([0, 1, 2], [1, 2, math.inf]))
    assert (found["first"]["step"], found["greatest"]["step"], found["first"]["relative"]) == (1, 1, None)


def test_runs_without_a_common_step_say_nothing():
    assert parting(columns([0], [1]), columns([1], [1]))["same"] is None
    assert parting({}, columns([1], [1]))["rows"] == 0


def test_float32_and_float64_runs_are_compared_by_value():
    assert parting(columns([0], [0.5], np.float32), columns([0], [0.5]))["same"] is True
    assert parting(columns([0], [0.1], np.float32), columns([0], [0.1]))["same"] is False


def test_a_description_tells_what_was_written_and_what_is_default(tmp_path: Path):
    facts = describe_run(make(tmp_path, overrides=["lr=0.2", "seed=3"]))
    assert set(facts["written"]) == {
        "seed", "data.kind", "data.inputs.x", "data.target", "model.kind", "model.formula", "model.parameters.a",
        "loss.kind", "optimizer.kind", "optimizer.learning_rate", "schedule.steps",
    }  # fmt: skip
    assert facts["settings"]["optimizer.momentum"] == 0
    assert facts["metrics"]["loss"] == {
        "first": 4, "last": 1, "best": 1, "best_is": "least", "best_step": 2, "count": 3
    }  # fmt: skip
    assert set(facts["files"]) == {
        "config.yaml",
        "metrics.jsonl",
        "run.json",
        "source/line.yaml",
        "source/overrides.txt",
    }
    assert facts["files"]["source/line.yaml"] == len(WRITTEN)
    assert strict_json.loads(strict_json.dumps(facts))["problems"] == []


def test_a_description_of_a_broken_run_says_what_is_broken(tmp_path: Path):
    run = make(tmp_path)
    (run.directory / "metrics.jsonl").write_text('{"step":0,"loss":1}\nnonsense\n{"step":1')
    assert describe_run(run)["problems"] == ["metrics.jsonl: 1 corrupt lines, a torn end"]
    (run.directory / "run.json").write_text("{")
    facts = describe_run(Run(run.directory))
    assert facts["status"] == "corrupt"
    assert "run.json is corrupt" in facts["problems"][0]
    assert facts["rows"] == 1


def test_the_summary_of_a_column_knows_gaps_infinities_and_what_should_rise():
    steps = {"step": np.arange(4)}
    assert column_summary("loss", np.array([math.nan, 3, math.inf, 2]), steps) == {
        "first": 3, "last": 2, "best": 2, "best_is": "least", "best_step": 3, "count": 3
    }  # fmt: skip
    assert column_summary("validation_accuracy", np.array([0.1, 0.9, 0.5, 0.5]), steps)["best_step"] == 1  # type: ignore[index]
    assert column_summary("loss", np.full(4, math.nan), steps) == {"first": None, "last": None, "count": 0}
    assert column_summary("w", np.zeros((4, 2)), steps) is None
    assert column_summary("step", np.arange(4), steps) is None


def test_new_rows_are_read_once_and_whole(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    tail = Tail(tmp_path)
    assert tail.new_rows() == []
    path.write_bytes(b'{"step":0}\n{"step":1}\n{"st')
    assert tail.new_rows() == [{"step": 0}, {"step": 1}]
    assert tail.new_rows() == []
    with path.open("ab") as file:
        file.write(b'ep":2}\nnonsense\n[1]\n{"step":3}\n')
    assert tail.new_rows() == [{"step": 2}, {"step": 3}]
    path.write_bytes(b'{"step":0}\n')
    assert tail.new_rows() == [], "a resumed run has cut its last rows off"
    with path.open("ab") as file:
        file.write(b'{"step":1}\n')
    assert tail.new_rows() == [{"step": 1}]


def test_following_ends_with_the_writer_and_misses_no_row(tmp_path: Path):
    seen, moments = [], []
    with RunStore.create(tmp_path, "live") as store:
        append_rows(store, [{"step": 0}])

        def wait(seconds: float) -> None:
            moments.append(seconds)
            if len(moments) == 3:
                append_rows(store, [{"step": 99}])
                store.close("completed")
            elif len(moments) < 3:
                append_rows(store, [{"step": len(moments)}])

        for rows in follow(store.directory, pause_seconds=0.5, sleep=wait):
            seen += [row["step"] for row in rows]
    assert seen == [0, 1, 2, 99]
    assert moments == [0.5] * 3


def test_the_last_row_is_the_last_whole_one(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    assert last_row(tmp_path) is None
    path.write_bytes(
        b"".join(b'{"step":%d,"pad":"%s"}\n' % (step, b"x" * 50) for step in range(5000)) + b'{"step":99999'
    )
    assert last_row(tmp_path)["step"] == 4999  # type: ignore[index]
    path.write_bytes(b'{"step":1}\nnonsense\n' + b"[" * 60_000 + b"\n")
    assert last_row(tmp_path) == {"step": 1}


def test_compare_over_seed_sums_up_separate_runs(tmp_path: Path):
    ends = [1.0, 5.0, 2.0, 4.0, 3.0]
    runs = [make(tmp_path, (9, end), [f"seed={seed}"]) for seed, end in enumerate(ends)]
    runs.append(make(tmp_path, (9, 0.5), ["lr=0.05"]))
    facts = compare(runs, over="seed")
    assert [len(members) for members in facts["members"]] == [5, 1]
    rows = {row["name"]: row for row in facts["results"]}
    assert rows["seeds"]["values"] == [5, 1]
    assert rows["diverged"]["values"] == [0, 0]
    assert [rows["loss"][key][0] for key in ("low", "values", "high")] == np.quantile(ends, (0.25, 0.5, 0.75)).tolist()
    assert rows["loss"]["best"] == 1
    assert facts["settings"] == [{"name": "optimizer.learning_rate", "values": [0.1, 0.05]}]
    mean = {row["name"]: row for row in compare(runs, over="seed", band="deviation")["results"]}["loss"]
    assert mean["high"][0] - mean["values"][0] == pytest.approx(np.std(ends, ddof=1))
    with pytest.raises(UsageError, match="not over 'momentum'"):
        compare(runs, over="momentum")
