"""Plain arguments and options without pydantic.

For the type of every declared parameter typer builds a pydantic validator, and for that imports all of pydantic: more
than half of what `gdrun ls` takes. Texts, paths and whole numbers that are what they should be pass here instead.
Whatever is not plain goes typer's own way, so that its messages are typer's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NOT_PLAIN = object()


class _Quick:
    """Stands in for typer's coercion of one parameter."""

    def __init__(self, plain: Callable[[Any], Any], slow: Callable[[], Any]) -> None:
        self._plain = plain
        self._slow = slow

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value in its type."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        found = self._plain(value)
        return self._slow().coerce(value, param=param, ctx=ctx) if found is _NOT_PLAIN else found


def quicken(param: Any) -> None:
    """Let a parameter's plain values pass quickly; one of another type is left as it is."""
    descriptor = getattr(param, "type_descriptor", None)
    if descriptor is None:
        return
    info = descriptor.parameter_info
    bounded = any(getattr(info, name, None) is not None for name in ("parser", "click_type", "max"))
    checked = any(getattr(info, name, False) for name in ("exists", "resolve_path", "writable", "clamp"))
    plain = None if bounded or checked else _plain(descriptor.annotation, getattr(info, "min", None))
    if plain is not None:
        quick = _Quick(plain, param.get_runtime_param)
        param.get_runtime_param = lambda: quick


def _plain(annotation: Any, least: Any) -> Callable[[Any], Any] | None:
    if annotation is str:
        return lambda value: value if isinstance(value, str) else _NOT_PLAIN
    if annotation is Path:
        return lambda value: Path(value) if isinstance(value, str | Path) else _NOT_PLAIN
    if annotation is int:
        return lambda value: _whole(value, least)
    if annotation == list[str]:
        return lambda value: list(value) if all(isinstance(item, str) for item in value) else _NOT_PLAIN
    return None


def _whole(value: Any, least: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\d{1,15}", value, re.ASCII):
        value = int(value)
    return value if type(value) is int and (least is None or value >= least) else _NOT_PLAIN
