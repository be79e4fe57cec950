"""Import of optional packages, with an error that says how to install one that is missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from gdrun.errors import ResourceError


def require(module: str, *, extra: str, what: str) -> Any:
    """Return an imported module of an optional package.

    Args:
        module: its name.
        extra: the extra of this project that installs it.
        what: the part of the config that needs it, for the message.
    Raises:
        ResourceError: if it is not installed; the message says how to install it.
    """
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise ResourceError(
            f"{what} needs the package {package}, which is not installed", hint=f"pip install 'gdrun[{extra}]'"
        ) from None
