"""Holding back what libraries print."""

from __future__ import annotations

import os
import sys

import pytest

from gdrun.cli import terminal
from gdrun.cli.noise import LIMIT, Noise


def test_what_is_written_to_the_descriptors_is_held_back(capfd):
    with Noise() as noise:
        os.write(1, b"from C on stdout\n")
        os.write(2, b"from C on stderr\n")
        assert noise.take() == "from C on stdout\nfrom C on stderr\n"
    assert capfd.readouterr() == ("", "")


def test_what_python_prints_is_held_back(capsys):
    with Noise() as noise:
        print("a stray print")
        print("a warning", file=sys.stderr)
        assert "a stray print" in noise.take()
    streams = capsys.readouterr()
    assert "a stray print" not in streams.out + streams.err


def test_talk_and_data_still_reach_the_user(capsys):
    with Noise():
        terminal.message("talk")
        terminal.data("data")
    assert capsys.readouterr() == ("data\n", "talk\n")


def test_talk_reaches_the_real_descriptor_of_a_real_stream(capfd):
    """As in a process of its own, where sys.stderr is a stream on descriptor 2."""
    before = sys.stderr
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    try:
        with Noise() as noise:
            os.write(2, b"noise\n")
            terminal.message("talk")
            assert noise.take() == "noise\n"
    finally:
        sys.stderr = before
    assert capfd.readouterr().err == "talk\n"


def test_everything_is_as_before_afterwards(capfd):
    streams = sys.stdout, sys.stderr
    with pytest.raises(KeyError), Noise():
        raise KeyError
    assert (sys.stdout, sys.stderr) == streams
    os.write(2, b"again\n")
    assert capfd.readouterr().err == "again\n"


def test_each_take_gives_what_is_new():
    with Noise() as noise:
        os.write(2, b"one")
        assert noise.take() == "one"
        os.write(2, b"two")
        assert noise.take() == "two"
        assert noise.take() == ""


def test_a_take_is_bounded_and_survives_bytes_that_are_no_text():
    with Noise() as noise:
        os.write(2, b"x" * 100 + b"\xff" + b"y" * LIMIT)
        assert noise.take() == "y" * LIMIT
        os.write(2, b"\xff")
        assert noise.take() == "\\xff"


def test_a_closed_stderr_does_not_matter():
    pid = os.fork()
    if pid == 0:
        os.close(2)
        with Noise() as noise:
            noise.take()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
