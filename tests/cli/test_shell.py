"""`gdrun shell`: commands from a file, what the prompt completes, programs that are kept."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from gdrun.cli import prompt, session, shell

from .conftest import FakeTraining, Result


@pytest.fixture
def typed(gdrun: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Result]:
    """Run the shell with commands from a file."""

    def run(text: str) -> Result:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        return gdrun("shell")

    return run


def codes(result: Result) -> list[str]:
    return [line for line in result.err.splitlines() if line.startswith("exit code")]


def test_each_command_of_a_file_is_followed_by_its_exit_code(typed, config, training):
    result = typed(f"# checks\n\nvalidate {config()}\ngdrun train -q line.yaml  # the same\nnonsense\n")
    assert codes(result) == [
        "exit code 0: validate line.yaml",
        "exit code 0: gdrun train -q line.yaml  # the same",
        "exit code 2: nonsense",
    ]
    first, second = result.out.splitlines()
    assert first == "line.yaml: ok"
    assert Path(second, "run.json").is_file()


def test_the_exit_code_is_the_worst_of_all_and_nothing_ends_the_shell(typed, config, training):
    training.status, training.record = "diverged", {"diverged": {"step": 3, "quantity": "loss"}}
    result = typed(f"train -q {config()}\nvalidate missing.yaml\nls --bad\ntrain 'abc\nshell\nvalidate line.yaml\n")
    assert result.code == 2
    assert [line.split(":")[0] for line in codes(result)] == [f"exit code {code}" for code in (3, 2, 2, 2, 2, 0)]
    assert "no closing quotation: train 'abc" in result.err
    assert "this is the shell already" in result.err


def test_a_misspelt_command_is_refused_with_the_one_that_was_meant(typed):
    assert "did you mean 'train'" in typed("trian a.yaml\n").err


def test_exit_ends_the_shell(typed):
    result = typed("exit\nnonsense\n")
    assert (result.code, result.out, result.err) == (0, "", "")


def test_a_config_from_stdin_does_not_take_the_commands_after_it(typed, config, training):
    result = typed(f"validate -\nvalidate {config()}\n")
    assert codes(result) == ["exit code 2: validate -", "exit code 0: validate line.yaml"]
    assert "stdin" in result.err


def test_an_interrupt_of_a_command_ends_a_file_of_commands(typed, config, training):
    training.status, training.record = "interrupted", {"stopped_by": "signal", "signal": 2}
    result = typed(f"train -q {config()}\ntrain -q line.yaml\n")
    assert result.code == 130
    assert len(training.executed) == 1


def test_without_prompt_toolkit_the_extra_is_named(gdrun, monkeypatch):
    monkeypatch.setattr("gdrun.cli.terminal.is_terminal", lambda name="stderr": name == "stdin")
    monkeypatch.setitem(sys.modules, "prompt_toolkit", None)
    result = gdrun("shell")
    assert result.code == 8
    assert "pip install 'gdrun[shell]'" in result.err


def test_lines_are_typed_at_a_prompt_while_tensorflow_starts(monkeypatch, capfd, config, tmp_path):
    started, said = threading.Event(), threading.Event()
    lines = iter(["", "nonsense", f"validate {config()}", None])

    def start() -> None:
        started.set()
        said.wait(10)

    def ask() -> str | None:
        assert started.wait(10)
        said.set()
        return next(lines)

    monkeypatch.setattr(shell, "_start_tensorflow", start)
    monkeypatch.setattr("gdrun.cli.prompt.open_prompt", lambda *_, **__: ask)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with session.keeping_programs():
        assert shell._converse() == 0
    streams = capfd.readouterr()
    assert streams.out == "line.yaml: ok\n"
    assert streams.err.endswith("exit code 2\n")
    assert (tmp_path / "state" / "gdrun" / "history").is_file()


def test_the_prompt_has_history_and_the_keys_for_its_end(tmp_path):
    history = tmp_path / "history"
    with create_pipe_input() as keys:
        keys.send_text("ls\rhalf\x03validate\r\x04")
        ask = prompt.open_prompt("gdrun> ", history, input=keys, output=DummyOutput())
        assert [ask() for _ in range(3)] == ["ls", "validate", None]
    assert list(FileHistory(str(history)).load_history_strings()) == ["validate", "ls"]


@pytest.fixture
def complete() -> Callable[[str], list[str]]:
    def offers(text: str) -> list[str]:
        return [each.text for each in prompt.LineCompleter().get_completions(Document(text), CompleteEvent())]

    return offers


def test_commands_options_configs_and_keys_are_completed(complete, config):
    config("line")
    assert complete("val") == ["validate"]
    assert complete("gdrun val") == ["validate"]
    assert complete("ls --fil") == ["--filter"]
    assert complete("train l") == ["line.yaml"]
    assert "lr=" in complete("train line.yaml l")
    assert complete("nonsense l") == ["ine.yaml"], "a path, without what is typed"


def test_files_are_completed_where_the_command_leaves_them_to_the_shell(complete, config):
    config("line")
    Path("lines").mkdir()
    assert complete("train lin") == ["e.yaml", "es"]


def programs(loaded: Any) -> Any:
    return session.prepare_all([loaded], device=None, threads=None)[0]


def test_a_program_is_kept_for_the_same_settings_and_data(config, monkeypatch):
    from gdrun.experiment.loading import load_config

    training = FakeTraining()
    monkeypatch.setattr("gdrun.training.prepare.prepare", training.prepare)
    Path("a.csv").write_text("x,y\n1,2\n2,3\n")
    text = (
        "data: {kind: csv, path: a.csv, inputs: [x], target: y}\nmodel: linear\noptimizer: sgd\nschedule: {epochs: 1}\n"
    )
    Path("a.yaml").write_text(text)
    with session.keeping_programs():
        programs(load_config("a.yaml"))
        Path("a.yaml").write_text("# the same settings\n" + text)
        assert programs(load_config("a.yaml")).loaded.files[0][1].startswith(b"# the same")
        assert len(training.prepared) == 1
        programs(load_config("a.yaml", ["lr=0.5"]))
        assert len(training.prepared) == 2
        Path("a.csv").write_text("x,y\n1,2\n2,4\n")
        programs(load_config("a.yaml"))
        assert len(training.prepared) == 3
    programs(load_config("a.yaml"))
    programs(load_config("a.yaml"))
    assert len(training.prepared) == 5


@pytest.mark.usefixtures("tensorflow")
def test_a_second_run_of_a_kept_program_has_the_same_bits(typed, config):
    config("line")
    out = typed("train -q line.yaml\ntrain -q line.yaml\n").out.split()
    rows = [Path(directory, "metrics.jsonl").read_text().splitlines() for directory in out]

    def without_times(lines: list[str]) -> list[str]:
        return [line.partition('"seconds"')[0] for line in lines]

    assert without_times(rows[0]) == without_times(rows[1])
    assert Path(out[0], "parameters.npz").read_bytes() == Path(out[1], "parameters.npz").read_bytes()
