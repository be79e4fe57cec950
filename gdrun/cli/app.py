"""The commands, by name. One line here and one file in this package add a command.

A command's file is imported when the command is called, and no sooner: `gdrun --help` and shell completion stay as fast
with thirty commands as with one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command as build_command

from gdrun.config.messages import reword
from gdrun.suggest import did_you_mean
from gdrun.text import safe_text
from gdrun.version import __version__

from . import terminal
from .failures import guarded, show_error

GROUPS: dict[str, dict[str, str]] = {
    "Train": {
        "train": "Run experiments and write a run directory for each.",
        "sweep": "Run many trials of one experiment at once, and see where it trains best and where not.",
        "gather": "Write one sweep of the parts that `sweep --part` trained.",
        "check": "Run experiments and assert what their `expect:` says.",
        "resume": "Resume a run that was interrupted, or give a complete one more steps.",
        "shell": "Type commands, or read them from a file, in one process: TensorFlow starts once.",
    },
    "Runs": {
        "ls": "List runs and sweeps; filter and sort them.",
        "show": "Show everything about a run or a sweep.",
        "watch": "Follow a running run or sweep until it ends.",
        "compare": "Show runs side by side: results and differing settings.",
        "plot": "Draw runs and sweeps, as files, moving or still, or in the terminal.",
        "report": "Write HTML pages about runs and sweeps, one, several compared, or all.",
        "diff": "Show in what two runs differ, and where their losses part.",
        "verify": "Check that run directories are whole and say what is true.",
        "tag": "Add tags to a run, by which runs are found again.",
        "note": "Add a note to a run, or print its notes.",
        "pack": "Write runs into one zip file, which other commands read.",
        "rm": "Put runs into the trash.",
        "restore": "List the trash, or bring runs back from it.",
        "prune": "Put old, diverged or second-best runs into the trash; empty it.",
        "predict": "Print a finished run's predictions.",
        "evaluate": "Print a finished run's loss and metrics, on its own data or other.",
        "export": "Write what runs recorded, or a model, for other programs: CSV, TensorBoard, ...",
    },
    "Insight": {
        "grad": "Print derivatives of formulas, of a config or of a run.",
        "check-grad": "Say whether gradients are right: the tape's, and those written by hand.",
        "stability": "Say at which learning rate descent stops being stable.",
        "lr": "Find a learning rate: what the configured steps come to at 61 of them.",
    },
    "Configs": {
        "init": "Write a commented config to start from, or one of the gallery.",
        "validate": "Check configs without running them: every value, then how they go together.",
        "explain": "Show what a config resolves to, or what a key or a formula's function means.",
        "schema": "Print the JSON Schema of configs, for editors.",
    },
    "This machine": {
        "doctor": "Say what is installed here and what is missing.",
    },
}
"""Heading -> command -> its line in the help. The function is `command` in the module of the command's name."""

_SETTINGS: dict[str, Any] = {
    "context_settings": {"help_option_names": ["-h", "--help"], "max_content_width": 100},
}
_OPTIONS: dict[str, Any] = {"rich_markup_mode": None, "pretty_exceptions_enable": False}
"""No markup: brackets in help texts are brackets, and errors are plain lines that pipes and tests can read."""


def module_of(name: str) -> str:
    """Return the module that holds the command `name`: `check-grad` is in gdrun.cli.check_grad."""
    return f"gdrun.cli.{name.replace('-', '_')}"


class Command(TyperCommand):
    """A command whose errors have the words of configs, and that knows how settings of a config are written."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; add a hint to the error about an unknown option that could be meant as a setting."""
        try:
            return super().parse_args(ctx, args)
        except Exception as raised:
            error: Any = raised  # of a class that typer does not export
            if hasattr(error, "possibilities"):  # of options that were meant
                name = error.option_name.lstrip("-").replace("-", "_")
                if name.isidentifier():
                    error.message += f". Settings of a config are written {name}=VALUE, without dashes."
            elif hasattr(error, "message") and (details := getattr(error.__cause__, "errors", None)):
                detail = details()[0]  # newer versions of typer convert values by pydantic
                message, _ = reword(detail["type"], detail.get("ctx") or {}, detail["input"], detail["msg"])
                error.message = message.replace("got the text ", "got ")  # all is text here
            raise


class Commands(TyperGroup):
    """The group of all commands, which imports only the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands in the order of the help."""
        return [name for group in GROUPS.values() for name in group]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command `cmd_name`, None if there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        single = typer.Typer(add_completion=False, **_OPTIONS)
        single.command(cmd_name, cls=Command, **_SETTINGS)(guarded(import_module(module_of(cmd_name)).command))
        return build_command(single)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the arguments begin with; a misspelt one is refused with the name that was meant."""
        name, names = args[0], self.list_commands(ctx)
        if name not in names and not name.startswith("-") and not ctx.resilient_parsing:
            from gdrun.experiment.gallery import is_config_name

            is_config = "/" in name or is_config_name(name)
            hint = f"did you mean 'gdrun train {name}'?" if is_config else did_you_mean(name, names) or ""
            ctx.fail(safe_text(f"No such command '{name[:100]}'; {hint}".rstrip("; "), limit=400))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands into the help from the table above, so that none of them is imported."""
        width = max(len(name) for name in self.list_commands(ctx))
        for heading, group in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), text) for name, text in group.items()])


app = typer.Typer(cls=Commands, no_args_is_help=True, **_OPTIONS, **_SETTINGS)


def _show_version(requested: bool) -> None:
    if requested:
        guarded(terminal.data)(f"gdrun {__version__}")


@app.callback()
def _gdrun(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Gradient-descent experiments from the command line: a YAML file in, an exact record out.

    Begin with `gdrun init` and `gdrun train FILE`. Exit codes: 0 done, 1 a bug in gdrun, 2 config or usage refused,
    3 diverged, 4 an expectation was missed, 5 disk trouble, 7 a sweep is incomplete, 8 something is missing here,
    130/143 interrupted.
    """


def app_command() -> Any:
    """Return the group of all commands."""
    return build_command(app)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (default: the process's) ask for and return its exit code."""
    terminal.make_robust()
    _enter_next_word()
    try:
        app(args=None if arguments is None else list(arguments), prog_name="gdrun")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.__context__, BrokenPipeError):
            code = 0  # typer's verdict on `gdrun --help | head -1` is 1
    except Exception as error:
        code = show_error(error)
    return terminal.flush() or int(code)


def _enter_next_word() -> None:
    """Let bash's place in the line be behind : or = where it is on one: bash takes both for words of their own."""
    words, place = os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", "")
    if place.isdecimal() and words[int(place) :] in ([":"], ["="]):
        os.environ["COMP_CWORD"] = str(int(place) + 1)


if __name__ == "__main__":
    sys.exit(run())
