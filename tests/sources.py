"""Syntax trees of gdrun's modules, parsed and walked once a process."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1] / "gdrun"


@cache
def nodes() -> dict[str, tuple[ast.AST, ...]]:
    """Return the nodes of each module below gdrun, by its dotted name without "gdrun."."""
    walked = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        walked[name] = tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return walked


def nodes_of(*kinds: type[ast.AST], packages: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield (module, node) of these kinds; `packages` names the top packages to look at, all where it is empty."""
    for module, walked in nodes().items():
        if not packages or module.split(".")[0] in packages:
            for node in walked:
                if isinstance(node, kinds):
                    yield module, node
