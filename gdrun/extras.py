"""Packages that an installation may lack: their import, with an error that says how to install one."""

from __future__ import annotations

from importlib import import_module, metadata
from typing import Any

from .errors import ResourceError


def distribution() -> str:
    """Return the name of what is installed: gdrun-core is gdrun without TensorFlow."""
    return "gdrun-core" if any(metadata.distributions(name="gdrun-core")) else "gdrun"


def install_hint(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install '{distribution()}[{extra}]'"


def require(module: str, *, extra: str, what: str) -> Any:
    """Return an imported module of an optional package.

    Args:
        module: its name.
        extra: the extra of this project that installs it.
        what: the part of the config or the command that needs it, for the message.
    Raises:
        ResourceError: if it is not installed; the message says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ResourceError(
            f"{what} needs the package {package}, which is not installed", hint=install_hint(extra)
        ) from error
