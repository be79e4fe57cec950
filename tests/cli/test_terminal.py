"""The two streams."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

import pytest
from rich.text import Text

from gdrun.cli import terminal


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch) -> Iterator[Terminal]:
    """stderr as a terminal with colours."""
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    before = terminal.divert({"stderr": stream})
    yield stream
    terminal.divert(before)


def test_text_is_styled_on_a_terminal(screen):
    terminal.message(Text.assemble("a ", ("x", "bold red")), "b")
    assert screen.getvalue() == "a \x1b[1;31mx\x1b[0m\nb\n"


def test_text_is_plain_in_a_pipe(capsys):
    terminal.message(Text("x", "bold red"))
    assert capsys.readouterr().err == "x\n"


def test_no_color_takes_every_style_away(screen, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.message(Text("x", "bold red"))
    terminal.console().print("x", style="bold red")
    assert "\x1b" not in screen.getvalue()


def test_a_dumb_terminal_gets_no_escape_code(screen, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert not terminal.is_live()
    terminal.message(Text("x", "bold"))
    assert screen.getvalue() == "x\n"


@pytest.mark.parametrize("styled", [False, True])
def test_control_characters_in_a_text_are_escaped_and_no_style(screen, capsys, styled):
    evil = "\x1b[31mred\x1b[0m\n\u202e\x9b"
    terminal.message(Text.assemble((evil, "bold")) if styled else evil)
    terminal.data(Text(evil, "bold") if styled else evil)
    shown = screen.getvalue() + capsys.readouterr().out
    assert shown.replace("\x1b[1m", "").replace("\x1b[0m", "") == 2 * "\\x1b[31mred\\x1b[0m\\n\\u202e\\x9b\n"


def test_the_cursor_is_never_hidden(screen):
    with terminal.console().status("waiting"):
        pass
    assert "\x1b[?25l" not in screen.getvalue()


def test_markup_is_shown_and_not_obeyed(screen):
    terminal.console().print("[red]name[/red]", style=None)
    assert "[red]name[/red]" in screen.getvalue()


def test_talk_to_a_closed_stream_is_lost_without_harm(monkeypatch):
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    terminal.message("nobody hears")
    monkeypatch.setattr(sys, "stderr", None)
    terminal.message("nobody hears")


def test_data_for_a_closed_stream_ends_the_command(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(terminal.OutputClosed):
        terminal.data("x")
