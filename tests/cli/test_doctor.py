"""`gdrun doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gdrun import __version__
from gdrun.cli import doctor
from gdrun.cli.doctor import Diagnosis


@pytest.fixture(autouse=True)
def no_tensorflow(monkeypatch):
    """TensorFlow is not started."""
    monkeypatch.setattr(doctor, "_tensorflow", lambda: [Diagnosis("tensorflow starts", "ok", "in 4 s")])


def test_a_sound_machine_is_exit_0_and_nothing_is_written(gdrun, tmp_path):
    result = gdrun("doctor", "--json")
    findings = {finding["subject"]: finding for finding in json.loads(result.out)["findings"]}
    assert result.code == 0
    assert findings["gdrun"]["state"] == __version__
    assert {"python", "tensorflow", "keras", "numpy", "machine", "runs", "bytecode"} <= findings.keys()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_exit_8_with_the_command_that_installs_it(gdrun, monkeypatch):
    monkeypatch.setattr(doctor, "NEEDED", ("numpy", "no-such-package"))
    result = gdrun("doctor")
    assert result.code == 8
    assert "pip install no-such-package" in result.out


def test_an_optional_package_is_looked_for_only_if_its_extra_exists(gdrun, monkeypatch):
    monkeypatch.setattr(doctor, "OPTIONAL", {"dev": ("no-such-package", "tests"), "no-such-extra": ("other", "x")})
    result = gdrun("doctor")
    assert result.code == 0
    assert "pip install 'gdrun[dev]'" in result.out
    assert "other" not in result.out


def test_a_broken_tensorflow_is_told(gdrun, monkeypatch):
    checks = [Diagnosis("tensorflow starts", "bad", "ImportError: libfoo", "reinstall tensorflow")]
    monkeypatch.setattr(doctor, "_tensorflow", lambda: checks)
    result = gdrun("doctor")
    assert result.code == 8
    assert "libfoo" in result.out


def test_a_runs_directory_that_cannot_be_made_is_told(gdrun):
    Path("file").write_text("")
    result = gdrun("doctor", "--runs-dir", "file/runs")
    assert result.code == 8
    assert "file is no directory" in result.out
