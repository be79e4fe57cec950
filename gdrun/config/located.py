"""Places in the config for the errors of components."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gdrun.errors import ComponentError, ConfigError, ConfigPath, Problem
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.parse import parse


@contextmanager
def at_config_path(*path: str | int) -> Iterator[None]:
    """Raise a ComponentError of the block as a ConfigError about the config value at `path`."""
    try:
        yield
    except ComponentError as error:
        raise error.at(path) from error


@contextmanager
def located_within(*steps: str | int) -> Iterator[None]:
    """Add to a ComponentError of the block the steps from the section to the value at fault."""
    try:
        yield
    except ComponentError as error:
        error.within = (*steps, *error.within)
        raise


def formula_at(text: Any, path: ConfigPath) -> Callable[[Scope], Any]:
    """Return scope -> value of a formula; its errors are located at `path`, which also names its draws."""
    expression = parse(text)
    owner = ".".join(map(str, path))

    def value(scope: Scope) -> Any:
        with at_config_path(*path):
            return evaluate(expression, scope, owner=owner)

    return value


def refuse(message: str, path: ConfigPath, hint: str | None = None, *, key: bool = False) -> ConfigError:
    """Return the error that refuses the config value at `path`."""
    return ConfigError((Problem(message, path, hint, key=key),))
