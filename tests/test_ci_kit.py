"""The action and the pre-commit hook, run as their services run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
GOOD = (ROOT / "configs" / "pi.yaml").read_text()


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """The environment of a job of GitHub Actions: gdrun on the path, a workspace, a file for the summary."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gdrun").write_text(f'#!/bin/sh\nexec {sys.executable} -m gdrun "$@"\n')
    (tmp_path / "bin" / "gdrun").chmod(0o755)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "good.yaml").write_text(GOOD)
    variables = {"GITHUB_WORKSPACE": str(tmp_path), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"), "CI": "true"}
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return os.environ | variables | {"PATH": path, "PYTHONPATH": str(ROOT)}


def run(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", command],
        cwd=environment["GITHUB_WORKSPACE"], env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def action_step(name: str) -> Any:
    steps = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    return next(step for step in steps if step.get("name") == name)


def test_the_action_checks_configs_by_pattern_and_writes_the_summary(runner: dict[str, str]) -> None:
    done = run(action_step("Check")["run"], runner | {"CONFIGS": "configs/*.yaml", "ARGUMENTS": "-q"})
    assert (done.returncode, done.stdout) == (0, "")
    summary = (Path(runner["GITHUB_WORKSPACE"]) / "summary.md").read_text()
    assert "| configs/good.yaml | met | 3 of 3 |" in summary


def test_the_action_annotates_a_mistake_at_its_line(runner: dict[str, str]) -> None:
    (Path(runner["GITHUB_WORKSPACE"]) / "configs" / "bad.yaml").write_text(GOOD + "loss: msee\n")
    done = run(action_step("Check")["run"], runner | {"CONFIGS": "configs/*.yaml", "ARGUMENTS": ""})
    assert done.returncode == 2
    assert "::error title=config refused,file=configs/bad.yaml,line=" in done.stdout


def test_the_hook_refuses_a_bad_config_and_passes_a_good_one(runner: dict[str, str]) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert run(f"{hook['entry']} configs/good.yaml", runner).returncode == 0
    done = run(f"{hook['entry']} configs/good.yaml lr=-1", runner)
    assert done.returncode == 2
    assert "must be at least 0, got -1" in done.stderr
