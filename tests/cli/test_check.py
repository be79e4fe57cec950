"""`gdrun check`, with a training whose outcome is given."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from gdrun.errors import RunDirectoryError


@pytest.fixture(autouse=True)
def training_in_use(training):
    """No test here trains for real."""


def test_met_expectations_are_exit_0(gdrun, config):
    result = gdrun("check", config("a", "expect: {steps: 10, loss: 0.25, parameters: {a: 2}}\n"))
    assert result.code == 0
    assert result.out == ""
    assert "ok     a.yaml: 4 expectations" in result.err
    assert "1 config: 1 met, 0 not" in result.err


def test_a_missed_one_is_exit_4_and_shown_with_both_numbers(gdrun, config):
    result = gdrun("check", config("a", "expect: {loss: {value: 0.5, rtol: 0.1}}\n"), config("b"))
    assert result.code == 4
    assert "MISSED a.yaml" in result.err
    assert "loss: expected 0.5 (rtol 0.1), got 0.25; off by 0.25" in result.err
    assert "2 configs: 1 met, 1 not" in result.err


def test_a_config_without_expectations_is_said_to_have_none(gdrun, config):
    result = gdrun("check", config())
    assert result.code == 0
    assert "no `expect:`, so only the status is judged" in result.err


def test_an_expected_divergence_is_exit_0(gdrun, config, training):
    training.status, training.record = "diverged", {"diverged": {"step": 7, "quantity": "loss"}}
    assert gdrun("check", config("a", "expect: {status: diverged, diverged_at: 7}\n")).code == 0
    assert gdrun("check", config("b")).code == 4


def test_verbose_shows_every_row(gdrun, config):
    shown = gdrun("check", "-v", config("a", "expect: {loss: 0.25}\n")).err
    assert [line.split() for line in shown.splitlines() if line.startswith("  ok")] == [
        ["ok", "status", "completed", "or", "stopped", "completed"],
        ["ok", "loss", "0.25", "exact", "0.25"],
    ]


def test_nothing_is_kept_unless_asked_for(gdrun, config, monkeypatch):
    monkeypatch.setenv("GDRUN_RUNS", "from-environment")
    gdrun("check", config())
    assert not Path("from-environment").exists()
    gdrun("check", config(), "--keep")
    assert len(list(Path("from-environment").glob("*-line-*"))) == 1
    gdrun("check", config(), "--runs-dir", "named")
    assert len(list(Path("named").glob("*-line-*"))) == 1


def test_update_prints_the_numbers_that_came_out(gdrun, config):
    expect = "{rtol: 0.001, loss: {below: 9}, parameters: {a: {value: 7, atol: 1}}, metrics: {r2: 0.1}}"
    result = gdrun("check", config("a", f"metrics: [r2]\nexpect: {expect}\n"), "--update")
    assert result.out.startswith("# a.yaml\n")
    assert yaml.safe_load(result.out) == {
        "expect": {
            "rtol": 0.001,
            "loss": {"below": 9.0},
            "parameters": {"a": {"value": 2, "atol": 1}},
            "metrics": {"r2": 0.5},
        }
    }


def test_junit_has_a_case_for_each_config(gdrun, config):
    gdrun("check", config("a", "expect: {steps: 3}\n"), config("b"), "--junit", "reports/out.xml")
    suite = ElementTree.parse("reports/out.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    first, second = suite.findall("testcase")
    assert (first.get("classname"), first.get("name")) == ("a.yaml", "a")
    assert first.find("failure").text == "steps: expected 3 (exact), got 10"
    assert second.find("failure") is None


def test_a_diverged_run_without_expectations_is_not_said_to_expect_nothing(gdrun, config, training):
    training.status = "diverged"
    result = gdrun("check", config())
    assert result.code == 4
    assert "only the status is judged" in result.err
    assert "status" in result.err.splitlines()[1]


def test_a_bug_in_one_config_does_not_keep_the_others_from_being_checked(gdrun, config, training):
    training.error = ZeroDivisionError("oops")
    assert gdrun("check", config("a"), config("b")).code == 1
    assert training.executed == ["a", "b"]


def test_a_run_that_cannot_end_is_an_error_and_not_a_miss(gdrun, config, training):
    training.error = RunDirectoryError("the disk is full")
    result = gdrun("check", config("a"), config("b"), "--junit", "out.xml")
    assert result.code == 5
    suite = ElementTree.parse("out.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("errors")) == ("2", "2")


def test_an_interrupt_ends_the_checks(gdrun, config, training):
    training.status, training.record = "interrupted", {"why": "SIGINT at step 4", "signal": 2}
    assert gdrun("check", config("a"), config("b")).code == 130
    assert training.executed == ["a"]


def test_json_has_every_row(gdrun, config):
    result = gdrun("check", config("a", "expect: {steps: 3}\n"), "--json")
    document = json.loads(result.out)
    assert document["exit_code"] == result.code == 4
    (checked,) = document["configs"]
    assert checked["ok"] is False
    assert [(row["what"], row["ok"]) for row in checked["rows"]] == [("status", True), ("steps", False)]


def test_quiet_shows_only_what_was_missed(gdrun, config):
    assert gdrun("check", "-q", config()).err == ""
    assert "MISSED" in gdrun("check", "-q", config("b", "expect: {steps: 3}\n")).err


def test_github_gets_an_annotation_of_a_miss_at_its_line(gdrun, config):
    result = gdrun("check", "-q", config("a", "expect:\n  steps: 3\n  loss: 0.25\n"), "--format", "github")
    assert result.code == 4
    assert result.out.splitlines() == [
        "::error title=a.yaml%3A expectation missed,file=a.yaml,line=8,col=10::steps: expected 3 (exact), got 10"
    ]


def test_a_met_config_has_no_annotation(gdrun, config):
    assert gdrun("check", config("a", "expect: {steps: 10}\n"), "--format", "github").out == ""


def test_github_gets_an_annotation_of_each_mistake_of_a_refused_config(gdrun, config):
    result = gdrun("check", config("a", "metrics: [r3]\nexpects: 1\n"), config("b"), "--format", "github")
    assert result.code == 2
    lines = result.out.splitlines()
    assert [line.partition("::unknown")[0] for line in lines if "unknown key" in line] == [
        "::error title=config refused,file=a.yaml,line=8,col=1"
    ]
    assert any("line=7" in line and "%0A" in line for line in lines)  # message and mend stand on lines of their own


def test_a_run_that_cannot_end_is_annotated(gdrun, config, training):
    training.error = RunDirectoryError("the disk is full: 100%")
    out = gdrun("check", config("a"), "--format", "github").out
    assert out == "::error title=a.yaml,file=a.yaml::the disk is full: 100%25\n"


def test_paths_of_annotations_count_from_the_workspace(gdrun, config, monkeypatch):
    monkeypatch.setenv("GITHUB_WORKSPACE", str(Path.cwd().parent))
    out = gdrun("check", config("a", "expect: {steps: 3}\n"), "--format", "github").out
    assert f"file={Path.cwd().name}/a.yaml," in out


def test_the_summary_of_the_step_gets_a_table(gdrun, config, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("before\n")
    gdrun("check", config("a", "expect: {steps: 3}\n"), config("b"), "--format", "github")
    lines = Path("summary.md").read_text().splitlines()
    assert lines[:2] == ["before", "### gdrun check: 1 of 2 configs met"]
    assert lines[5].startswith("| a.yaml | missed | 1 of 2 |")
    assert lines[6].startswith("| b.yaml | met | 1 of 1 |")
    assert lines[-1] == "- a.yaml: steps: expected 3 (exact), got 10"


def test_the_summary_of_the_step_says_why_a_config_is_refused(gdrun, config, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    assert gdrun("check", config("a", "expects: 1\n"), config("b"), "--format", "github").code == 2
    lines = Path("summary.md").read_text().splitlines()
    assert lines[0] == "### gdrun check: nothing was run"
    assert lines[2:] == ["- a.yaml:7: unknown key 'expects': did you mean 'expect'?"]


def test_the_table_alone_goes_to_stdout(gdrun, config):
    result = gdrun("check", config("a", "expect: {steps: 10}\n"), "--format", "markdown")
    assert result.out.startswith("### gdrun check: 1 of 1 config met\n\n| config |")


def test_the_xml_alone_goes_to_stdout(gdrun, config):
    gdrun("check", config("a"), "--junit", "out.xml")
    out = gdrun("check", config("a"), "--format", "junit").out
    assert ElementTree.fromstring(out).find("testsuite").get("tests") == "1"
