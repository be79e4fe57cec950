"""What the shell offers after Tab: runs, configs, and the keys of the config that the line names.

An empty offer lets bash complete file names as it always does, folders with their slash; so files are left to it unless
only some of them make sense.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gdrun.errors import GdrunError

MOST_RUNS = 40
"""The newest; who wants an older one types its beginning."""


@dataclass(frozen=True)
class Item:
    """One offer, with the attributes that typer's shells read."""

    value: str
    help: str | None = None
    type: str = "plain"


def offers(metavars: Iterable[str], words: Sequence[str], incomplete: str, runs_dir: Path | None) -> list[Item]:
    """Return what an argument can be.

    Args:
        metavars: how the command's help calls its arguments: "RUN", "CONFIG|KEY=VALUE", ...
        words: the arguments that stand on the line already.
        incomplete: what was typed of this one.
        runs_dir: what `--runs-dir` says.
    """
    named = " ".join(metavars)
    if _in_a_value(words):
        return []
    try:
        found = []
        if "RUN" in named and "/" not in incomplete:
            found += run_offers(incomplete, runs_dir)
        if "CONFIG" in named or "KEY" in named:
            found += config_offers(words, incomplete)
    except (GdrunError, OSError):
        return []  # Tab is no place for an error
    return [item for item in found if item.value.startswith(incomplete)]


def _in_a_value(words: Sequence[str]) -> bool:
    """Whether the word is what follows KEY= : bash takes the = for a word of its own."""
    return words[-1:] == ["="] or os.environ.get("COMP_WORDS", "").endswith("\n=")


def run_offers(incomplete: str, runs_dir: Path | None) -> list[Item]:
    """Return the ids of runs, newest first, and `latest`; by their short ends where no id begins so."""
    from gdrun.rundir.layout import is_run_id, name_in, root_of, run_names

    ids = run_names(root_of(runs_dir))[::-1]
    fitting = [one for one in ids if one.startswith(incomplete)]
    if not fitting:
        fitting = [f"{name_in(one)}-{one[-4:]}" for one in ids if is_run_id(one)]
        fitting = [one for one in fitting if one.startswith(incomplete)]
    return [Item(one) for one in (["latest"] if ids else []) + fitting[:MOST_RUNS] if one.isprintable()]


def config_offers(words: Sequence[str], incomplete: str) -> list[Item]:
    """Return the config files of the folder that was begun, or the keys of the config that is named."""
    config = next((word for word in words if _is_config(word)), None)
    if config is not None and "/" not in incomplete:
        return [Item(f"{key}=") for key in keys_of(config, incomplete)]
    folder, _, begun = incomplete.rpartition("/")
    with os.scandir(folder or ("/" if incomplete.startswith("/") else ".")) as entries:
        near = [one for one in entries if one.name.startswith(begun) and (begun or not one.name.startswith("."))]
    if any(entry.is_dir() for entry in near):
        return []
    names = sorted(entry.name for entry in near if entry.name.endswith((".yaml", ".yml")) and entry.name.isprintable())
    return [Item(f"{folder}/{name}" if "/" in incomplete else name) for name in names]


def _is_config(word: str) -> bool:
    return word.endswith((".yaml", ".yml")) or os.path.isfile(os.path.join(word, "config.yaml"))


def keys_of(config: str, incomplete: str) -> list[str]:
    """Return the keys that an override of `config` can have: short names, and paths once a dot is typed.

    Raises:
        GdrunError: the config cannot be read.
    """
    from gdrun.config.overrides import places
    from gdrun.experiment import load_config
    from gdrun.experiment.loading import EXPERIMENT
    from gdrun.suggest import ALIASES

    paths = list(dict.fromkeys(".".join(map(str, path)) for path in places(load_config(config).root, EXPERIMENT)))
    nearest: dict[str, list[int]] = {}
    for path in paths:
        nearest.setdefault(path.rpartition(".")[2], []).append(path.count("."))
    # As overrides have it: the last word alone means the one place that is nearest to the top.
    names = [*ALIASES, *(end for end, depths in nearest.items() if depths.count(min(depths)) == 1)]
    if incomplete:
        names += paths
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]
