"""Environment of a run: versions, machine, git commit, command line. No TensorFlow, no secrets.

Of the environment's variables only those that can change digits are recorded; passwords inside URLs of the command line
are blotted out.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("gdrun", "tensorflow", "keras", "numpy")
"""Packages that decide a run's digits."""

VARIABLES = (
    *("XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "TF_ENABLE_WINOGRAD_NONFUSED", "TF_USE_CUBLASLT"),
    *("NVIDIA_TF32_OVERRIDE", "ONEDNN_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "OMP_NUM_THREADS"),
)
"""Environment variables by which TensorFlow, XLA and oneDNN choose other kernels or other orders of sums."""

_CACHE_FLAG = re.compile(r"--tf_xla_persistent_cache_directory=\S*")
_PASSWORD = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*(?=@)")
_CPU_CHARACTERS = 4096
_GIT_SECONDS = 2.0
"""How long a run waits for git: a work tree of a million files on a slow disk can take minutes."""


def describe_environment(
    *, packages: Sequence[str] = PACKAGES, command: Sequence[str] | None = None, folder: Path | None = None
) -> dict[str, Any]:
    """Return the fields of a RunInfo about the process and its machine.

    Args:
        packages: recorded with their versions; one that is not installed has None.
        command: the arguments of the process; default `sys.argv`.
        folder: in the git repository whose state is recorded; default the current directory.
    Returns:
        `versions`, `distributions`, `variables`, `host`, `git` (None outside a repository) and `command`.
    """
    return {
        "versions": package_versions(packages),
        "distributions": imported_distributions(),
        "variables": digit_variables(),
        "host": describe_host(),
        "git": git_state(folder),
        "command": command_line(command),
    }


def command_line(command: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the arguments of a process (default: of this one) as they are recorded: without passwords."""
    return tuple(without_passwords(text) for text in (sys.argv if command is None else command))


def package_versions(packages: Sequence[str] = PACKAGES) -> dict[str, str | None]:
    """Return package -> installed version (None where it is not), "python" first. Imports none of them."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def digit_variables() -> dict[str, str]:
    """Return those of VARIABLES that are set, and their values; where TensorFlow keeps programs changes no digit."""
    values = {name: _CACHE_FLAG.sub("", os.environ.get(name, "")).strip() for name in VARIABLES}
    return {name: value for name, value in values.items() if value}


def imported_distributions() -> dict[str, str]:
    """Return distribution -> version of each installed distribution that this process has imported from, sorted.

    Read from the names of the dist-info folders and their top_level.txt, which takes milliseconds where
    importlib.metadata takes a fifth of a second. A distribution without that file counts by its own name.
    """
    imported = {name.partition(".")[0] for name in tuple(sys.modules)}
    found: dict[str, str] = {}
    for folder in sys.path:
        with suppress(OSError), os.scandir(folder or ".") as entries:
            for entry in entries:
                name, dash, version = entry.name.removesuffix(".dist-info").partition("-")
                if dash and entry.name.endswith(".dist-info"):
                    modules = {name.lower(), name.lower().replace("-", "_")}
                    with suppress(OSError), open(f"{entry.path}/top_level.txt", encoding="utf-8") as file:
                        modules = set(file.read().split())
                    if modules & imported:
                        found.setdefault(name, version)
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


def git_diff(folder: Path | None = None) -> str | None:
    """Return how the work tree around `folder` differs from its commit, as `git diff HEAD` prints it.

    None without git, outside a repository, or where git needed too long.
    """
    return _git("diff", "HEAD", folder=folder)


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
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        # The first core's lines are enough, and all of a large machine's take milliseconds.
        if match := re.search(r"^model name\s*:\s*(.+)$", file.read(_CPU_CHARACTERS), re.MULTILINE):
            return match[1].strip()
    return platform.machine() or None


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def git_state(folder: Path | None = None) -> dict[str, Any] | None:
    """Return the state of the git repository around `folder` (default: the current directory).

    Returns:
        `commit`; `branch` unless HEAD is detached; `dirty`, True where tracked files differ from the commit, None where
        git needed too long to tell; `root`, the work tree. None without git, outside a repository, or before its first
        commit.
    """
    lines = (_git("rev-parse", "--show-toplevel", "HEAD", "--abbrev-ref", "HEAD", folder=folder) or "").splitlines()
    if len(lines) != 3:
        return None
    root, commit, branch = lines
    changes = _git("status", "--porcelain", "--untracked-files=no", folder=folder)
    state = {"commit": commit, "branch": branch, "dirty": None if changes is None else bool(changes), "root": root}
    return {name: value for name, value in state.items() if (name, value) != ("branch", "HEAD")}


def _git(*arguments: str, folder: Path | None) -> str | None:
    """Return the output of a git command; None where there is no git, it fails, or it takes long."""
    # Without the optional locks, a `git status` here never disturbs a commit that the user makes meanwhile.
    command = ["git", "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")


def without_passwords(text: str) -> str:
    """Return `text` with the user and password of each URL in it replaced by ***."""
    return _PASSWORD.sub("***", text)
