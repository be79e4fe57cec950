"""What a run ran on: the state of the git repository, no secrets, no framework imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from gdrun.rundir import environment
from gdrun.rundir.environment import (
    describe_environment,
    digit_variables,
    git_diff,
    git_state,
    imported_distributions,
    package_versions,
    without_passwords,
)
from gdrun.rundir.run_info import RunInfo


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder`, without the settings of whoever runs the tests; return its output."""
    nowhere = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    author = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    done = subprocess.run(
        ["git", *author, *arguments], cwd=folder, env=os.environ | nowhere, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit of one file."""
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    root = tmp_path.resolve() / "repository"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "file").write_text("x")
    git(root, "add", "file")
    git(root, "commit", "-q", "-m", "x")
    return root


def test_versions_are_those_of_the_installed_packages_without_importing_them():
    before = set(sys.modules)
    versions = package_versions(("numpy", "tensorflow", "no-such-package"))
    assert versions["numpy"] == metadata.version("numpy")
    assert versions["no-such-package"] is None
    assert next(iter(versions)) == "python"
    assert "tensorflow" in before or "tensorflow" not in sys.modules


def test_it_fits_into_a_run_info_and_is_json():
    record = RunInfo().updated(**describe_environment(packages=("numpy",), command=["gdrun", "train", "x.yaml"]))
    assert record.command == ("gdrun", "train", "x.yaml")
    assert record.host["process"] == os.getpid()
    assert record.host["cores"] >= record.host["usable_cores"] >= 1
    assert RunInfo.from_text(record.to_text().encode(), path="run.json") == record


def test_commit_branch_and_root_are_those_of_git_from_a_folder_below(repository: Path):
    (repository / "a" / "b").mkdir(parents=True)
    commit = git(repository, "rev-parse", "HEAD")
    state = git_state(repository / "a" / "b")
    assert state == {"commit": commit, "branch": "main", "dirty": False, "root": str(repository)}


def test_a_changed_file_makes_the_work_tree_dirty_and_an_untracked_one_does_not(repository: Path):
    (repository / "untracked").write_text("y")
    state = git_state(repository)
    assert state is not None
    assert state["dirty"] is False
    (repository / "file").write_text("y")
    assert git_state(repository) == state | {"dirty": True}


def test_a_detached_head_has_no_branch(repository: Path):
    git(repository, "checkout", "-q", "--detach")
    state = git_state(repository)
    assert state is not None
    assert "branch" not in state


def test_a_worktree_has_its_own_branch_and_root(repository: Path):
    side = repository.parent / "side"
    git(repository, "worktree", "add", "-q", "-b", "feature/x", str(side))
    state = git_state(side)
    assert state is not None
    assert (state["branch"], state["root"]) == ("feature/x", str(side))


def test_without_a_repository_a_commit_or_git_there_is_none(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
):
    assert git_state(tmp_path) is None
    unborn = tmp_path / "unborn"
    unborn.mkdir()
    git(unborn, "init", "-q")
    assert git_state(unborn) is None
    (unborn / ".git" / "HEAD").write_text("\0 damaged")
    assert git_state(unborn) is None
    assert git_state(tmp_path / "absent") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(repository) is None


def test_a_git_that_takes_long_is_not_waited_for(repository: Path, monkeypatch: pytest.MonkeyPatch):
    slow = repository.parent / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(environment, "_GIT_SECONDS", 0.1)
    assert git_state(repository) is None


def test_neither_environment_variables_nor_passwords_in_urls_are_recorded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("API_TOKEN", "s3cret-from-environment")
    command = ["gdrun", "sweep", "--cluster", "tcp://me:s3cret@host:8786", "lr=0.1"]
    text = json.dumps(describe_environment(packages=(), command=command))
    assert "s3cret" not in text
    assert "tcp://***@host:8786" in text
    assert without_passwords("https://host/path?x=a@b:c") == "https://host/path?x=a@b:c"


def test_what_is_imported_is_recorded_with_its_version_and_nothing_else():
    found = imported_distributions()
    assert found["numpy"] == metadata.version("numpy")
    assert found["pytest"] == metadata.version("pytest")
    assert not {"mkdocs", "hatchling", "sphinx"} & found.keys() - {name.partition(".")[0] for name in sys.modules}
    assert list(found) == sorted(found, key=str.lower)


def test_only_variables_that_change_digits_are_recorded(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setenv("TF_SECRET", "hidden")
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    variables = digit_variables()
    assert variables["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert not {"TF_SECRET", "NVIDIA_TF32_OVERRIDE"} & variables.keys()


def test_where_programs_are_kept_is_not_among_them(monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_persistent_cache_directory=/a/b")
    assert "TF_XLA_FLAGS" not in digit_variables()
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=2 --tf_xla_persistent_cache_directory=/a/b")
    assert digit_variables()["TF_XLA_FLAGS"] == "--tf_xla_auto_jit=2"


def test_the_difference_from_the_commit_is_that_of_git(tmp_path):
    assert git_diff(tmp_path) is None
    git(tmp_path, "init", "-q")
    (tmp_path / "a.yaml").write_text("lr: 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    assert git_diff(tmp_path) == ""
    (tmp_path / "a.yaml").write_text("lr: 2\n")
    assert "-lr: 1\n+lr: 2\n" in git_diff(tmp_path)
