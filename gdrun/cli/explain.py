"""`gdrun explain CONFIG [KEY]`, `gdrun explain KEY`, `gdrun explain --formulas`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from rich.text import Text

from gdrun.config.document import read_document
from gdrun.config.forms import Form, arm, at, choices, fields, places
from gdrun.config.overrides import dotted
from gdrun.config.plugins import Plugins as LoadedPlugins
from gdrun.config.scalars import in_flow
from gdrun.config.source import Node
from gdrun.errors import ConfigPath, UsageError
from gdrun.experiment.gallery import is_config_name
from gdrun.experiment.loading import EXPERIMENT, LoadedConfig, load_config
from gdrun.experiment.reference import describe
from gdrun.formula.table import describe_functions
from gdrun.suggest import ALIASES, closest

from . import session, terminal
from .arguments import Json, Plugins, config_names, is_setting
from .output import print_json
from .tables import table

DEFAULT = "default"
_ANY_NAME = "<name>"


def command(
    words: Annotated[
        list[str] | None,
        config_names(
            "CONFIG|KEY|KEY=VALUE",
            "A config to resolve, keys to explain (optimizer.momentum, or a bare name such as momentum), "
            "settings to change in the config.",
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
        return _show_functions(keys, as_json=as_json)
    if config is None and not keys:
        raise UsageError("nothing to explain", hint="gdrun explain CONFIG [KEY], gdrun explain KEY, or --formulas")
    resolved = Resolved.load(config, overrides, session.load_plugins(plugins)) if config is not None else None
    if keys:
        return _show_keys(keys, resolved, as_json=as_json)
    assert resolved is not None
    if as_json:
        origins = {dotted(path): resolved.origin(path) for path in resolved.leaves()}
        return print_json({"config": resolved.root.plain(), "origins": origins})
    return terminal.data(*resolved.commented())


def _sort(words: Sequence[str]) -> tuple[str | None, list[str], list[str]]:
    """Return (config, keys, overrides)."""
    overrides = [word for word in words if is_setting(word)]
    configs: list[str] = []
    keys: list[str] = []
    for word in (word for word in words if not is_setting(word)):
        is_file = is_config_name(word) or "/" in word or os.path.exists(word)
        (configs if is_file else keys).append(word)
    if len(configs) > 1:
        raise UsageError("one config at a time", hint="explain them one after the other")
    if overrides and not configs:
        raise UsageError("settings need a config to change")
    return configs[0] if configs else None, keys, overrides


def _show_functions(names: Sequence[str], *, as_json: bool) -> None:
    rows = [row for row in describe_functions() if not names or any(name in row[1] for name in names)]
    if not rows:
        raise UsageError(f"no function is called {' or '.join(names)}")
    if as_json:
        titles = ("group", "signature", "meaning")
        return print_json({"functions": [dict(zip(titles, row, strict=True)) for row in rows]})
    groups: dict[str, list[tuple[str, str]]] = {}
    for group, signature, meaning in rows:
        groups.setdefault(group, []).append((signature, meaning))
    for group, members in groups.items():
        terminal.data(Text(group, "bold"), *table(members, indent=2))
    return None


def _show_keys(keys: Sequence[str], resolved: Resolved | None, *, as_json: bool) -> None:
    described = []
    for path in (path for text in keys for path in _paths(text, resolved)):
        loaded, inner = resolved.phase_of(path) if resolved else (None, path)
        described += [(path, key) for key in describe(inner, None if loaded is None else loaded.root)]
    if as_json:
        return print_json(
            {"keys": [asdict(key) | {"path": path} | _value_at(path, resolved) for path, key in described]}
        )
    for path, key in described:
        kind = f" (kind: {key.kind})" if key.kind and path[-1] != "kind" else ""
        rows = [("type", key.type), ("default", "none, it is required" if key.default is None else key.default)]
        if key.allowed:
            rows.append(("allowed", ", ".join(key.allowed)))
        if here := _value_at(path, resolved):
            rows.append(("here", f"{in_flow(here['value'])}  ({here['origin']})"))
        terminal.data(Text.assemble((dotted(path), "bold"), kind), f"  {key.meaning}", *table(rows, indent=2))
    return None


def _paths(key: str, resolved: Resolved | None) -> list[ConfigPath]:
    """Return the places that a key means: a path as it is, a bare name wherever it can stand.

    Raises:
        UsageError: it means nothing.
    """
    root = resolved.loaded.root if resolved else None
    path: ConfigPath = tuple(int(step) if step.isdigit() else step for step in ALIASES.get(key, key).split("."))
    if describe(path, root):
        return [path]
    # Every place of the language, as far as it can be listed: of a config's kinds, or of all.
    known = list(dict.fromkeys(places(root, EXPERIMENT) if root is not None else language()))
    matching = [place for place in known if place[-len(path) :] == path]
    if matching:
        return matching
    near = closest(key, map(dotted, known)) or closest(key, [str(place[-1]) for place in known])
    hint = f"did you mean '{near}'?" if near else "gdrun schema prints the whole language"
    raise UsageError(f"there is no key '{key[:100]}'", hint=hint)


def _value_at(path: ConfigPath, resolved: Resolved | None) -> dict[str, Any]:
    """Return the value at `path` in the config and where it came from; {} where there is none."""
    node = None if resolved is None else resolved.root.at(path)
    return {} if node is None or resolved is None else {"value": node.plain(), "origin": resolved.origin(path)}


@dataclass(frozen=True)
class Resolved:
    """A config with all defaults filled in, and the text that says so."""

    loaded: LoadedConfig
    text: str
    root: Node
    """The resolved text as a tree."""

    @classmethod
    def load(cls, config: str, overrides: Sequence[str], plugins: LoadedPlugins) -> Resolved:
        """Return a config, resolved."""
        loaded = load_config(config, overrides, plugins=plugins)
        text = loaded.resolved_text()
        return cls(loaded, text, read_document(text.encode(), "resolved"))

    def leaves(self) -> dict[ConfigPath, int]:
        """Return the path of each value that is no mapping or list -> its line, from 0."""
        lines: dict[ConfigPath, int] = {}

        def walk(node: Node, path: ConfigPath) -> None:
            children: Any = node.value
            if isinstance(children, dict) and children:
                for key, child in children.items():
                    walk(child, (*path, key))
            elif isinstance(children, list) and any(isinstance(child.value, dict) for child in children):
                for index, child in enumerate(children):
                    walk(child, (*path, index))
            else:
                lines[path] = node.span.source.line_of(node.span.start)

        walk(self.root, ())
        return lines

    def phase_of(self, path: ConfigPath) -> tuple[LoadedConfig, ConfigPath]:
        """Return the phase that a path leads into, merged over the whole file, and the path within it."""
        phases = (self.loaded, *self.loaded.phases)
        if len(path) > 2 and path[0] == "phases" and path[1] in range(len(phases)):
            return phases[int(path[1])], path[2:]
        return self.loaded, path

    def origin(self, path: ConfigPath) -> str:
        """Return where the value at `path` was written: "configs/pi.yaml:12", "argument 1"; or "default"."""
        loaded, path = self.phase_of(path)
        place = loaded.origin(path)
        if place is None and _is_short_for(loaded, path):
            place = loaded.origin(path[:-1])
        if place is None:
            return DEFAULT
        return place.source if place.source.startswith("argument ") else f"{place.source}:{place.line}"

    def commented(self) -> list[terminal.Line]:
        """Return the lines of the resolved text, each with the origins of what it says."""
        origins: dict[int, dict[str, None]] = {}
        for path, line in self.leaves().items():
            origins.setdefault(line, {})[self.origin(path)] = None
        lines: list[terminal.Line] = []
        texts = self.text.rstrip("\n").split("\n")
        width = min(60, max(map(len, texts)))
        for number, text in enumerate(texts):
            written = list(origins.get(number, {}))
            names = [name for name in written if name != DEFAULT] or written
            comment = Text.assemble(f"{text.ljust(width)}  ", (f"# {', '.join(names)}", "dim"))
            lines.append(comment if names else text)
        return lines


def _is_short_for(loaded: LoadedConfig, path: ConfigPath) -> bool:
    """Return whether a bare word or value one level up says the value at `path`: `sgd`, `mse`, a `scale`."""
    node = loaded.root.at(path[:-1])
    form = at(EXPERIMENT, loaded.root, path[:-1])
    if node is None or form is None or node.is_mapping:
        return False
    form = arm(form, node)
    if form.kinds is not None and isinstance(node.value, str):
        section = form.kinds.section(node.value)
        return section is not None and path[-1] in {"kind", *section.aliases.get(node.value, ())}
    return form.section is not None and form.section.short == path[-1]


def language() -> Iterator[ConfigPath]:
    """Yield every place that some config can have: 0 stands for a list's entries, <name> for free names."""
    seen = set()
    waiting: list[tuple[ConfigPath, Form]] = [((), EXPERIMENT)]
    while waiting:
        path, form = waiting.pop(0)
        for choice in choices(form):
            inner = choice.items or choice.values
            if inner is not None:
                waiting.append(((*path, 0 if choice.items else _ANY_NAME), inner))
            for section in choice.kinds.variants.values() if choice.kinds else [choice.section]:
                # Sections can hold each other: validation data is data.
                if section is not None and (section, path[-1:]) not in seen:
                    seen.add((section, path[-1:]))
                    for key, below in fields(section).items():
                        yield (*path, key)
                        waiting.append(((*path, key), below))
