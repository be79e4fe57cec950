"""`gdrun validate`."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace


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
