"""Calls of a plugin's functions and checks of their results, with errors that name the plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdrun.errors import GdrunError, PluginError
from gdrun.formula.parse import check_name
from gdrun.text import safe_text

from .custom import CustomSection
from .plugins import describe_failure

Describe = Callable[[BaseException], str]
"""An error of the plugin's code -> its message and line."""


@dataclass(frozen=True)
class Caller:
    """Caller of a plugin's functions, which turns every error of them into a PluginError that names the plugin.

    Args:
        what: "loss 'pinball' of pinball.py".
        describe: puts an error into words.
    """

    what: str
    describe: Describe

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Raise an error of the block as the plugin's."""
        try:
            yield
        except GdrunError:
            raise
        except Exception as error:
            raise self.error(f"failed: {self.describe(error)}") from error

    def error(self, problem: str, hint: str | None = None) -> PluginError:
        """Return the error about the plugin's code, at the `name` of its section."""
        return PluginError(f"{self.what} {problem}", hint=hint, within=("name",))


def bound_function(section: CustomSection) -> tuple[Callable[..., Any], Caller]:
    """Return the function that a section of kind `custom` names, its options filled in, and its Caller."""
    entry = section.entry
    options, file = entry.options(section.options), entry.registration.file
    return lambda *arguments: entry.call(*arguments, options=options), Caller(
        str(entry), lambda error: describe_failure(error, file)
    )


def checked_name(name: Any, caller: Caller, what: str, *, dotted: bool = False) -> str:
    """Return a name that a plugin gives, if formulas can use it. Raises: PluginError."""
    if not isinstance(name, str):
        raise caller.error(f"calls {what} {type_in_words(name)}", "names are texts")
    for part in name.split(".") if dotted else (name,):
        problem = check_name(part)
        # Below a dot a name cannot be mistaken for one of the language's.
        if problem is not None and not (dotted and "." in name and part.isidentifier()):
            raise caller.error(f"calls {what} '{safe_text(name, limit=60)}': {problem.message}", problem.hint)
    return name


def as_array(value: Any, where: str, caller: Caller) -> np.ndarray:
    """Return a result of a plugin as an array, real numbers as float64. Raises: PluginError, if it holds no numbers."""
    with caller.calling():
        array = np.asarray(value)
    if array.dtype.kind == "O":
        raise caller.error(f"gives {type_in_words(value)} as {where}", "an array of numbers")
    return array.astype(np.float64) if array.dtype.kind in "biuf" else array


def type_in_words(value: Any) -> str:
    """Return the type of a value in words: "nothing", "a list"."""
    return "nothing" if value is None else f"a {type(value).__name__}"
