"""How a command ends when something is wrong: one bounded, escaped text, and the exit code."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import typer
from rich.text import Text

from gdrun.errors import ConfigError, ExitCode, GdrunError, PluginError, Problem, ResourceError

from . import terminal

MESSAGE_LIMIT = 4000
"""Characters of an error's message that are shown: a library can put a whole graph into one."""

TRACEBACK_VARIABLE = "GDRUN_TRACEBACK"

_ORDER = (
    *(ExitCode.INTERRUPTED, ExitCode.TERMINATED),
    *(ExitCode.BUG, ExitCode.DISK, ExitCode.RESOURCE, ExitCode.REFUSED, ExitCode.DIVERGED),
    *(ExitCode.EXPECTATION, ExitCode.INCOMPLETE),
)


def worst(codes: Iterable[int]) -> int:
    """Return the exit code of a command over several configs: an interrupt, else the first of 1, 5, 8, 2, 3, 4, 7."""
    seen = set(codes)
    return next((code for code in _ORDER if code in seen), ExitCode.DONE)


class Several(GdrunError):
    """The errors of several configs, in order."""

    def __init__(self, errors: list[GdrunError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors
        self.exit_code = ExitCode(worst(error.exit_code for error in errors))


class Collected:
    """Errors that are kept until all configs were looked at."""

    def __init__(self) -> None:
        self.errors: list[GdrunError] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the block's error and go on."""
        try:
            yield
        except GdrunError as error:
            self.errors.append(error)


@contextmanager
def collecting() -> Iterator[Collected]:
    """Raise what was kept in the block at its end: one error as it is, more as `Several`."""
    collected = Collected()
    yield collected
    if len(collected.errors) == 1:
        raise collected.errors[0]
    if collected.errors:
        raise Several(collected.errors)


def guarded(function: Callable[..., int | None]) -> Callable[..., NoReturn]:
    """Wrap a command so that it always ends in `typer.Exit`: with what it returns, or with its error told."""

    @functools.wraps(function)
    def run(*positional: Any, **named: Any) -> NoReturn:
        as_json, verbose = bool(named.get("as_json")), bool(named.get("verbose"))
        try:
            code = function(*positional, **named) or ExitCode.DONE
        except typer.Exit as end:
            code = end.exit_code
        except terminal.OutputClosed:
            # Whoever closed the pipe has seen enough.
            code = ExitCode.DONE
        except KeyboardInterrupt:
            terminal.say("interrupted")
            code = ExitCode.INTERRUPTED
        except Exception as error:  # the one place where nothing may pass
            if type(error).__module__.split(".")[0] in ("typer", "click"):
                raise  # a usage error, which typer shows itself
            code = show_error(error, as_json=as_json, verbose=verbose)
        raise typer.Exit(int(code))

    return run


def show_error(error: Exception, *, as_json: bool = False, verbose: bool = False) -> int:
    """Show `error` on stderr (and, `as_json`, on stdout as a JSON document) and return its exit code.

    Args:
        verbose: also show the traceback of a plugin's own error.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        error = ResourceError("not enough memory", hint="smaller data, model or batch_size, or fewer recorded rows")
    _show(error)
    _show_plugin_traceback(error, verbose=verbose or bool(os.environ.get(TRACEBACK_VARIABLE)))
    if as_json:
        from .output import print_json

        with suppress(terminal.OutputClosed):
            print_json({"error": describe(error), "exit_code": int(_code(error))})
    return _code(error)


def _show(error: Exception) -> None:
    if isinstance(error, Several):
        for each in error.errors:
            _show(each)
    elif isinstance(error, ConfigError):
        terminal.say(*render(error).split("\n"))
    elif isinstance(error, GdrunError) and error.exit_code != ExitCode.BUG:
        _say_titled("error:", _message(error))
        if error.hint:
            terminal.say(f"  {error.hint[:MESSAGE_LIMIT]}")
    else:
        _show_bug(error)


def _show_plugin_traceback(error: BaseException, *, verbose: bool) -> None:
    """The way to a plugin's own error, which its author needs; or how to see it."""
    for one in error.errors if isinstance(error, Several) else [error]:
        cause: BaseException | None = one
        while cause is not None and not isinstance(cause, PluginError):
            cause = cause.__cause__
        own = cause.__cause__ if cause is not None else None
        if own is None or isinstance(own, GdrunError):
            continue
        if verbose:
            import traceback

            text = "".join(traceback.format_exception(own))
            terminal.say(*text[-MESSAGE_LIMIT:].rstrip("\n").split("\n"))
        else:
            terminal.say(f"  {TRACEBACK_VARIABLE}=1, or -v where a command has it, shows the plugin's traceback")


def describe(error: Exception) -> dict[str, Any]:
    """Return what `--json` says of an error."""
    if isinstance(error, Several):
        return {"kind": "several", "errors": [describe(each) for each in error.errors]}
    if isinstance(error, ConfigError):
        return {
            "kind": "config",
            "source": error.source,
            "problems": [describe_problem(problem) for problem in error.problems],
        }
    kind = "bug" if _code(error) == ExitCode.BUG else type(error).__name__.removesuffix("Error").lower()
    return {"kind": kind, "message": _message(error), "hint": getattr(error, "hint", None)}


def describe_problem(problem: Problem) -> dict[str, Any]:
    """Return what `--json` says of one mistake in a config."""
    place = problem.place
    return {
        "message": problem.message,
        "hint": problem.hint,
        "path": list(problem.path),
        "source": place and place.source,
        "line": place and place.line,
        "column": place and place.column,
        "length": place and place.length,
    }


def render(error: ConfigError) -> str:
    """Return all problems of a config as text, each with its place."""
    from gdrun.experiment import render as render_problems

    return render_problems(error.problems, error.source)


def _code(error: Exception) -> int:
    return error.exit_code if isinstance(error, GdrunError) else ExitCode.BUG


def _message(error: Exception) -> str:
    return str(error)[:MESSAGE_LIMIT]


def _say_titled(title: str, text: str) -> None:
    first, *others = text.split("\n")
    terminal.say(Text.assemble((title, "bold red"), " ", first), *others)


def _show_bug(error: Exception) -> None:
    if os.environ.get(TRACEBACK_VARIABLE):
        import traceback

        terminal.say(*"".join(traceback.format_exception(error)).split("\n"))
        return
    where = ""
    if trace := error.__traceback__:
        while trace.tb_next:
            trace = trace.tb_next
        where = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno})"
    text = f"{type(error).__name__}: {_message(error)}{where}"
    _say_titled("bug in gdrun:", text)
    for note in getattr(error, "__notes__", ()):
        terminal.say(*note[:MESSAGE_LIMIT].split("\n"))
    terminal.say(f"  please report it, with what {TRACEBACK_VARIABLE}=1 and the same command show")
