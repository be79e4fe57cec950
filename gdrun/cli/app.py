"""The commands, by name. One line here and one file in this package add a command.

A command's file is imported when the command is called, and no sooner: `gdrun --help` and shell completion stay as fast
with thirty commands as with one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command as build_command

from gdrun.errors import UsageError
from gdrun.version import __version__

from . import terminal
from .arguments import FREE_PLUGINS, PLUGIN_HELP, take_plugins
from .failures import guarded, tell
from .quick import quicken

GROUPS: dict[str, dict[str, str]] = {
    "Train": {
        "train": "Run experiments and write a run directory for each.",
        "sweep": "Run many trials of one experiment at once, and see where it trains best and where not.",
        "check": "Run experiments and assert what their `expect:` says.",
        "resume": "Go on with a run that was interrupted, or give a complete one more steps.",
    },
    "Runs": {
        "ls": "List runs and sweeps; filter and sort them.",
        "show": "Show everything about a run or a sweep.",
        "watch": "Follow a running run or sweep until it ends.",
        "compare": "Show runs side by side: results and differing settings.",
        "plot": "Draw runs and sweeps, as files or in the terminal.",
        "report": "Write an HTML page about a run or a sweep, with interactive curves.",
        "diff": "Show in what two runs differ, and where their losses part.",
        "verify": "Check that run directories are whole and say what is true.",
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
        "init": "Write a commented config to start from.",
        "validate": "Check configs without running them; all mistakes at once.",
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


_FREE: dict[str, Any] = {
    "context_settings": _SETTINGS["context_settings"] | {"allow_extra_args": True},
    "options_metavar": "[OPTIONS] CONFIG... [KEY=VALUE]...",
}
"""Of a command that says FREE_ARGUMENTS: it takes its arguments from the context, as they are, since for the types of
declared ones too typer imports all of pydantic."""

_COMPLETING = "_GDRUN_COMPLETE"
"""Set by the shell when it asks for completions."""


def module_of(name: str) -> str:
    """Return the module that holds the command `name`: `check-grad` is in gdrun.cli.check_grad."""
    return f"gdrun.cli.{name.replace('-', '_')}"


class _Fast:
    """A command whose --help is false, not nothing, when it is not asked for.

    For the type of a value that is no bool yet typer imports all of pydantic: half of what `gdrun validate` takes.
    """

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.default = False
        return option


class Command(_Fast, TyperCommand):
    """One command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; who writes a setting as an option is told how settings are written."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            name = str(getattr(error, "option_name", "")).lstrip("-")
            if name.replace("-", "_").isidentifier() and hasattr(error, "message"):
                setting = name.replace("-", "_")
                error.message = f"{error.message} Settings of a config are written {setting}=VALUE, without dashes."
            raise

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; while the shell completes, the options alone, and `shell_complete` has the rest."""
        params: list[Any] = super().get_params(ctx)
        return [one for one in params if one.param_type_name != "argument"] if ctx.resilient_parsing else params

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return what the word that was begun can become: options, or what the arguments take."""
        if incomplete.startswith("-"):
            found: list[Any] = super().shell_complete(ctx, incomplete)
            return found
        from .completion import offers

        metavars = [str(one.metavar) for one in self.params if one.param_type_name == "argument"]
        return list(offers(metavars or [_FREE["options_metavar"]], ctx.args, incomplete, ctx.params.get("runs_dir")))


class FreeCommand(Command):
    """A command that takes its arguments as they are. It has `--plugin` all the same, without typer's knowledge."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put what `--plugin` names aside, then parse as always."""
        try:
            ctx.meta[FREE_PLUGINS], args = take_plugins(args)
        except UsageError as error:
            ctx.fail(error.message)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the declared options, then this one."""
        super().format_options(ctx, formatter)
        with formatter.section("Plugins"):
            formatter.write_dl([("--plugin FILE_OR_MODULE", PLUGIN_HELP)])


class Commands(_Fast, TyperGroup):
    """The group of all commands, which imports only the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands in the order of the help."""
        return [name for group in GROUPS.values() for name in group]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command `cmd_name`, None if there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        module = import_module(module_of(cmd_name))
        free = _FREE if getattr(module, "FREE_ARGUMENTS", False) else {}
        single.command(cmd_name, cls=FreeCommand if free else Command, **(_SETTINGS | free))(guarded(module.command))
        command = build_command(single)
        for param in command.params:
            quicken(param)
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the arguments begin with; a misspelt one is refused with the name that was meant."""
        name = args[0]
        if name not in self.list_commands(ctx) and not name.startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(name, self.list_commands(ctx), n=1)
            file = not near and ("/" in name or name.endswith((".yaml", ".yml")))
            hint = f" Did you mean '{near[0]}'?" if near else f" Did you mean 'gdrun train {name}'?" if file else ""
            ctx.fail(f"No such command '{name}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands into the help from the table above, so that none of them is imported."""
        width = max(len(name) for name in self.list_commands(ctx))
        for heading, group in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), text) for name, text in group.items()])


def _show_version(wanted: bool) -> None:
    if wanted:
        guarded(terminal.data)(f"gdrun {__version__}")


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


def build(*, completion: bool = True) -> typer.Typer:
    """Return the whole command line.

    Args:
        completion: with the options that install shell completion, for whose types typer imports all of pydantic.
    """
    # rich_markup_mode=None: typer's own help through rich would double the time of `gdrun --help`.
    app = typer.Typer(
        cls=Commands,
        add_completion=completion,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        **_SETTINGS,
    )
    app.callback()(_gdrun)
    return app


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (default: the process's) ask for and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # pydantic would look through all installed packages for plugins: 20 ms, and code that no config asked for.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    terminal.make_robust()
    try:
        # Options of gdrun itself stand before the command, if anywhere.
        direct = bool(given) and any(given[0] in group for group in GROUPS.values())
        build(completion=not direct or _COMPLETING in os.environ)(args=given, prog_name="gdrun")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.__context__, BrokenPipeError):
            code = 0  # typer's verdict on `gdrun --help | head -1` is 1
    except Exception as error:
        code = tell(error)
    return terminal.flush() or int(code)


if __name__ == "__main__":
    sys.exit(run())
