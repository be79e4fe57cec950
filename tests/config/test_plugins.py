"""Plugins as configs see them: loaded, looked up, their options checked like everything else. No TensorFlow."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gdrun.config.plugins import load_plugins
from gdrun.errors import ConfigError, GdrunError, PluginError, Problem, UsageError
from gdrun.experiment.loading import load_config

PLUGIN = """\
import gdrun.plugin as gd
from pydantic import BaseModel, Field


class Inner(BaseModel):
    depth: int = 3


class Options(BaseModel):
    level: float = Field(gt=0, lt=1, description="the quantile")
    rounds: int = 4
    sizes: tuple[int, ...] = (1, 2)
    inner: Inner = Inner()


@gd.loss("pinball", options=Options)
def pinball(target, prediction, options):
    raise AssertionError("nothing is called while a config is read")


@gd.metric("worst")
def worst(target, prediction):
    raise AssertionError
"""
CONFIG = """\
data: {kind: values, inputs: {x: [1, 2]}, target: [1, 2]}
model: {kind: formula, formula: a*x, parameters: {a: 1}}
loss: LOSS
optimizer: sgd
schedule: {steps: 3}
"""
RIGHT = "{kind: custom, name: pinball, options: {level: 0.25, rounds: 1e1}}"


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "quantile.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture
def config(tmp_path: Path) -> Any:
    def write(loss: str, more: str = "") -> Path:
        path = tmp_path / "case.yaml"
        path.write_text(CONFIG.replace("LOSS", loss) + more)
        return path

    return write


def problems(path: Path, plugins: list[Any]) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, plugins=plugins)
    assert all(problem.place is not None for problem in caught.value.problems)
    return caught.value.problems


def test_options_are_the_plugins_own_model_with_its_defaults(plugin, config):
    loaded = load_config(config(RIGHT), plugins=[plugin])
    section = loaded.experiment.loss
    options = section.entry.options(section.options)
    assert (options.level, options.rounds, options.sizes, options.inner.depth) == (0.25, 10, (1, 2), 3)
    assert section.options == {"level": 0.25, "rounds": 10, "sizes": [1, 2], "inner": {"depth": 3}}


def test_the_resolved_config_reads_back_to_the_same_experiment(plugin, config, tmp_path):
    loaded = load_config(config(RIGHT), plugins=[plugin])
    again = tmp_path / "resolved.yaml"
    again.write_text(loaded.resolved_text())
    assert load_config(again, plugins=[plugin]).experiment == loaded.experiment


def test_overrides_reach_options(plugin, config):
    loaded = load_config(config(RIGHT), ["loss.options.level=0.5", "rounds=7"], plugins=[plugin])
    assert loaded.experiment.loss.options["level"] == 0.5
    assert loaded.experiment.loss.options["rounds"] == 7


@pytest.mark.parametrize(
    ("options", "text", "message", "hint"),
    [
        ("{leve: 0.1}", "leve", "unknown key 'leve' in the options of loss 'pinball' of quantile.py", "'level'"),
        ("{level: 0.1, colour: 3}", "colour", "unknown key 'colour'", "allowed: level, rounds, sizes, inner"),
        ("{level: 3}", "3", "must be less than 1, got 3", None),
        ("{level: 0.1, rounds: 1.5}", "1.5", "expected an integer, got 1.5", None),
        ("{level: '0.1'}", "'0.1'", "expected a number, got the text '0.1'", "without quotes"),
        ("{level: 0.1, sizes: [1, a]}", "a", "expected an integer, got the text 'a'", None),
        ("{level: 0.1, inner: {dept: 3}}", "dept", "unknown key 'dept'", "did you mean 'depth'?"),
        ("{level: 0.1, inner: 3}", "3", "expected a mapping", None),
        ("{rounds: 3}", "options", "'level' is missing in the options of loss 'pinball'", "level: the quantile"),
    ],
)
def test_a_wrong_option_is_told_at_its_place(plugin, config, options, text, message, hint):
    (problem,) = problems(config(f"{{kind: custom, name: pinball, options: {options}}}"), [plugin])
    assert message in problem.message
    place = problem.place
    assert place.line == 3
    assert place.text[place.column - 1 :].startswith(text)
    assert hint is None or hint in (problem.hint or "")


def test_every_mistake_is_told_at_once(plugin, config):
    more = "metrics: [{kind: custom, name: wort}, {kind: custom, name: worst, options: {a: 3}}]\n"
    loss = "{kind: custom, name: pinball, options: {level: 2, rounds: x}, reductoin: sum}"
    assert len(problems(config(loss, more), [plugin])) == 5


def test_an_unknown_name_is_told_with_the_nearest_one_and_the_plugins(plugin, config):
    (problem,) = problems(config("{kind: custom, name: pinbal}"), [plugin])
    assert problem.message == "no plugin has a loss 'pinbal'"
    assert problem.hint == "did you mean 'pinball'? (loaded: quantile.py)"


def test_without_a_plugin_the_option_that_brings_one_is_named(config):
    (problem,) = problems(config(RIGHT), [])
    assert "none is loaded" in problem.message
    assert "--plugin FILE_OR_MODULE" in problem.hint


def test_a_name_of_another_part_is_not_taken(plugin, config):
    (problem,) = problems(config("{kind: custom, name: worst}"), [plugin])
    assert problem.message == "no plugin has a loss 'worst'"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import os\nimport nothere\n", "line 2: ModuleNotFoundError: No module named 'nothere'"),
        ("x = = 3\n", "line 1: SyntaxError: invalid syntax"),
        ("raise SystemExit(3)\n", "line 1: SystemExit: 3"),
        ("import os\n", "registers nothing"),
        ("import gdrun.plugin as gd\n@gd.loss('l')\ndef f(target): ...\n", "is called with (target, prediction)"),
        ("import gdrun.plugin as gd\n@gd.loss('l', options=dict)\ndef f(t, p, options): ...\n", "no pydantic model"),
        ("import gdrun.plugin as gd\n@gd.loss('a b')\ndef f(t, p): ...\n", "cannot be a name"),
        ("import gdrun.plugin as gd\ngd.loss('l')(3)\n", "is a int, not a function"),
        ("import gdrun.plugin as gd\n" + "@gd.loss('l')\ndef f(t, p): ...\n" * 2, "registered twice"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_says_why(tmp_path, text, says):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(PluginError) as caught:
        load_plugins([path])
    assert says in caught.value.message
    assert caught.value.exit_code == 2
    # It can be mended and loaded in the same process.
    path.write_text(PLUGIN)
    assert load_plugins([path]).names("loss") == ["pinball"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("quantil.py", "there is no such file"),
        ("no_such_module", "there is no module 'no_such_module'"),
        ("no_such_package.module", "there is no module"),
        ("not a name", "neither a Python file nor a module's name"),
        ("./", "it is a folder"),
    ],
)
def test_a_plugin_that_is_not_there_is_told(plugin, monkeypatch, source, says):
    monkeypatch.chdir(plugin.parent)
    with pytest.raises(UsageError, match=says) as caught:
        load_plugins([source])
    if source == "quantil.py":
        assert "quantile.py" in caught.value.hint


def test_what_a_plugin_prints_stays_off_stdout(tmp_path, capsys):
    path = tmp_path / "talks.py"
    path.write_text("print('hello')\n" + PLUGIN)
    load_plugins([path])
    streams = capsys.readouterr()
    assert (streams.out, streams.err) == ("", "hello\n")


def test_two_plugins_that_register_one_name_are_refused(plugin, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(PLUGIN + "\n# another file\n")
    with pytest.raises(PluginError, match="loss 'pinball' is registered twice") as caught:
        load_plugins([plugin, other])
    assert f"{plugin}:16" in caught.value.message


def test_the_same_file_twice_is_one_plugin(plugin, tmp_path):
    copy = tmp_path / "copy.py"
    copy.write_bytes(plugin.read_bytes())
    assert len(load_plugins([plugin, copy, plugin]).loaded) == 1


def test_a_changed_file_is_read_anew(plugin):
    first = load_plugins([plugin])
    plugin.write_text(PLUGIN.replace('"worst"', '"other"'))
    second = load_plugins([plugin])
    assert (first.names("metric"), second.names("metric")) == (["worst"], ["other"])
    assert first.loaded[0].digest != second.loaded[0].digest


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package that Python can import, its parts in modules below."""
    name = "gdrun_test_package"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("from . import quantiles\n")
    (folder / "quantiles.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


def test_a_package_is_a_plugin_with_all_its_files(package, tmp_path):
    (plugin,) = load_plugins([package]).loaded
    assert [one.name for one in plugin.registrations] == ["pinball", "worst"]
    assert [name for name, _ in plugin.files] == [f"{package}/__init__.py", f"{package}/quantiles.py"]
    (tmp_path / package / "quantiles.py").write_text(PLUGIN + "\n")
    with pytest.raises(PluginError, match="has changed since it was imported"):
        load_plugins([package])


def test_a_bound_experiment_goes_through_pickle_to_where_the_plugin_is_loaded_again(plugin, config):
    experiment = load_config(config(RIGHT), plugins=[plugin]).experiment
    again = pickle.loads(pickle.dumps(experiment))
    assert again == experiment
    assert again.loss.entry.registration.function.__name__ == "pinball"
    plugin.write_text(PLUGIN + "\n# changed\n")
    with pytest.raises(GdrunError, match="has changed"):
        pickle.loads(pickle.dumps(experiment))


MAKER = """\
import gdrun.plugin as gd
from pydantic import BaseModel


class Size(BaseModel):
    count: int


@gd.data("grid", options=Size)
def grid(random, options):
    raise AssertionError


@gd.data("fixed")
def fixed(random):
    raise AssertionError
"""
MADE = """\
data:
  kind: custom
  name: NAME
  options: {count: COUNT}
  validation: {VALIDATION}
model: {kind: formula, formula: a*x, parameters: {a: 1}}
loss: {kind: formula, formula: a**2}
optimizer: sgd
schedule: {steps: 3}
"""


@pytest.mark.parametrize(
    ("name", "count", "validation", "messages"),
    [
        ("grid", "3", "options: {count: x}", ["expected an integer, got the text 'x'"]),
        ("grd", "3", "options: {count: 4}", ["no plugin has a data 'grd'"]),
        ("grid", "x", "name: grid", ["expected an integer, got the text 'x'"]),
        ("grid", "3", "name: fixed", ["unknown key 'count': data 'fixed' of maker.py takes no options"]),
    ],
)
def test_validation_data_of_a_plugin_inherits_name_and_options(tmp_path, name, count, validation, messages):
    (tmp_path / "maker.py").write_text(MAKER)
    path = tmp_path / "made.yaml"
    path.write_text(MADE.replace("NAME", name).replace("COUNT", count).replace("VALIDATION", validation))
    assert [problem.message for problem in problems(path, [tmp_path / "maker.py"])] == messages


def test_problems_of_plugins_come_with_those_of_form(plugin, config):
    path = config("{kind: custom, name: pinbal}", "schdule: 3\n")
    assert len(problems(path, [plugin])) == 2


JUDGE = """\
import gdrun.plugin as gd
from pydantic import BaseModel, field_validator, model_validator


class Window(BaseModel):
    size: int = 3
    low: float = 0.0
    high: float = 1.0

    @field_validator("size")
    @classmethod
    def odd(cls, size):
        if size % 2 == 0:
            raise ValueError(f"The window needs a middle: {size} is even")
        return size

    @field_validator("low")
    @classmethod
    def positive(cls, low):
        assert low >= 0
        return low

    @model_validator(mode="after")
    def ordered(self):
        assert self.low < self.high, "low must lie below high"
        return self


@gd.loss("window", options=Window)
def window(target, prediction, options):
    raise AssertionError
"""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{size: 4}", "The window needs a middle: 4 is even"),
        ("{low: -1}", "-1 is refused"),
        ("{low: 2}", "low must lie below high"),
    ],
)
def test_what_a_validator_raises_is_the_message(tmp_path, config, options, message):
    (tmp_path / "judge.py").write_text(JUDGE)
    path = config(f"{{kind: custom, name: window, options: {options}}}")
    assert [problem.message for problem in problems(path, [tmp_path / "judge.py"])] == [message]
