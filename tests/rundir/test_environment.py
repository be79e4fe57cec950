"""What a run ran on: git's own files read as git reads them, no secrets, no framework imported."""

from __future__ import annotations

import json
import os
import sys
from importlib import metadata
from pathlib import Path

import pytest

from gdrun.rundir.environment import describe_environment, git_commit, package_versions, without_passwords
from gdrun.rundir.run_info import RunInfo

COMMIT, OTHER = "1234567890abcdef1234567890abcdef12345678", "f" * 40


def repository(root: Path, head: str, **files: str) -> Path:
    git = root / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text(head)
    for name, text in files.items():
        path = git / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_versions_are_those_of_the_installed_packages_without_importing_them():
    before = set(sys.modules)
    versions = package_versions(("numpy", "tensorflow", "no-such-package"))
    assert versions["numpy"] == metadata.version("numpy")
    assert versions["no-such-package"] is None
    assert next(iter(versions)) == "python"
    assert "tensorflow" in before or "tensorflow" not in sys.modules


def test_it_fits_into_a_record_and_is_json():
    record = RunInfo().updated(**describe_environment(packages=("numpy",), command=["gdrun", "train", "x.yaml"]))
    assert record.command == ("gdrun", "train", "x.yaml")
    assert record.host["process"] == os.getpid()
    assert record.host["cores"] >= record.host["usable_cores"] >= 1
    assert RunInfo.from_text(record.to_text().encode(), path="run.json") == record


def test_a_branch_is_followed_to_its_commit_from_a_folder_below(tmp_path: Path):
    root = repository(tmp_path, "ref: refs/heads/main\n", refs__heads__main=COMMIT + "\n")
    (root / "a" / "b").mkdir(parents=True)
    assert git_commit(root / "a" / "b") == {"commit": COMMIT, "branch": "main", "root": str(root)}


def test_a_packed_branch_and_a_detached_head_are_found(tmp_path: Path):
    packed = f"# pack-refs with: peeled\n{OTHER} refs/heads/other\n{COMMIT} refs/heads/feature/x\n^{OTHER}\n"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    root = repository(tmp_path / "a", "ref: refs/heads/feature/x\n", **{"packed-refs": packed})
    assert git_commit(root) == {"commit": COMMIT, "branch": "feature/x", "root": str(root)}
    detached = repository(tmp_path / "b", COMMIT + "\n")
    assert git_commit(detached) == {"commit": COMMIT, "root": str(detached)}


def test_a_worktree_is_followed_to_the_shared_branches(tmp_path: Path):
    (tmp_path / "main").mkdir()
    main = repository(tmp_path / "main", "ref: refs/heads/main\n", refs__heads__side=COMMIT)
    own = main / ".git" / "worktrees" / "side"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/side\n")
    (own / "commondir").write_text("../..\n")
    side = tmp_path / "side"
    side.mkdir()
    (side / ".git").write_text(f"gitdir: {own}\n")
    assert git_commit(side) == {"commit": COMMIT, "branch": "side", "root": str(side)}


@pytest.mark.parametrize(
    "head", ["", "ref: refs/heads/unborn\n", "ref: ../../../etc/passwd\n", "ref: refs/../../x\n", "x" * 10**6, "\0"]
)
def test_a_repository_without_a_commit_or_with_a_hostile_head_is_none(tmp_path: Path, head: str):
    assert git_commit(repository(tmp_path, head)) is None


def test_a_hostile_git_file_is_none(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    for text in ("", "gitdir: /nowhere\n", "gitdir: \0\n", f"gitdir: {tmp_path}/fifo\n"):
        (tmp_path / ".git").write_text(text)
        assert git_commit(tmp_path) is None
    (tmp_path / ".git").unlink()
    (tmp_path / ".git").mkdir()
    os.mkfifo(tmp_path / ".git" / "HEAD")
    assert git_commit(tmp_path) is None


def test_neither_environment_variables_nor_passwords_in_urls_are_recorded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("API_TOKEN", "s3cret-from-environment")
    command = ["gdrun", "sweep", "--cluster", "tcp://me:s3cret@host:8786", "lr=0.1"]
    text = json.dumps(describe_environment(packages=(), command=command))
    assert "s3cret" not in text
    assert "tcp://***@host:8786" in text
    assert without_passwords("https://host/path?x=a@b:c") == "https://host/path?x=a@b:c"
