"""The command itself: help, version, names, exit codes, streams that fail."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from pathlib import Path

import pytest

import gdrun.cli
from gdrun import __version__
from gdrun.cli import main
from gdrun.cli.app import GROUPS, module_of

COMMANDS = [name for group in GROUPS.values() for name in group]


def test_help_names_every_command(gdrun):
    result = gdrun("--help")
    assert result.code == 0
    assert all(f"\n  {name} " in result.out for name in COMMANDS)


def test_help_is_what_a_bare_call_shows(gdrun):
    result = gdrun()
    assert result.code == 2
    assert "Usage: gdrun" in result.out + result.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(gdrun, name):
    result = gdrun(name, "--help")
    assert result.code == 0
    assert result.out.startswith(f"Usage: gdrun {name}")


def test_every_file_with_a_command_is_in_the_table():
    folder = Path(gdrun.cli.__file__).parent
    files = {f"gdrun.cli.{path.stem}" for path in folder.glob("*.py") if "\ndef command(" in path.read_text()}
    assert files == {module_of(name) for name in COMMANDS}
    assert all(callable(import_module(module).command) for module in files)


def test_version(gdrun):
    assert gdrun("--version").out == f"gdrun {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("compare", "a", "b", "--format", "nonsense"),
            "'--format': 'nonsense' is not one of 'text', 'markdown', 'csv'",
        ),
        (("ls", "--limit", "x"), "'--limit': expected an integer, got 'x'"),
        (("sweep", "a.yaml", "--jobs", "-4"), "'--jobs': must be at least 1, got '-4'"),
        (("watch", "--wait", "3"), "No such option: --wait. Settings of a config are written wait=VALUE, without"),
        (("pack", "-o"), "Option '-o' requires an argument.\n"),
    ],
)
def test_a_wrong_option_is_refused_in_the_words_of_configs(gdrun, arguments, message):
    result = gdrun(*arguments)
    assert result.code == 2
    assert message in result.err


def test_a_misspelt_command_is_refused_with_the_one_that_was_meant(gdrun):
    result = gdrun("trian", "a.yaml")
    assert result.code == 2
    assert "'train'" in result.err


def test_a_config_in_the_command_s_place_is_told_so(gdrun):
    result = gdrun("configs/pi.yaml")
    assert result.code == 2
    assert "gdrun train configs/pi.yaml" in result.err


def test_an_unknown_option_is_refused(gdrun):
    assert gdrun("schema", "--nonsense").code == 2


class Broken(io.StringIO):
    """A stream that cannot be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["schema"], ["init", "--list"]])
def test_a_reader_that_goes_away_is_no_error(monkeypatch, capsys, arguments):
    monkeypatch.setattr(sys, "stdout", Broken(BrokenPipeError(32, "Broken pipe")))
    assert main(arguments) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("arguments", [["--version"], ["schema"], ["init", "--list"]])
def test_a_full_disk_behind_stdout_is_exit_5(monkeypatch, capsys, arguments):
    monkeypatch.setattr(sys, "stdout", Broken(OSError(28, "No space left on device")))
    assert main(arguments) == 5
    assert "cannot write to stdout: No space left on device" in capsys.readouterr().err
