"""`gdrun sweep`: the table of trials, what is seen while it runs, and what is said at the end."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gdrun.cli import progress
from gdrun.cli.sweep_table import shown_trials
from gdrun.errors import ConfigError, Problem
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import RunInfo
from gdrun.training.listener import Plan, Progress

RATE = "optimizer.learning_rate"


@dataclass
class FakeSweep:
    """Stands in for gdrun.sweeping.run: writes a sweep's table with the outcome that a test sets."""

    rows: list[dict[str, Any]] = field(default_factory=lambda: [outcome(0.1, 0.5), outcome(0.2, 0.25)])
    axes: Sequence[str] = (RATE,)
    extra: dict[str, Any] = field(default_factory=dict)
    status: str = "completed"
    signal: int | None = None
    warnings: tuple[str, ...] = ()
    error: Exception | None = None
    called: list[tuple[Any, ...]] = field(default_factory=list)

    def sweep(self, source: Any, arguments: Any = (), *, listener: Any = None, log: Any, **options: Any) -> Run:
        """Take the place of gdrun.sweeping.run.sweep."""
        self.called.append((source, list(arguments), options))
        if self.error is not None:
            raise self.error
        count = len(self.rows)
        listener.planned(
            Plan("line", "", 5, 1, 1, ("w",), "cpu", "xla", "float32", None, num_trials=count, group_sizes=(count,))
        )
        for message in self.warnings:
            listener.warned(message)
        directory = Path("runs/sweep")
        directory.mkdir(parents=True, exist_ok=True)
        columns = list(
            dict.fromkeys(["trial", *self.axes, "status", "loss", *(name for row in self.rows for name in row)])
        )
        with (directory / "trials.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(
                [[({"trial": n} | row).get(name, "") for name in columns] for n, row in enumerate(self.rows)]
            )
        extra = {"axes": [{"key": key, "values": None} for key in self.axes], "metric": "loss", "direction": "minimize"}
        record = RunInfo(
            id="sweep", name="line", kind="sweep", status=self.status, signal=self.signal, seconds=2.0,
            **(extra | self.extra),
        )  # fmt: skip
        (directory / "run.json").write_text(record.to_text())
        run = Run(directory)
        listener.finished(run)
        return run


def outcome(rate: float, loss: float, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {RATE: rate, "status": status, "loss": loss, **more}


@pytest.fixture
def sweeping(monkeypatch: pytest.MonkeyPatch) -> FakeSweep:
    fake = FakeSweep()
    monkeypatch.setattr("gdrun.sweeping.run.sweep", fake.sweep)
    return fake


EXECUTION = {"compile": "xla", "compile_why": "the fastest", "precision": "float64", "device": "cpu"}
EXECUTION |= {"strategy": "lanes", "why": "lanes: 16"}


@pytest.fixture(autouse=True)
def no_building(monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/sweeping/test_lanes.py compares what a dry run says with what runs."""
    monkeypatch.setattr("gdrun.sweeping.run.execution_plan", lambda spec, *, device, threads: EXECUTION)


def test_a_dry_run_shows_the_table_and_how_trials_would_run(gdrun, config):
    result = gdrun("sweep", config(), "lr=0.1,0.2", "seed=0,1", "--dry-run")
    assert (result.code, result.out) == (0, "")
    lines = [line.split() for line in result.err.splitlines()]
    assert lines[0] == ["line:", "4", "trials,", "ranked", "by", "the", "smallest", "loss"]
    assert lines[1] == ["trial", RATE, "seed"]
    assert lines[2:6] == [["0", "0.1", "0"], ["1", "0.1", "1"], ["2", "0.2", "0"], ["3", "0.2", "1"]]
    assert [" ".join(line) for line in lines[-3:]] == [
        "runs as xla, float64, cpu", "why xla: the fastest", "trials lanes: lanes: 16"
    ]  # fmt: skip


def test_a_dry_run_says_what_runs_together(gdrun, config):
    assert "all of them can share one program" in gdrun("sweep", config(), "lr=0.1,0.2", "--dry-run").err
    said = gdrun("sweep", config(), "lr=0.1,0.2", "optimizer.kind=sgd,adam", "--dry-run").err
    assert "2 groups share a program each:" in said
    assert "trials of the first group" in said
    assert "  2 trials  optimizer.kind=sgd\n  2 trials  optimizer.kind=adam\n" in said


def test_a_long_table_is_thinned(gdrun, config):
    result = gdrun("sweep", config(), "lr=log:1e-4:1:1000", "--dry-run")
    assert "and 984 more" in result.err
    assert len(result.err.splitlines()) == 23
    assert shown_trials(17) == list(range(17))
    assert len(shown_trials(18)) == 16


def test_the_plan_as_json_has_axes_and_rows(gdrun, config):
    result = gdrun("sweep", config(), "lr=0.1,0.2", "--dry-run", "--json")
    (plan,) = json.loads(result.out)["plans"]
    assert plan["trials"] == 2
    assert plan["groups"] == [{"trials": 2, "values": {}}]
    assert plan["axes"] == [{"key": RATE, "count": 2, "values": [0.1, 0.2], "distribution": None}]
    assert plan["rows"] == [{"trial": 0, RATE: 0.1}, {"trial": 1, RATE: 0.2}]
    assert plan["execution"] == EXECUTION


def test_a_search_shows_what_it_may_propose(gdrun, config):
    result = gdrun("sweep", config(), "lr=loguniform:1e-4:1", "--search", "tpe", "--trials", "30", "--dry-run")
    assert "30 trials, proposed by tpe" in result.err
    assert "loguniform 0.0001 to 1" in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lr=0.1,-1"], "argument 1: trial 1: must be at least 0, got -1\n      | lr=0.1,-1\n      |        ^^"),
        (["lr=lin:0:1:100000000"], "100,000,000 trials"),
        (["lr=log:0:1:5"], "needs ends greater than 0"),
        (["lrr=1,2"], "there is no setting 'lrr'"),
        (["lr=0.1,0.2", "--trials", "3"], "every space is a list"),
        (["--search", "tpa"], "did you mean 'tpe'?"),
        (["--metric", "accuracy"], "the metric 'accuracy' is not computed"),
        (["--device", "tpu"], "there is no device 'tpu'"),
        (["--name", "A B"], "cannot be the name"),
        (["other.yaml"], "other.yaml"),
        (["-"], "without other configs"),
        (["--jobs", "0"], "--jobs"),
    ],
)
def test_what_is_refused_leaves_no_trace(gdrun, config, tmp_path, arguments, said):
    result = gdrun("sweep", config(), *arguments, "--dry-run")
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["line.yaml"]


def test_the_directory_goes_to_stdout_and_the_tables_to_stderr(gdrun, config, sweeping):
    sweeping.rows = [outcome(0.1, 0.5), outcome(0.2, 0.25), outcome(3.0, 1e30, "diverged")]
    result = gdrun("sweep", config(), "lr=0.1,0.2,3")
    assert (result.code, result.out) == (0, "runs/sweep\n")
    assert "line completed: 3 trials (1 diverged) in 2 s" in result.err
    assert "best     lr   loss\n  trial 1  0.2  0.25\n  trial 0  0.1  0.5" in result.err
    assert "lr: 0.2 did not diverge, 3 did" in result.err
    assert "\x1b" not in result.err


def test_options_reach_the_sweep(gdrun, config, sweeping):
    options = [
        "--trials",
        "9",
        "--jobs",
        "2",
        "--maximize",
        "--metric",
        "r2",
        "--search",
        "random",
        "--cluster",
        "local:2",
    ]
    gdrun("sweep", config(), "lr=uniform:0:1", "--name", "a", "--device", "cpu", "--threads", "1", *options)
    ((source, arguments, given),) = sweeping.called
    assert (source, arguments) == ("line.yaml", ["lr=uniform:0:1"])
    wanted = {"trials": 9, "jobs": 2, "maximize": True, "metric": "r2", "search": "random", "cluster": "local:2"}
    assert given == wanted | {
        "name": "a",
        "device": "cpu",
        "threads": 1,
        "runs_dir": None,
        "lanes": None,
        "wait": None,
        "part": None,
    }


@pytest.mark.parametrize(
    ("rows", "more", "code"),
    [
        ([outcome(0.1, 1.0), outcome(9.0, 1e30, "diverged")], {}, 0),
        ([outcome(5.0, 1e30, "diverged"), outcome(9.0, 1e30, "diverged")], {}, 3),
        ([outcome(0.1, 1.0), outcome(0.2, 0.0, "failed", why="no memory")], {}, 7),
        ([outcome(0.1, 1.0)], {"extra": {"trials": {"total": 2}}}, 7),
        ([outcome(5.0, 1e30, "diverged")], {"extra": {"trials": {"total": 2}}}, 7),
        ([outcome(0.1, 1.0)], {"status": "interrupted", "signal": 2}, 130),
        ([outcome(0.1, 1.0)], {"status": "interrupted", "signal": 15}, 143),
    ],
)
def test_exit_codes(gdrun, config, sweeping, rows, more, code):
    sweeping.rows = rows
    for name, value in more.items():
        setattr(sweeping, name, value)
    assert gdrun("sweep", config()).code == code


def test_a_failed_trial_is_told_and_how_to_run_it_again(gdrun, config, sweeping):
    sweeping.rows = [outcome(0.1, 1.0), outcome(0.2, 0.0, "failed", why="no memory")]
    said = gdrun("sweep", config()).err
    assert "a trial failed: no memory" in said
    assert "gdrun resume sweep" in said


def test_seeds_are_summed_up(gdrun, config, sweeping):
    sweeping.axes = (RATE, "seed")
    sweeping.rows = [outcome(0.1, loss, seed=seed) for seed, loss in enumerate([1.0, 2.0, 3.0])]
    said = gdrun("sweep", config()).err
    assert "loss, median  middle half  seeds" in said
    assert [line.split() for line in said.splitlines() if line.startswith("  trial")] == [
        ["trial", "0", "0.1", "2", "1", "to", "3", "3"]
    ]


def test_a_predicted_limit_is_shown(gdrun, config, sweeping):
    sweeping.extra = {"prediction": {"limit": 0.788, "why": "2 / the largest curvature at the start"}}
    assert "predicted limit 0.788: 2 / the largest curvature" in gdrun("sweep", config()).err


def test_json_is_one_document(gdrun, config, sweeping):
    sweeping.rows = [outcome(0.1, 0.5), outcome(3.0, 1e30, "diverged")]
    result = gdrun("sweep", config(), "--json", "-q")
    document = json.loads(result.out)
    assert result.err == ""
    assert document["exit_code"] == 0
    (told,) = document["sweeps"]
    assert told["trials"]["diverged"] == 1
    assert told["best"][0]["values"] == {RATE: 0.1}
    assert told["edges"] == [{"axis": RATE, "values": {}, "largest": 0.1, "smallest": 3.0}]


def test_several_configs_are_swept_one_after_the_other_with_the_same_spaces(gdrun, config, sweeping):
    result = gdrun("sweep", config("a"), "lr=0.1,0.2", config("b"))
    assert (result.code, result.out) == (0, "runs/sweep\nruns/sweep\n")
    assert [called[:2] for called in sweeping.called] == [("a.yaml", ["lr=0.1,0.2"]), ("b.yaml", ["lr=0.1,0.2"])]
    assert [
        plan["name"] for plan in json.loads(gdrun("sweep", "a.yaml", "b.yaml", "--dry-run", "--json").out)["plans"]
    ] == ["a", "b"]


def test_no_sweep_begins_where_one_of_them_is_refused(gdrun, config, sweeping):
    result = gdrun("sweep", config("a"), config("b", "nonsense: 1\n"), "lr=0.1,0.2")
    assert result.code == 2
    assert "unknown key 'nonsense'" in result.err
    assert sweeping.called == []


def test_an_interrupt_ends_all_sweeps(gdrun, config, sweeping):
    sweeping.status, sweeping.signal = "interrupted", 2
    assert gdrun("sweep", config("a"), config("b")).code == 130
    assert len(sweeping.called) == 1


def test_quiet_says_nothing_but_warnings(gdrun, config, sweeping):
    sweeping.warnings = ("one at a time: this has convolutions",)
    result = gdrun("sweep", config(), "-q")
    assert result.out == "runs/sweep\n"
    assert result.err == "warning: one at a time: this has convolutions\n"


def test_an_error_of_the_sweep_is_told_as_everywhere(gdrun, config, sweeping):
    sweeping.error = ConfigError((Problem("trial 3: this does not fit"),), source="line.yaml")
    result = gdrun("sweep", config())
    assert (result.code, result.out) == (2, "")
    assert "trial 3: this does not fit" in result.err


def test_a_pipe_gets_plain_lines_at_growing_distances(capsys):
    listener = progress.listener("line")
    for seconds in (0.5, 1.1, 1.5, 2.5, 9.0):
        listener.progress(
            Progress(
                seconds,
                2.5e6,
                trials_done=int(seconds * 10),
                num_trials=1000,
                diverged=3,
                best_value=0.25,
                best_trial=7,
            )
        )
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"line: {done} of 1,000 trials done, 3 diverged, best so far 0.25 (trial 7), 2.5 M steps/s, {time}"
        for done, time in ((11, "1.1 s"), (25, "2.5 s"), (90, "9 s"))
    ]


def test_a_hostile_value_is_escaped(gdrun, config, sweeping):
    sweeping.axes = ("description",)
    sweeping.rows = [{"description": "\x1b[2J", "status": "completed", "loss": 1.0}]
    result = gdrun("sweep", config())
    assert "\x1b" not in result.out + result.err
