"""Shell completion: runs, configs, names of the gallery, and the keys of the config that the line names.

An empty offer lets bash complete file names as it always does, folders with their slash; so files are left to it unless
only some of them make sense.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import typer

from gdrun.errors import GdrunError
from gdrun.rundir.layout import is_run_id, name_in, root_of, run_names

MOST_RUNS = 40
"""The newest are offered; an older one is found by its beginning."""


def complete_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the ids of runs, newest first, and `latest`; their short ends where no id begins as the word does."""
    runs_dir: Path | None = ctx.params.get("runs_dir")
    if "/" in incomplete or _words(ctx)[-1:] in (["="], [":"]):
        return []
    with suppress(GdrunError, OSError):  # an error has no place while the shell completes
        ids = run_names(root_of(runs_dir))[::-1]
        fitting = [run_id for run_id in ids if run_id.startswith(incomplete)]
        if not fitting:
            fitting = [f"{name_in(run_id)}-{run_id[-4:]}" for run_id in ids if is_run_id(run_id)]
            fitting = [end for end in fitting if end.startswith(incomplete)]
        return [offer for offer in (["latest"] if ids else []) + fitting[:MOST_RUNS] if offer.isprintable()]
    return []


def complete_configs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the configs that the word begins, of a folder or of the gallery, or the keys of the config on the line."""
    from gdrun.experiment.gallery import PREFIX  # only here: each command imports this module

    *words, word = "\n".join([*_words(ctx), incomplete]).replace("\n:\n", ":").split("\n")
    if words[-1:] == ["="]:
        return []
    with suppress(GdrunError, OSError):
        config = next((word for word in words if _is_config(word)), None)
        if config is not None and "/" not in word and not word.startswith(PREFIX):
            return [f"{key}=" for key in keys_of(config, incomplete)]
        names = _config_names(word)
        return list(names) if word == incomplete else [name.removeprefix(PREFIX) for name in names]
    return []


def complete_configs_and_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what can be a config, a key of it, or a run."""
    return [*complete_runs(ctx, incomplete), *complete_configs(ctx, incomplete)]


def _words(ctx: typer.Context) -> list[str]:
    """Return the arguments that stand on the line already."""
    return [word for value in ctx.params.values() if isinstance(value, list | tuple) for word in map(str, value)]


def _config_names(incomplete: str) -> Iterator[str]:
    """Yield the config files that a word begins; nothing where folders fit; of the gallery where no file does."""
    from gdrun.experiment.gallery import PREFIX, gallery

    folder, _, begun = incomplete.rpartition("/")
    with os.scandir(folder or ("/" if incomplete.startswith("/") else ".")) as entries:
        near = [entry for entry in entries if entry.name.startswith(begun) and (begun or entry.name[0] != ".")]
    if any(entry.is_dir() for entry in near):
        return
    if not near:
        yield from (PREFIX + name for name in gallery() if f"{PREFIX}{name}".startswith(incomplete))
    for name in sorted(entry.name for entry in near):
        if name.endswith((".yaml", ".yml")) and name.isprintable():
            yield f"{folder}/{name}" if "/" in incomplete else name


def _is_config(word: str) -> bool:
    from gdrun.experiment.gallery import is_config_name  # only here: each command imports this module

    return is_config_name(word) or os.path.isfile(os.path.join(word, "config.yaml"))


def keys_of(config: str, incomplete: str) -> list[str]:
    """Return the keys that an override of `config` can have: short names, and paths once a dot is typed.

    Raises:
        GdrunError: the config cannot be read.
    """
    from gdrun.config.forms import places  # only here: each command imports this module
    from gdrun.config.overrides import dotted
    from gdrun.experiment.loading import EXPERIMENT, load_config
    from gdrun.rundir.settings import ending_in
    from gdrun.suggest import ALIASES

    paths = list(dict.fromkeys(map(dotted, places(load_config(config).root, EXPERIMENT))))
    # As overrides have it: the last word alone means the one place that is nearest to the top.
    ends = dict.fromkeys(path.rpartition(".")[2] for path in paths)
    names = [*ALIASES, *(end for end in ends if len(ending_in(end, paths)) == 1)]
    if incomplete:
        names += paths
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def complete_line(words: list[str], incomplete: str) -> list[str]:
    """Return what may stand in place of the last word of a command line; [] where files are.

    Args:
        words: those before it, without `gdrun`.
        incomplete: the last one.
    """
    from .app import app_command

    group = app_command()
    if not words:
        return [name for name in group.list_commands(None) if name.startswith(incomplete)]
    command = group.get_command(None, words[0])
    if command is None:
        return []
    if incomplete.startswith("-"):
        options = [option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)]
        return [option for option in options if option.startswith(incomplete) and option.startswith("-")]
    with suppress(Exception):  # as in the system's shell, what cannot be read has no completion
        context = command.make_context(words[0], list(words[1:]), resilient_parsing=True)
        parameter = next(parameter for parameter in command.params if parameter.param_type_name == "argument")
        return [item.value for item in parameter.shell_complete(context, incomplete)]
    return []
