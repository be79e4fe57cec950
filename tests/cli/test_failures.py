"""How commands end when something is wrong."""

from __future__ import annotations

import json

import pytest
import typer

from gdrun.cli import failures, terminal
from gdrun.cli.failures import Several, for_all, guarded, show_error, worst
from gdrun.errors import ConfigError, GdrunError, Place, Problem, ResourceError, RunDirectoryError, UsageError


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 7, 4], 4),
        ([4, 3], 3),
        ([3, 2], 2),
        ([2, 8], 8),
        ([8, 5], 5),
        ([5, 1], 1),
        ([4, 130], 130),
        ([143, 3], 143),
    ],
)
def test_several_configs_end_with_the_first_of_1_5_8_2_3_4_7(codes, expected):
    assert worst(codes) == expected


def ended(function) -> int:
    with pytest.raises(typer.Exit) as caught:
        guarded(function)()
    return caught.value.exit_code


def raising(error: BaseException):
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no"), 2),
        (RunDirectoryError("no"), 5),
        (ResourceError("no"), 8),
        (MemoryError(), 8),
        (KeyboardInterrupt(), 130),
        (RecursionError("deep"), 1),
        (GdrunError("odd"), 1),
        (terminal.OutputClosed(), 0),
    ],
)
def test_every_error_ends_in_its_documented_code(error, code, capsys):
    assert ended(raising(error)) == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_command_s_return_value_is_its_exit_code():
    assert ended(lambda: 4) == 4
    assert ended(lambda: None) == 0


def test_an_error_says_what_is_wrong_and_the_mend(capsys):
    show_error(UsageError("there is no x", hint="use y"))
    assert capsys.readouterr().err == "error: there is no x\n  use y\n"


def test_a_hostile_message_reaches_the_terminal_escaped_and_bounded(capsys):
    show_error(UsageError("\x1b[2J\x07" + "a" * 100_000))
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert len(shown) < 5000


def test_a_bug_asks_for_a_report_and_shows_no_traceback(capsys):
    assert show_error(ValueError("boom \x1b[31m")) == 1
    shown = capsys.readouterr().err
    assert "bug in gdrun: ValueError: boom \\x1b[31m" in shown
    assert "report" in shown
    assert "Traceback" not in shown


def test_a_traceback_is_shown_on_request(monkeypatch, capsys):
    monkeypatch.setenv("GDRUN_TRACEBACK", "1")
    try:
        raise ValueError("boom")
    except ValueError as error:
        show_error(error)
    assert "Traceback" in capsys.readouterr().err


def problem() -> ConfigError:
    place = Place("a.yaml", 3, 5, 4, "    rate: x")
    return ConfigError((Problem("wrong", ("optimizer",), "mend it", place=place),), source="a.yaml")


def test_json_tells_an_error_as_one_document(capsys):
    assert show_error(problem(), as_json=True) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == 2
    assert (
        document["error"]["problems"][0] | {"path": ["optimizer"], "line": 3, "column": 5}
        == (document["error"]["problems"][0])
    )


def raise_it(error: Exception) -> None:
    raise error


def test_one_error_of_many_items_is_raised_as_it_is():
    with pytest.raises(UsageError, match="first"):
        for_all([UsageError("first")], raise_it)


def test_results_come_in_the_order_of_the_items():
    assert for_all([3, 1], lambda number: -number) == [-3, -1]


def test_several_errors_are_shown_together_under_the_worst_code(capsys):
    with pytest.raises(Several) as caught:
        for_all([problem(), ResourceError("no gpu")], raise_it)
    assert show_error(caught.value) == 8
    shown = capsys.readouterr().err
    assert "a.yaml:3:5: wrong" in shown
    assert "no gpu" in shown
    assert [each["kind"] for each in failures.describe(caught.value)["errors"]] == ["config", "resource"]
