"""`--plugin` on the command line."""

from __future__ import annotations

import pytest

PLUGIN = "import gdrun.plugin as gd\n@gd.loss('zero')\ndef zero(target, prediction):\n    return 0 * prediction\n"
CONFIG = """\
data: {kind: values, inputs: {x: [1, 2]}, target: [1, 2]}
model: {kind: formula, formula: a*x, parameters: {a: 1}}
loss: {kind: custom, name: zero}
optimizer: sgd
schedule: {steps: 3}
"""


@pytest.fixture(autouse=True)
def files(tmp_path):
    (tmp_path / "zero.py").write_text(PLUGIN)
    (tmp_path / "zero.yaml").write_text(CONFIG)


@pytest.mark.parametrize("option", [["--plugin", "zero.py"], ["--plugin=zero.py"], ["--plugin", "./zero.py"]])
def test_validate_takes_plugins(gdrun, option):
    assert gdrun("validate", *option, "zero.yaml").out == "zero.yaml: ok\n"
    assert gdrun("validate", "zero.yaml", *option).code == 0


def test_validate_without_the_plugin_names_the_option(gdrun):
    result = gdrun("validate", "zero.yaml")
    assert result.code == 2
    assert "--plugin FILE_OR_MODULE" in result.err


def test_plugin_needs_a_value(gdrun):
    result = gdrun("validate", "zero.yaml", "--plugin")
    assert result.code == 2
    assert "--plugin" in result.err


def test_the_help_of_validate_lists_it(gdrun):
    assert "--plugin FILE_OR_MODULE" in gdrun("validate", "--help").out


def test_explain_takes_plugins(gdrun):
    result = gdrun("explain", "zero.yaml", "--plugin", "zero.py")
    assert result.code == 0
    assert "name: zero" in result.out


def test_a_broken_plugin_is_told_in_a_few_lines_and_its_traceback_on_request(gdrun, tmp_path, monkeypatch):
    (tmp_path / "zero.py").write_text("def f():\n    return 1 / 0\n\n\nf()\n")
    result = gdrun("train", "zero.yaml", "--plugin", "zero.py")
    assert result.code == 2
    assert "zero.py cannot be loaded: line 2: ZeroDivisionError: division by zero" in result.err
    assert "Traceback" not in result.err
    assert result.out == ""
    for extra in (["-v"], []):
        monkeypatch.setenv("GDRUN_TRACEBACK", "" if extra else "1")
        shown = gdrun("train", "zero.yaml", "--plugin", "zero.py", *extra).err
        assert "Traceback" in shown
        assert 'zero.py", line 5' in shown


def test_what_a_plugin_prints_is_talk(gdrun, tmp_path):
    (tmp_path / "zero.py").write_text("print('hello from here')\n" + PLUGIN)
    result = gdrun("validate", "zero.yaml", "--plugin", "zero.py", "--json")
    assert "hello from here" in result.err
    assert "hello" not in result.out


PROJECT = '[project]\nname = "mine"\n[tool.gdrun]\nplugins = ["zero.py"]\n'


def test_the_plugins_of_a_project_are_loaded_and_named(gdrun, tmp_path):
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    for more in ([], ["--plugin", "zero.py"]):
        result = gdrun("validate", "zero.yaml", *more)
        assert (result.code, result.err) == (0, "plugins of pyproject.toml: zero.py\n")


def test_a_stranger_s_project_runs_no_code_where_the_environment_says_so(gdrun, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "zero.py").write_text("open('ran', 'w')\n" + (tmp_path / "zero.py").read_text())
    monkeypatch.setenv("GDRUN_PLUGINS", "off")
    refused = gdrun("check", "zero.yaml")
    assert (refused.code, "none is loaded" in refused.err) == (2, True)
    monkeypatch.setenv("GDRUN_PLUGINS", "of")
    refused = gdrun("check", "zero.yaml")
    assert (refused.code, "GDRUN_PLUGINS is on or off, not 'of'" in refused.err) == (2, True)
    assert not (tmp_path / "ran").exists()
    monkeypatch.setenv("GDRUN_PLUGINS", "off")
    assert gdrun("validate", "zero.yaml", "--plugin", "zero.py").code == 0  # what the command line brings is meant


def test_no_other_folder_is_looked_into_for_a_project(gdrun, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert "none is loaded" in gdrun("validate", "../zero.yaml").err


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("plugins = 'zero.py'", "must be a list of texts"),
        ("plugin = ['zero.py']", "did you mean 'plugins'?"),
        ("plugins = ['nul.py']", "there is no such file"),
        ("plugins = [", "cannot read pyproject.toml"),
    ],
)
def test_a_mistake_in_the_project_s_table_is_refused(gdrun, tmp_path, table, message):
    (tmp_path / "pyproject.toml").write_text(f"[tool.gdrun]\n{table}\n")
    result = gdrun("validate", "zero.yaml")
    assert (result.code, message in result.err) == (2, True), result.err


def test_a_project_without_a_table_of_gdrun_s_changes_nothing(gdrun, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.other]\nplugins = [")
    assert "none is loaded" in gdrun("validate", "zero.yaml").err
