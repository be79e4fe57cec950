"""`gdrun train --watch`, with a training that takes no time and files that are saved between the looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gdrun.cli import saves

UNNAMED = """\
model: {{kind: formula, formula: a**2, parameters: {{a: 1}}}}
optimizer: {{kind: sgd, learning_rate: 0.1}}
schedule: {{steps: 10}}
"""


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Do something at each pause, one after the other; then Ctrl-C."""

    def set_steps(*steps: Callable[[], object]) -> None:
        remaining: Iterator[Callable[[], object]] = iter(steps)

        def sleep(seconds: float) -> None:
            step = next(remaining, None)
            if step is None:
                raise KeyboardInterrupt
            step()

        monkeypatch.setattr(saves.time, "sleep", sleep)

    return set_steps


def nothing() -> None:
    """Let a pause pass."""


def save(text: str, path: str = "line.yaml") -> Callable[[], object]:
    return lambda: Path(path).write_text(Path(path).read_text() + text)


def test_a_config_runs_again_when_it_is_saved(gdrun, config, training, between):
    between(nothing, save("# a\n"), nothing, nothing, save("# bb\n"), nothing, nothing)
    result = gdrun("train", "-q", "--watch", config())
    assert (result.code, len(training.executed), len(result.out.split())) == (0, 3, 3)
    assert result.err.count("runs again when line.yaml is saved") == 3


def test_a_file_that_is_being_written_is_waited_for(gdrun, config, training, between):
    between(save("name: b\n"), save("# and more\n"), save("# and more\n"), nothing)
    gdrun("train", "-q", "--watch", config(text=UNNAMED))
    assert training.executed == ["line", "b"]


def test_a_parent_is_watched_too(gdrun, config, training, between):
    config()
    Path("child.yaml").write_text("extends: line.yaml\n")
    between(save("# a\n"), nothing)
    result = gdrun("train", "-q", "--watch", "child.yaml")
    assert len(training.executed) == 2
    assert "when child.yaml or line.yaml is saved" in result.err


def test_a_mistake_is_shown_and_the_next_save_runs(gdrun, config, training, between):
    path = Path(config())
    right = path.read_text()
    between(save("nonsense: 1\n"), nothing, lambda: path.write_text(right), nothing)
    result = gdrun("train", "-q", "--watch", "line.yaml")
    assert "unknown key 'nonsense'" in result.err
    assert "exit code 2; runs again" in result.err
    assert (result.code, len(training.executed)) == (0, 2)


def test_a_file_that_vanishes_is_waited_for_and_nothing_is_lost(gdrun, config, training, between):
    path = Path(config())
    text = path.read_text()
    between(path.unlink, nothing, nothing, lambda: path.write_text(text), nothing)
    result = gdrun("train", "-q", "--watch", "line.yaml")
    assert (result.code, len(training.executed)) == (0, 2)
    assert result.err.count("line.yaml is gone; waiting until it is there again") == 1
    assert all(Path(directory, "run.json").is_file() for directory in result.out.split())


def test_a_file_that_never_was_is_refused_at_once(gdrun, between):
    between()
    result = gdrun("train", "--watch", "missing.yaml")
    assert result.code == 2
    assert "missing.yaml" in result.err
    assert "runs again" not in result.err


def test_an_interrupted_run_ends_the_watching(gdrun, config, training, between):
    training.status, training.record = "interrupted", {"stopped_by": "signal", "signal": 2}
    between(save("# a\n"), nothing)
    assert gdrun("train", "-q", "--watch", config()).code == 130
    assert len(training.executed) == 1


@pytest.mark.parametrize(("arguments", "word"), [(["line.yaml", "--json"], "--json"), (["-"], "stdin")])
def test_what_does_not_go_with_watching_is_refused(gdrun, config, arguments, word):
    config()
    result = gdrun("train", "--watch", *arguments)
    assert result.code == 2
    assert word in result.err
