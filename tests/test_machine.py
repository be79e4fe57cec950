"""The machine, as Linux shows it and as macOS does; and that no other module asks Linux alone."""

from __future__ import annotations

import ast
import os
import platform
import sys
from pathlib import Path
from types import SimpleNamespace

import mypy
import pytest

from gdrun import machine

PACKAGE = Path(machine.__file__).parent
STUBS = Path(mypy.__file__).parent / "typeshed" / "stdlib"
SYSTEM_MODULES = ("os", "signal", "fcntl", "select", "socket", "time", "resource", "errno", "mmap", "shutil")
LINUX_TEXTS = ("/proc", "/sys/", "/dev/", "/etc/", "SC_AVPHYS_PAGES")


def test_memory_and_cores_lie_within_what_there_is() -> None:
    assert 0 < machine.available_bytes() <= machine.memory_bytes()
    assert 1 <= machine.usable_cores() <= (os.cpu_count() or 1)
    assert machine.processor()
    assert machine.kernel_id() == machine.kernel_id() != ""


def test_without_linux_files_every_answer_has_another_source(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: object, **named: object) -> None:
        raise FileNotFoundError

    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr("builtins.open", missing)
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
    assert machine.usable_cores() == os.cpu_count()
    assert machine.processor() == platform.machine()
    assert machine.available_bytes() == machine.memory_bytes() // 2
    assert machine.kernel_id() == platform.node()
    assert machine.num_nvidia_gpus() == 0


def _names_on(system: str, body: list[ast.stmt]) -> set[str]:
    """Return the names that the stub of a module defines on a system."""
    names = set()
    for node in body:
        if isinstance(node, ast.If):
            scope = {"sys": SimpleNamespace(platform=system, version_info=sys.version_info)}
            names |= _names_on(system, node.body if eval(ast.unparse(node.test), scope) else node.orelse)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names.add(ast.unparse(node.target))
        elif isinstance(node, ast.Assign):
            names |= {ast.unparse(target) for target in node.targets}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def _linux_only(module: str) -> set[str]:
    """Return what a module of the standard library has on Linux and not on macOS, by the stubs that mypy reads."""
    stub = STUBS / module / "__init__.pyi"
    body = ast.parse((stub if stub.exists() else STUBS / f"{module}.pyi").read_text()).body
    return _names_on("linux", body) - _names_on("darwin", body)


def test_only_one_module_uses_what_linux_alone_has() -> None:
    names = {f"{module}.{name}" for module in SYSTEM_MODULES for name in _linux_only(module)}
    assert {"os.sched_getaffinity", "os.posix_fallocate", "select.epoll"} <= names
    used = set()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                words = [f"{node.value.id}.{node.attr}"]
            elif isinstance(node, ast.ImportFrom):
                words = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                words = []
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts
            if names & set(words) or (is_text and any(text in str(node.value) for text in LINUX_TEXTS)):
                used.add(path.relative_to(PACKAGE).as_posix())
    assert used == {"machine.py"}
