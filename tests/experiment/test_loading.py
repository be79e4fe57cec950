"""From a source to a checked experiment that knows where its values came from."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from gdrun.errors import ConfigError, Problem
from gdrun.experiment.loading import default_name, load_config
from tests.experiment.texts import LINE

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_have_no_problems(path):
    assert load_config(path).experiment.name == path.stem


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("configs/pi.yaml", "pi"),
        ("My Config (2).yaml", "my-config-2"),
        ("runs/2026-pi/config.yaml", "2026-pi"),
        ("stdin", "stdin"),
        ("....yaml", "experiment"),
        ("é.yaml", "experiment"),
    ],
)
def test_a_config_without_a_name_takes_its_file_s(source, name):
    assert default_name(source) == name


def test_a_run_directory_is_a_config(tmp_path):
    (tmp_path / "config.yaml").write_text(LINE + "name: earlier\n")
    assert load_config(tmp_path).experiment.name == "earlier"


def test_stdin_is_a_config(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LINE.encode())))
    config = load_config("-")
    assert (config.source, config.experiment.name) == ("stdin", "stdin")


@pytest.mark.parametrize(
    ("text", "words"), [("", "empty"), ("# nothing\n", "empty"), ("[1]", "mapping"), ("abc", "mapping")]
)
def test_other_documents_are_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        load_config(text.encode())


def test_origins_tell_file_override_and_default():
    config = load_config(LINE.encode(), ["lr=0.5"])
    assert config.origin(("schedule", "steps")).line == 5
    assert config.origin(("optimizer", "learning_rate")).source == "argument 1"
    assert config.origin(("optimizer", "momentum")) is None


def test_later_problems_are_located():
    config = load_config(LINE.encode())
    problem = config.locate(Problem("no", ("model", "parameters", "a")))
    assert (problem.place.line, problem.place.column, problem.place.length) == (2, 56, 3)
    problem = config.locate(Problem("no", ("model", "formula"), offset=4, length=1))
    assert (problem.place.line, problem.place.column) == (2, 37)
    assert config.locate(Problem("no", ("schedule", "batch_size"))).place.line == 5


def test_reading_a_config_imports_nothing_heavy():
    """What makes `gdrun validate` quick; the first also makes it safe."""
    code = (
        "import sys; from gdrun.experiment.loading import load_config; load_config(sys.argv[1]); "
        "print([name for name in ('tensorflow', 'keras', 'matplotlib', 'scipy', 'pandas') if name in sys.modules])"
    )
    path = next(path for path in CONFIGS if path.stem == "pi")
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_text_of_a_refused_file_is_not_echoed_beyond_the_line(tmp_path):
    from gdrun.config.rendering import render

    (tmp_path / "secret.yaml").write_text("password: hunter2\nseed: x\nother: hunter3\n")
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "secret.yaml")
    seeds = [problem for problem in caught.value.problems if problem.place.line == 2]
    assert "hunter" not in render(seeds, "secret.yaml")
