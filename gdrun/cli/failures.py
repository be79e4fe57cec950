"""The end of a command that failed: bounded text on stderr, and the exit code."""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import Any, NoReturn, TypeVar

import typer
from rich.text import Text

from gdrun.config.rendering import render
from gdrun.errors import ConfigError, ExitCode, GdrunError, PluginError, ResourceError

from . import terminal
from .output import print_json

MESSAGE_LIMIT = 4000
"""Characters of an error's message that are shown: a library can put a whole graph into one."""

TRACEBACK_VARIABLE = "GDRUN_TRACEBACK"

INTERRUPTS = (ExitCode.INTERRUPTED, ExitCode.TERMINATED)

_ORDER = (
    *INTERRUPTS,
    *(ExitCode.BUG, ExitCode.DISK, ExitCode.RESOURCE, ExitCode.REFUSED, ExitCode.DIVERGED),
    *(ExitCode.EXPECTATION, ExitCode.INCOMPLETE),
)


def worst(codes: Iterable[int]) -> int:
    """Return the exit code of a command over several configs: an interrupt, else the first of 1, 5, 8, 2, 3, 4, 7."""
    seen = set(codes)
    return next((code for code in _ORDER if code in seen), ExitCode.DONE)


Item = TypeVar("Item")
Result = TypeVar("Result")


class Several(GdrunError):
    """The errors of several configs, in order."""

    def __init__(self, errors: list[Exception]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = errors
        self.exit_code = ExitCode(worst(map(exit_code, errors)))


def exit_code(error: Exception) -> int:
    """Return the exit code of a command that an error ends: 1 for what is no error of gdrun's own."""
    return error.exit_code if isinstance(error, GdrunError) else ExitCode.BUG


def for_all(items: Iterable[Item], function: Callable[[Item], Result]) -> list[Result]:
    """Return what `function` returns for each item.

    Raises:
        Exception: after all items, the error of one of them; of more, all as `Several`.
    """
    results: list[Result] = []
    errors: list[Exception] = []
    for item in items:
        try:
            results.append(function(item))
        except Exception as error:  # a bug that one config meets says nothing of the others
            errors.append(error)
    if errors:
        raise errors[0] if len(errors) == 1 else Several(errors)
    return results


def guarded(function: Callable[..., int | None]) -> Callable[..., NoReturn]:
    """Wrap a command so that it always ends in `typer.Exit`: with what it returns, or after showing its error."""

    @functools.wraps(function)
    def run(*positional: Any, **named: Any) -> NoReturn:
        try:
            code = function(*positional, **named) or ExitCode.DONE
        except typer.Exit:
            raise
        except terminal.OutputClosed:
            # The reader that closed the pipe has seen enough.
            code = ExitCode.DONE
        except KeyboardInterrupt:
            terminal.message("interrupted")
            code = ExitCode.INTERRUPTED
        except Exception as error:  # the one place where nothing may pass
            code = show_error(error, as_json=bool(named.get("as_json")), verbose=bool(named.get("verbose")))
        raise typer.Exit(int(code))

    return run


def show_error(error: Exception, *, as_json: bool = False, verbose: bool = False) -> int:
    """Show `error` on stderr (and, `as_json`, on stdout as a JSON document) and return its exit code.

    Args:
        verbose: also show the traceback of a plugin's own error.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        error = ResourceError("not enough memory", hint="smaller data, model or batch_size, or fewer recorded rows")
    for single in error.errors if isinstance(error, Several) else [error]:
        _show(single)
        _show_plugin_traceback(single, verbose=verbose or bool(os.environ.get(TRACEBACK_VARIABLE)))
    code = exit_code(error)
    if as_json:
        with suppress(terminal.OutputClosed):
            print_json({"error": describe(error), "exit_code": int(code)})
    return code


def describe(error: Exception) -> dict[str, Any]:
    """Return what `--json` says of an error."""
    if isinstance(error, Several):
        return {"kind": "several", "errors": [describe(each) for each in error.errors]}
    if isinstance(error, ConfigError):
        problems = []
        for problem in error.problems:
            place = dict.fromkeys(("source", "line", "column", "length"))
            if problem.place is not None:
                place = {name: value for name, value in asdict(problem.place).items() if name in place}
            described = {"message": problem.message, "hint": problem.hint, "path": list(problem.path)}
            problems.append(described | place)
        return {"kind": "config", "source": error.source, "problems": problems}
    is_bug = not isinstance(error, GdrunError) or error.exit_code == ExitCode.BUG
    kind = "bug" if is_bug else type(error).__name__.removesuffix("Error").lower()
    return {"kind": kind, "message": str(error)[:MESSAGE_LIMIT], "hint": getattr(error, "hint", None)}


def _show(error: Exception) -> None:
    if isinstance(error, ConfigError):
        terminal.message(*render(error.problems, error.source).split("\n"))
    elif isinstance(error, GdrunError) and error.exit_code != ExitCode.BUG:
        _show_titled("error:", str(error))
        if error.hint:
            terminal.message(f"  {error.hint[:MESSAGE_LIMIT]}")
    elif os.environ.get(TRACEBACK_VARIABLE):
        terminal.message(*"".join(traceback.format_exception(error)).split("\n"))
    else:
        where = ""
        if frames := traceback.extract_tb(error.__traceback__):
            where = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})"
        _show_titled("bug in gdrun:", f"{type(error).__name__}: {str(error)[:MESSAGE_LIMIT]}{where}")
        for note in getattr(error, "__notes__", ()):
            terminal.message(*note[:MESSAGE_LIMIT].split("\n"))
        terminal.message(f"  please report it, with what {TRACEBACK_VARIABLE}=1 and the same command show")


def _show_titled(title: str, text: str) -> None:
    first, *others = text[: MESSAGE_LIMIT + 100].split("\n")
    terminal.message(Text.assemble((title, "bold red"), " ", first), *others)


def _show_plugin_traceback(error: BaseException, *, verbose: bool) -> None:
    """Show the traceback of a plugin's own error, which its author needs; or say how to see it."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, PluginError):
        cause = cause.__cause__
    origin = cause.__cause__ if cause is not None else None
    if origin is None or isinstance(origin, GdrunError):
        return
    if verbose:
        terminal.message(*"".join(traceback.format_exception(origin))[-MESSAGE_LIMIT:].rstrip("\n").split("\n"))
    else:
        terminal.message(f"  {TRACEBACK_VARIABLE}=1, or -v where a command has it, shows the plugin's traceback")
