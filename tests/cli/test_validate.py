"""`gdrun validate`."""

from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace

import pytest


def test_a_sound_config_is_ok(gdrun, config):
    result = gdrun("validate", config("a"), config("b"))
    assert result == type(result)(0, "a.yaml: ok\nb.yaml: ok\n", "")


def test_all_mistakes_of_all_files_are_told_at_once(gdrun, config):
    bad = config("bad", "nonsense: 1\nrubbish: 2\n")
    result = gdrun("validate", bad, config("good"), "missing.yaml")
    assert result.code == 2
    assert result.out == "good.yaml: ok\n"
    assert "bad.yaml:7:1: unknown key 'nonsense'" in result.err
    assert "bad.yaml:8:1: unknown key 'rubbish'" in result.err
    assert "2 problems in bad.yaml" in result.err
    assert "missing.yaml" in result.err


def test_settings_are_checked_too(gdrun, config):
    result = gdrun("validate", config(), "lr=-1")
    assert result.code == 2
    assert "argument 1" in result.err
    assert gdrun("validate", config(), "lr=1").code == 0


def test_a_hyphen_is_stdin(gdrun, config, monkeypatch, tmp_path):
    text = (tmp_path / config()).read_bytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    assert gdrun("validate", "-").out == "-: ok\n"


def test_json_has_every_problem_with_its_place(gdrun, config):
    result = gdrun("validate", config("bad", "nonsense: 1\n"), config("good"), "missing.yaml", "--json")
    bad, good, missing = json.loads(result.out)["configs"]
    assert good == {"config": "good.yaml", "ok": True}
    assert (bad["problems"][0]["line"], bad["problems"][0]["column"]) == (7, 1)
    assert bad["problems"][0]["path"] == ["nonsense"]
    assert "message" in missing


def test_nothing_is_left_on_disk(gdrun, config, tmp_path):
    gdrun("validate", config())
    assert [path.name for path in tmp_path.iterdir()] == ["line.yaml"]


def test_a_hostile_name_of_a_file_is_escaped(gdrun, config, tmp_path):
    name = "\x1b[2J\n.yaml"
    (tmp_path / name).write_bytes((tmp_path / config()).read_bytes())
    result = gdrun("validate", name)
    assert result.code == 0
    assert "\x1b" not in result.out
    assert result.out.count("\n") == 1


CSV = """\
data: {kind: csv, path: data/numbers.csv, inputs: [x], target: y, validation: {path: data/nombers.csv}}
model: linear
optimizer: sgd
schedule: {epochs: 1}
"""


def test_a_data_file_that_is_not_there_is_told_at_its_path(gdrun, tmp_path):
    (tmp_path / "case.yaml").write_text(CSV)
    result = gdrun("validate", "case.yaml")
    assert result.code == 2
    assert "case.yaml:1:25: there is no file data/numbers.csv" in result.err
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers.csv").write_text("x,y\n1,2\n")
    result = gdrun("validate", "case.yaml")
    assert "there is no file data/nombers.csv" in result.err
    assert "did you mean 'data/numbers.csv'?" in result.err
    (tmp_path / "data" / "nombers.csv").mkdir()
    assert "this is a folder" in gdrun("validate", "case.yaml").err
    (tmp_path / "data" / "nombers.csv").rmdir()
    (tmp_path / "data" / "nombers.csv").write_text("x,y\n1,2\n")
    assert gdrun("validate", "case.yaml").code == 0


@pytest.fixture
def no_tensorflow(monkeypatch):
    """Let every attempt to start TensorFlow fail."""

    def start():
        raise AssertionError("TensorFlow was started")

    monkeypatch.setattr("gdrun.engine.device.import_tensorflow", start)


WRONG = {
    "a formula of the data": (
        "data: {kind: formula, inputs: {x: 'linspace(0, 1, 5)'}, target: 'x + [1, 2]'}\nmodel: linear\n",
        "case.yaml:1:66: + does not fit shapes (5,) and (2,)",
    ),
    "a constant": (
        "constants: {c: '[1, 2] + [1, 2, 3]'}\nmodel: {kind: formula, formula: a * sum(c), parameters: {a: 1}}\n",
        "+ does not fit shapes (2,) and (3,)",
    ),
    "a column": (
        "data: {kind: csv, path: numbers.csv, inputs: [x], target: z}\nmodel: linear\n",
        "there is no column in numbers.csv called 'z'",
    ),
    "a file without examples": (
        "data: {kind: csv, path: empty.csv, inputs: [x], target: y}\nmodel: linear\n",
        "empty.csv",
    ),
    "a model by formula": (
        "data: {kind: csv, path: numbers.csv, inputs: [x], target: y}\n"
        "model: {kind: formula, formula: 'a * x[:, None]', parameters: {a: 1}}\n",
        "the prediction has shape (3, 1) and the target (3,)",
    ),
    "an initial value": (
        "model: {kind: formula, formula: a, parameters: {a: {value: 0, transform: exp}}}\n",
        "outside the range of exp",
    ),
}


@pytest.mark.usefixtures("no_tensorflow")
@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("command", ["validate", "train", "sweep", "check", "check-grad", "grad", "lr", "stability"])
def test_what_numpy_can_see_is_refused_before_tensorflow_starts(gdrun, tmp_path, command, text, message):
    (tmp_path / "numbers.csv").write_text("x,y\n1,2\n2,3\n3,4\n")
    (tmp_path / "empty.csv").write_text("x,y\n")
    (tmp_path / "case.yaml").write_text(text + "optimizer: sgd\nschedule: {epochs: 1}\n")
    result = gdrun(command, "case.yaml")
    assert result.code == 2, result.err
    assert message in result.err
    assert not (tmp_path / "runs").exists()


def test_data_that_another_package_makes_is_no_reason_to_refuse_a_config(gdrun, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    for name in list(sys.modules):
        if name.startswith("sklearn."):
            monkeypatch.delitem(sys.modules, name)
    (tmp_path / "a.yaml").write_text(
        "data: {kind: sklearn, name: iris}\nmodel: linear\noptimizer: sgd\nschedule: {epochs: 1}\n"
    )
    result = gdrun("validate", "a.yaml")
    assert (result.code, result.out) == (0, "a.yaml: ok\n")
    assert "the data is not read: the data set iris needs the package sklearn" in result.err
