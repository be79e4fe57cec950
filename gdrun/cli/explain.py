"""`gdrun explain CONFIG [KEY]`, `gdrun explain KEY`, `gdrun explain --formulas`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from gdrun.errors import ConfigPath, UsageError

from . import session, terminal
from .arguments import Json, Plugins
from .output import print_json
from .resolved import Resolved, language
from .tables import table

if TYPE_CHECKING:
    from gdrun.experiment.reference import Description


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CONFIG|KEY|KEY=VALUE",
            help="A config to resolve, keys to explain (optimizer.momentum, or a bare name such as momentum), "
            "settings to change in the config.",
            show_default=False,
        ),
    ] = None,
    formulas: Annotated[
        bool, typer.Option("--formulas", help="List the functions of formulas; a KEY narrows the list.")
    ] = False,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Show what a config resolves to and where each value came from, or what a key means.

    With a config alone: all its settings as YAML that runs again. With keys: meaning, type, default, allowed values,
    and with a config the value there and its origin. Keys alone are explained for every kind that knows them.
    """
    config, keys, overrides = _sort(words or [])
    if formulas:
        return _functions(keys, as_json=as_json)
    if config is None and not keys:
        raise UsageError("nothing to explain", hint="gdrun explain CONFIG [KEY], gdrun explain KEY, or --formulas")
    resolved = Resolved.load(config, overrides, session.load_plugins(plugins)) if config is not None else None
    if keys:
        return _keys(keys, resolved, as_json=as_json)
    assert resolved is not None
    if as_json:
        origins = {".".join(map(str, path)): resolved.origin(path) for path in resolved.leaves()}
        return print_json({"config": resolved.root.plain(), "origins": origins})
    return terminal.data(*resolved.commented())


def _sort(words: Sequence[str]) -> tuple[str | None, list[str], list[str]]:
    """Return (config, keys, overrides)."""
    configs, keys, overrides = [], [], []
    for word in words:
        if "=" in word and "/" not in word.partition("=")[0]:
            overrides.append(word)
        elif word == "-" or "/" in word or word.endswith((".yaml", ".yml")) or os.path.exists(word):
            configs.append(word)
        else:
            keys.append(word)
    if len(configs) > 1:
        raise UsageError("one config at a time", hint="explain them one after the other")
    if overrides and not configs:
        raise UsageError("settings need a config to change")
    return configs[0] if configs else None, keys, overrides


def _functions(names: Sequence[str], *, as_json: bool) -> None:
    from gdrun.formula.table import describe_functions

    rows = [row for row in describe_functions() if not names or any(name in row[1] for name in names)]
    if not rows:
        raise UsageError(f"no function is called {' or '.join(names)}")
    if as_json:
        return print_json(
            {"functions": [dict(zip(("group", "signature", "meaning"), row, strict=True)) for row in rows]}
        )
    groups: dict[str, list[tuple[str, str]]] = {}
    for group, signature, meaning in rows:
        groups.setdefault(group, []).append((signature, meaning))
    for group, members in groups.items():
        terminal.data(Text(group, "bold"))
        terminal.data(*table(members, indent=2))
    return None


def _keys(keys: Sequence[str], resolved: Resolved | None, *, as_json: bool) -> None:
    from gdrun.config.scalars import in_flow

    found = [(path, one) for key in keys for path in _paths(key, resolved) for one in _described(path, resolved)]
    if as_json:
        return print_json({"keys": [asdict(one) | _here(path, resolved) for path, one in found]})
    for path, one in found:
        kind = f" (kind: {one.kind})" if one.kind and path[-1] != "kind" else ""
        terminal.data(Text.assemble((".".join(map(str, path)), "bold"), kind))
        terminal.data(f"  {one.meaning}")
        rows = [("type", one.type), ("default", "none, it is required" if one.default is None else one.default)]
        if one.allowed:
            rows.append(("allowed", ", ".join(one.allowed)))
        here = _here(path, resolved)
        if here:
            rows.append(("here", f"{in_flow(here['value'])}  ({here['origin']})"))
        terminal.data(*table(rows, indent=2))
    return None


def _described(path: ConfigPath, resolved: Resolved | None) -> list[Description]:
    from gdrun.experiment.reference import describe

    return describe(path, resolved.loaded.root if resolved else None)


def _paths(key: str, resolved: Resolved | None) -> list[ConfigPath]:
    """The places that a key means: a path as it is, a bare name wherever it can stand.

    Raises:
        UsageError: it means nothing.
    """
    from gdrun.config.overrides import ALIASES
    from gdrun.experiment.reference import describe
    from gdrun.suggest import closest

    path: ConfigPath = ALIASES.get(key) or tuple(int(step) if step.isdigit() else step for step in key.split("."))
    if describe(path, resolved.loaded.root if resolved else None):
        return [path]
    places = list(dict.fromkeys(_places(resolved)))
    found = [place for place in places if place[-len(path) :] == path]
    if found:
        return found
    near = closest(key, [".".join(map(str, place)) for place in places]) or closest(key, [str(p[-1]) for p in places])
    hint = f"did you mean '{near}'?" if near else "gdrun schema prints the whole language"
    raise UsageError(f"there is no key '{key}'", hint=hint)


def _places(resolved: Resolved | None) -> list[ConfigPath]:
    """Every place of the language, as far as it can be listed: of a config's kinds, or of all."""
    if resolved is not None:
        from gdrun.config.overrides import places
        from gdrun.experiment.loading import EXPERIMENT

        return list(places(resolved.loaded.root, EXPERIMENT))
    return list(language())


def _here(path: ConfigPath, resolved: Resolved | None) -> dict[str, Any]:
    """The value at `path` in the config and where it came from; {} where there is none."""
    if resolved is None:
        return {}
    node = resolved.root
    for step in path:
        node = node.child(step) if node is not None else None
    return {} if node is None else {"value": node.plain(), "origin": resolved.origin(path)}
