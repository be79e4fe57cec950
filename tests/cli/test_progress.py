"""What is seen while a run trains."""

from __future__ import annotations

import io
import threading
from dataclasses import replace

import pytest

from gdrun.cli import progress, session, terminal
from gdrun.training.listener import Plan

from .conftest import report

PLAN = Plan("line", "", 1000, 1, 1, ("a",), "cpu", "xla", "float32", None)


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch):
    """stderr as a terminal, 120 columns wide."""
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    before = terminal.divert({"stderr": stream})
    yield stream
    terminal.divert(before)


def test_a_pipe_gets_plain_lines_and_a_terminal_a_bar(capsys, screen):
    assert isinstance(progress.listener(), progress.LiveProgress)
    terminal.divert({})
    assert isinstance(progress.listener(), progress.PlainProgress)
    assert type(progress.listener(quiet=True)) is progress.QuietProgress


@pytest.mark.parametrize(
    ("compile", "said"), [("xla", "line: compiling\n"), ("eager", "line: training the first steps\n")]
)
def test_a_long_start_is_named_in_a_pipe_until_the_first_steps_are_done(capsys, monkeypatch, compile, said):
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0)
    listener = progress.PlainProgress(first_line_seconds=100)
    listener.planned(replace(PLAN, compile=compile))
    listener._starting._timer.join()
    listener.progress(report(1, 0.1))
    assert capsys.readouterr().err == said


def test_a_short_start_is_not_named(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SILENT_SECONDS", 3600)
    listener = progress.PlainProgress(first_line_seconds=100)
    listener.planned(PLAN)
    timer = listener._starting._timer
    listener.progress(report(1, 0.1))
    timer.join()
    assert capsys.readouterr().err == ""


def test_building_is_named_in_a_pipe_where_it_takes_long(capsys, monkeypatch):
    for seconds, said in ((0, "building line.yaml\n"), (3600, "")):
        monkeypatch.setattr(progress, "SILENT_SECONDS", seconds)
        with session.waiting() as say:
            say("building line.yaml")
            if not seconds:
                [thread.join() for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
        assert capsys.readouterr().err == said


def test_plain_lines_come_after_1_2_4_8_16_seconds_then_every_30(capsys):
    listener = progress.PlainProgress()
    listener.planned(PLAN)
    told = []
    for tenth in range(1, 2000):
        listener.progress(report(tenth, tenth / 10))
        if capsys.readouterr().err:
            told.append(tenth / 10)
    assert told == [1, 2, 4, 8, 16, 32, 62, 92, 122, 152, 182]


def test_a_long_silence_is_made_up_for_by_one_line(capsys):
    listener = progress.PlainProgress()
    listener.planned(PLAN)
    listener.progress(report(1, 10.0))
    assert capsys.readouterr().err.count("\n") == 1
    listener.progress(report(1, 11.0))
    assert capsys.readouterr().err == ""


def test_a_plain_line_has_step_loss_parameters_and_speed_and_no_escape_code(capsys):
    listener = progress.PlainProgress()
    listener.planned(PLAN)
    listener.progress(report(200_000, 2.0, loss=0.123456789, a=[[1.5], [2.0]]))
    assert capsys.readouterr().err == (
        "line: step 200,000 of 1,000, loss 0.123457, a [[1.5], [2]], 10 us a step, 2 s\n"
    )


def test_a_loss_that_is_no_number_is_shown_as_such(capsys):
    listener = progress.PlainProgress()
    listener.planned(PLAN)
    listener.progress(report(5, 1.0, loss=float("nan")))
    assert "loss nan" in capsys.readouterr().err


def test_the_bar_shows_step_loss_and_parameters_and_goes_away(screen):
    listener = progress.LiveProgress()
    listener.planned(PLAN)
    listener.progress(report(500, 1.0, a=3.25))
    listener.close()
    shown = screen.getvalue()
    assert "500/1,000" in shown
    assert "a 3.25" in shown
    assert shown.rstrip("\r\n").endswith("\x1b[2K"), "the last thing is to clear the line"


def test_a_spinner_turns_until_there_is_a_plan(screen):
    listener = progress.LiveProgress()
    listener.wait("starting TensorFlow")
    listener.planned(PLAN)
    assert "starting TensorFlow" in screen.getvalue()
    after = len(screen.getvalue())
    listener.progress(report(500, 1.0))
    listener.close()
    assert "500/1,000" in screen.getvalue()[after:]
    assert "TensorFlow" not in screen.getvalue()[after:]


def test_no_spinner_in_a_pipe(capsys):
    for quiet in (False, True):
        progress.listener(quiet=quiet).wait("starting TensorFlow")
    assert capsys.readouterr().err == ""


def test_the_bar_is_closed_only_once(screen):
    listener = progress.LiveProgress()
    listener.close()
    listener.planned(PLAN)
    listener.close()
    before = screen.getvalue()
    listener.close()
    assert screen.getvalue() == before


def test_a_warning_during_the_bar_is_shown_escaped(screen):
    listener = progress.LiveProgress()
    listener.planned(PLAN)
    listener.warned("odd [bold]\x07name")
    listener.close()
    assert "warning: odd [bold]\\x07name" in screen.getvalue()


def test_silence_still_warns(capsys):
    listener = progress.QuietProgress()
    listener.planned(PLAN)
    listener.progress(report(1, 100.0))
    listener.warned("running as a graph")
    assert capsys.readouterr().err == "warning: running as a graph\n"


def test_verbose_says_beforehand_what_runs(capsys):
    progress.listener(verbose=True).planned(PLAN)
    assert capsys.readouterr().err.startswith("line: 1000 steps, 1 parameter, xla, float32, cpu")
