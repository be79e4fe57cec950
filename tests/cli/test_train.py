"""`gdrun train`, with a training whose outcome is given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gdrun.errors import ConfigError, Place, Problem, ResourceError, RunDirectoryError

from .conftest import report


def test_stdout_is_the_run_directory_s_path_alone(gdrun, training, config):
    result = gdrun("train", config())
    assert result.code == 0
    assert result.out.count("\n") == 1
    assert (Path(result.out.strip()) / "run.json").is_file()


def test_stderr_ends_with_a_table_of_status_steps_time_loss_and_parameters(gdrun, training, config):
    training.record = {"why": "the schedule's end, 10 steps", "epochs": 2.5}
    lines = gdrun("train", config()).err.splitlines()
    assert lines[0] == "line completed: the schedule's end, 10 steps"
    assert [line.split() for line in lines[1:]] == [
        ["steps", "10", "(2.5", "epochs)"],
        ["time", "0.5", "s"],
        ["loss", "0.25"],
        ["r2", "0.5"],
        ["a", "2"],
    ]


def test_piped_output_has_no_escape_code(gdrun, training, config):
    training.progress = [report(5, 1.5)]
    result = gdrun("train", config())
    assert "line: step 5" in result.err
    assert "\x1b" not in result.out + result.err


def test_quiet_says_nothing_but_the_path(gdrun, training, config):
    training.progress = [report(5, 1.5)]
    result = gdrun("train", "-q", config("a", "expect: {steps: 10}\n"))
    assert result.err == ""
    assert result.out.count("\n") == 1


def test_float32_digits_are_shown_as_float32_has_them(gdrun, training, config):
    training.parameters = {"a": np.float32(0.1), "W": np.array([[0.2], [5.803526e-37]], np.float32)}
    table = gdrun("train", config()).err
    assert "a      0.1\n" in table
    assert "W      [[0.2], [5.803526e-37]]\n" in table


def test_many_parameters_are_counted_and_the_scalars_beside_them_printed(gdrun, training, config):
    training.parameters = {"W": np.zeros((100, 11)), "k": np.float32(0.1), "b": np.ones(3)}
    said = gdrun("train", config()).err
    assert "1,104 numbers, in parameters.npz" in said
    assert "k           0.1\n" in said
    assert "b  " not in said


def test_expectations_are_ignored_and_that_is_said_in_one_line(gdrun, training, config):
    result = gdrun("train", config("a", "expect: {steps: 11}\n"), config("b"))
    said = [line for line in result.err.splitlines() if "expect" in line]
    assert result.code == 0
    assert said == ["`expect` is ignored by train; see `gdrun check a.yaml`"]


@pytest.mark.parametrize(
    ("status", "record", "code"),
    [
        ("completed", {}, 0),
        ("stopped", {"stopped_by": "patience"}, 0),
        ("diverged", {"diverged": {"step": 3, "quantity": "loss"}}, 3),
        ("interrupted", {"stopped_by": "signal", "signal": 2}, 130),
        ("interrupted", {"stopped_by": "signal", "signal": 15}, 143),
        ("interrupted", {"stopped_by": "signal", "signal": 1}, 143),
        ("interrupted", {"stopped_by": "signal", "why": "SIGTERM is only prose", "signal": 2}, 130),
    ],
)
def test_the_exit_code_tells_the_outcome(gdrun, training, config, status, record, code):
    training.status, training.record = status, record
    result = gdrun("train", config())
    assert result.code == code
    assert f"line {status}" in result.err
    assert result.out, "what was recorded is kept, and said where"


def test_an_interrupt_ends_the_runs_that_come_after_it_too(gdrun, training, config):
    training.status, training.record = "interrupted", {"why": "SIGINT at step 3", "signal": 2}
    assert gdrun("train", config("a"), config("b")).code == 130
    assert training.executed == ["a"]


def test_all_configs_are_checked_before_the_first_one_runs(gdrun, training, config):
    result = gdrun("train", config("a"), config("b", "nonsense: 1\n"), config("c", "rubbish: 2\n"))
    assert result.code == 2
    assert "nonsense" in result.err
    assert "rubbish" in result.err
    assert training.prepared == []


def test_a_config_that_cannot_be_built_leaves_nothing_on_disk(gdrun, training, config):
    place = Place("line.yaml", 4, 1, 5, "model: ...")
    training.prepare_error = ConfigError((Problem("the shapes differ", place=place),), source="line.yaml")
    result = gdrun("train", config())
    assert result.code == 2
    assert "line.yaml:4:1: the shapes differ" in result.err
    assert not Path("runs").exists()


def test_a_missing_device_is_exit_8(gdrun, training, config):
    training.prepare_error = ResourceError("device gpu is not there", hint="use cpu")
    result = gdrun("train", config(), "--device", "gpu")
    assert result.code == 8
    assert "device gpu is not there" in result.err
    assert "use cpu" in result.err


def test_a_run_that_fails_on_the_disk_does_not_keep_the_others_from_running(gdrun, training, config):
    training.error = RunDirectoryError("the disk is full")
    result = gdrun("train", config("a"), config("b"))
    assert result.code == 5
    assert training.executed == ["a", "b"]


def test_options_reach_the_training(gdrun, training, config):
    result = gdrun("train", config(), "--runs-dir", "elsewhere", "--name", "mine", "--device", "cpu", "--threads", "3")
    assert result.out.startswith("elsewhere/")
    assert "-mine-" in result.out
    assert training.prepared == [{"device": "cpu", "threads": 3, "smoke": False}]


def test_the_environment_names_the_runs_directory(gdrun, training, config, monkeypatch):
    monkeypatch.setenv("GDRUN_RUNS", "from-environment")
    assert gdrun("train", config()).out.startswith("from-environment/")


@pytest.mark.parametrize("option", [["--name", "../evil"], ["--name", ""], ["--device", "tpu"], ["--threads", "0"]])
def test_an_impossible_option_is_refused(gdrun, training, config, option):
    assert gdrun("train", config(), *option).code == 2
    assert training.executed == []


def test_a_smoke_run_keeps_nothing(gdrun, training, config):
    result = gdrun("train", config(), "--smoke")
    assert result.code == 0
    assert result.out == ""
    assert training.prepared[0]["smoke"] is True
    assert not Path("runs").exists()


def test_what_libraries_print_goes_to_the_log_and_not_to_the_user(gdrun, training, config):
    training.noise = "I0000 cuda_driver.cc:1 no GPU\n"
    result = gdrun("train", config())
    assert training.logged == [training.noise]
    assert "cuda_driver" not in result.out + result.err


def test_a_bug_shows_what_was_held_back(gdrun, training, config):
    training.noise = "F0000 fatal in some kernel\n"
    training.error = ZeroDivisionError("oops")
    result = gdrun("train", config())
    assert result.code == 1
    assert "bug in gdrun: ZeroDivisionError: oops" in result.err
    assert "fatal in some kernel" in result.err
    assert "Traceback" not in result.err


def test_a_bug_in_one_config_does_not_keep_the_others_from_running(gdrun, training, config):
    training.error = ZeroDivisionError("oops")
    result = gdrun("train", config("a"), config("b"))
    assert result.code == 1
    assert training.executed == ["a", "b"]


def test_runs_of_one_name_are_told_apart_by_their_configs(gdrun, training, config):
    lines = gdrun("train", config("a"), config("b"), "--name", "fit").err.splitlines()
    assert [line for line in lines if "completed" in line] == ["a.yaml completed", "b.yaml completed"]
    assert "fit completed" in gdrun("train", config("a"), "--name", "fit").err


def test_a_table_has_the_rows_as_they_come(gdrun, training, config):
    training.rows = [{"step": 0, "loss": 1.5}, {"step": 1, "loss": 0.5, "loss_before": 1.5, "W": [0.25, "nan"]}]
    result = gdrun("train", config(), "--table")
    assert [line.split() for line in result.err.splitlines()[:3]] == [
        ["step", "loss", "loss_before", "W"],
        ["0", "1.5"],
        ["1", "0.5", "1.5", "[0.25,", "nan]"],
    ]
    assert result.out.count("\n") == 1


ADVICE = [
    ({}, {"data.kind": "formula", "optimizer.learning_rate": 0.1}, "a smaller learning rate may hold"),
    ({"diverged": {"step": 0, "quantity": "loss"}}, {"optimizer.learning_rate": 0.1}, "the initial values give that"),
    ({}, {"optimizer.learning_rate": 0}, ""),
    ({}, {"optimizer.learning_rate": 0.1, "optimizer.kind": "formula"}, ""),
    ({}, {"optimizer.learning_rate": 0.1, "gradients.use": True}, ""),
    ({}, {"optimizer.learning_rate": 0.1, "model.formula": "x * stop_gradient(y) - y * stop_gradient(x)"}, ""),
    ({"why": "in float64 the loss there is 100: precision=float64"}, {"optimizer.learning_rate": 0.1}, ""),
    ({}, {"optimizer.kind": "levenberg_marquardt"}, ""),
    ({"why": "a gradient became nan; without XLA it is finite there: compile=graph"}, {}, ""),
]


@pytest.mark.parametrize(("record", "settings", "advice"), ADVICE)
def test_advice_follows_from_what_happened(gdrun, training, config, record, settings, advice):
    training.status = "diverged"
    training.record = {"diverged": {"step": 7, "quantity": "loss"}, "settings": settings} | record
    result = gdrun("train", config())
    assert (advice or "line diverged") in result.err
    assert ("learning rate may hold" in result.err) == ("learning rate" in advice)
    assert ("data far from 1" in result.err) == ("data.kind" in settings)


def test_a_stop_rule_that_never_fired_may_be_expected(gdrun, training, config):
    training.record = {
        "why": "the schedule's end, 10 steps; no stop rule fired before: loss_below 1e-09, formula a > 1"
    }
    assert "`expect: {stopped_by: loss_below}` lets `gdrun check` insist on it" in gdrun("train", config()).err


def test_a_loss_that_fell_until_it_was_not_finite_blames_no_rate(gdrun, training, config):
    training.status = "diverged"
    training.record = {"diverged": {"step": 7, "quantity": "loss"}, "settings": {"optimizer.learning_rate": 0.1}}
    training.rows = [{"step": 0, "loss": -1.0}, {"step": 7, "loss": -1e300}]
    assert "learning rate" not in gdrun("train", config()).err


def test_json_is_one_strict_document(gdrun, training, config):
    training.status, training.record = "diverged", {"final": {"loss": float("nan")}}
    result = gdrun("train", config("a"), config("b"), "--json")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(result.out, parse_constant=refuse)
    assert document["exit_code"] == result.code == 3
    assert [run["config"] for run in document["runs"]] == ["a.yaml", "b.yaml"]
    first = document["runs"][0]
    assert first["status"] == "diverged"
    assert first["final"] == {"loss": "nan"}
    assert first["parameters"] == {"a": 2.0}
    assert (Path(first["directory"]) / "run.json").is_file()


def test_json_tells_refusals_too(gdrun, training, config):
    result = gdrun("train", config("a", "nonsense: 1\n"), "--json")
    document = json.loads(result.out)
    assert document["exit_code"] == result.code == 2
    assert document["error"]["problems"][0]["line"] == 7


def test_a_closed_stdout_keeps_no_run_from_running(gdrun, training, config, monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    gdrun("train", config("a"), config("b"))
    assert training.executed == ["a", "b"]


def test_hostile_text_in_a_record_is_escaped(gdrun, training, config):
    training.record = {"why": "\x1b[2J[red]x", "final": {"lo\nss": 1.0}, "stopped_by": "\x07"}
    shown = gdrun("train", config()).err
    assert "\x1b" not in shown
    assert "\\x1b[2J[red]x" in shown
    assert "lo\\nss" in shown
