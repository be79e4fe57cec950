"""On what a run ran: versions, machine, git commit, command line. No TensorFlow, no subprocess, no secrets.

Nothing of the environment's variables is recorded, and passwords inside URLs of the command line are blotted out.
"""

from __future__ import annotations

import os
import platform
import re
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGES = ("gdrun", "tensorflow", "keras", "numpy")
"""Whose versions decide a run's digits."""

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REFERENCE = re.compile(r"refs/[^\0\n]+")
_PASSWORD = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*(?=@)")
_SMALL = 4096
_PACKED_REFS = 16 << 20


def describe_environment(
    *, packages: Sequence[str] = PACKAGES, command: Sequence[str] | None = None, folder: Path | None = None
) -> dict[str, Any]:
    """Return what a RunInfo says about the process and its machine, as keyword arguments for it.

    Args:
        packages: whose versions to tell; one that is not installed is None.
        command: the arguments of the process; default `sys.argv`.
        folder: where the git commit is looked for, upwards; default the current directory.
    Returns:
        `versions`, `host`, `git` (None outside a repository) and `command`.
    """
    return {
        "versions": package_versions(packages),
        "host": describe_host(),
        "git": git_commit(folder),
        "command": tuple(without_passwords(text) for text in (sys.argv if command is None else command)),
    }


def package_versions(packages: Sequence[str] = PACKAGES) -> dict[str, str | None]:
    """Return package -> installed version (None where it is not), "python" first. Imports none of them."""
    from importlib import metadata  # 20 ms that a command which records nothing should not pay

    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def describe_host() -> dict[str, Any]:
    """Return the machine's name, system, processor, number of cores (all, and ours to use), memory, process id."""
    system = os.uname()
    return {
        "name": system.nodename,
        "system": f"{system.sysname} {system.release} {system.machine}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "process": os.getpid(),
        "folder": os.getcwd(),
    }


def _processor() -> str | None:
    # The first core's lines are enough, and all of a large machine's take milliseconds.
    match = re.search(r"^model name\s*:\s*(.+)$", _small_text(Path("/proc/cpuinfo")) or "", re.MULTILINE)
    return match[1].strip() if match else platform.machine() or None


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def git_commit(folder: Path | None = None) -> dict[str, str] | None:
    """Return the checked-out commit of the repository around `folder`, read from git's own files.

    Returns:
        `commit`, `root` (the work tree) and, unless HEAD is detached, `branch`. None outside a repository, or before
        its first commit. Whether files were changed since is not known: telling it needs git itself.
    """
    try:
        start = (folder or Path.cwd()).absolute()
    except OSError:  # the current directory was removed
        return None
    for root in (start, *start.parents):
        git = root / ".git"
        if git.is_dir():
            return _head(git, root)
        if git.is_file():  # a worktree or a submodule keeps its own elsewhere
            text = _small_text(git) or ""
            return _head((root / text.removeprefix("gitdir:").strip()), root) if text.startswith("gitdir:") else None
    return None


def _head(git: Path, root: Path) -> dict[str, str] | None:
    head = (_small_text(git / "HEAD") or "").strip()
    if _COMMIT.fullmatch(head):
        return {"commit": head, "root": str(root)}
    reference = head.removeprefix("ref:").strip()
    if not head.startswith("ref:") or not _REFERENCE.fullmatch(reference) or ".." in reference:
        return None
    shared = git / (_small_text(git / "commondir") or ".").strip()
    loose = ((_small_text(place / reference) or "").strip() for place in (git, shared))
    commit = next((text for text in loose if _COMMIT.fullmatch(text)), None) or _packed(shared, reference)
    if commit is None:
        return None
    return {"commit": commit, "branch": reference.removeprefix("refs/heads/"), "root": str(root)}


def _packed(git: Path, reference: str) -> str | None:
    for line in (_small_text(git / "packed-refs", limit=_PACKED_REFS) or "").splitlines():
        commit, _, name = line.partition(" ")
        if name == reference and _COMMIT.fullmatch(commit):
            return commit
    return None


def _small_text(path: Path, *, limit: int = _SMALL) -> str | None:
    """The first `limit` bytes of a regular file as text; None if it cannot be had."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return file.read(limit).decode("utf-8", "replace")


def without_passwords(text: str) -> str:
    """Return `text` with the user and password of each URL in it replaced by ***."""
    return _PASSWORD.sub("***", text)
