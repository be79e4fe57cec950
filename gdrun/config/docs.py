"""What each key means: the strings below the fields of the config's sections, read from their source text."""

from __future__ import annotations

import ast
import inspect
from functools import cache

from .base import Section


def meaning(section: type[Section], name: str) -> str | None:
    """Return what the key `name` of `section` means, in one paragraph; None where it says nothing."""
    for owner in section.__mro__:
        if issubclass(owner, Section):
            text = _field_texts(owner.__module__).get(owner.__name__, {}).get(name)
            if text is not None:
                return text
    return None


@cache
def _field_texts(module: str) -> dict[str, dict[str, str]]:
    """For each class of a module, the string below each of its fields, by the name users write."""
    import sys

    tree = ast.parse(inspect.getsource(sys.modules[module]))
    texts: dict[str, dict[str, str]] = {}
    for owner in tree.body:
        if isinstance(owner, ast.ClassDef):
            texts[owner.name] = {}
            for field, below in zip(owner.body, owner.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_text(below):
                    text = " ".join(inspect.cleandoc(below.value.value).split())  # type: ignore[attr-defined]
                    texts[owner.name][field.target.id.rstrip("_")] = text
    return texts


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
