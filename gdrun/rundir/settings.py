"""A config's settings by dotted path, short enough for run.json: what runs are filtered, listed and compared by.

    {"optimizer.kind": "sgd", "optimizer.learning_rate": 0.1, "model.hidden": [16, 16], ...}

config.yaml stays the whole truth; this is what fits into a list of ten thousand runs without a YAML parser.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gdrun.errors import ConfigError, RunDirectoryError
from gdrun.suggest import ALIASES

from . import layout
from .files import read_file

LONGEST_TEXT = 200
LONGEST_LIST = 16
MOST_SETTINGS = 400

NOT_SETTINGS = frozenset({"name", "description", "expect", "sweep", "checkpoint"})
"""Top-level keys that change nothing in the computation of a run."""

CONFIG_LIMIT = 64 << 20
"""Bytes of a config.yaml that are read."""


def flatten(config: Mapping[str, Any], *, most: int | None = MOST_SETTINGS) -> dict[str, Any]:
    """Return the settings of a config by dotted path, in the config's order.

    Numbers, booleans, texts and short lists of them are kept. What is longer is cut and ends in a piece of its
    SHA-256, so that two values that differ still look different. Nulls are left out: they say "nothing is set".

    Args:
        config: mappings, lists and scalars, as `gdrun.experiment.dump.plain` or a YAML parser gives them.
        most: how many settings are kept, the first ones; None keeps all.
    """
    settings: dict[str, Any] = {}
    for path, value in _leaves({key: item for key, item in config.items() if key not in NOT_SETTINGS}, ""):
        if len(settings) == most:
            break
        settings[path] = _short(value)
    return settings


def settings_of(directory: Path) -> dict[str, Any]:
    """Return the settings in the config.yaml of a run directory, for records that hold none.

    Raises:
        RunDirectoryError: there is no config.yaml, or it is not one.
    """
    return flatten(read_config(directory))


def config_bytes(directory: Path) -> bytes:
    """Return what the config.yaml of a run directory holds. Raises: RunDirectoryError, where it cannot be read."""
    path = directory / layout.CONFIG
    try:
        return read_file(path, limit=CONFIG_LIMIT)
    except FileNotFoundError as error:
        raise RunDirectoryError(f"the run has no {path}") from error


def read_config(directory: Path) -> dict[str, Any]:
    """Return the whole resolved config of a run directory as plain values. Raises: as `settings_of`."""
    from gdrun.config.document import read_document

    path = directory / layout.CONFIG
    try:
        tree = read_document(config_bytes(directory), str(path)).plain()
    except ConfigError as error:
        raise RunDirectoryError(f"{path} is corrupt: {error.message}") from error
    if not isinstance(tree, dict):
        raise RunDirectoryError(f"{path} is corrupt: it is not a mapping")
    return tree


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}.{index}")
    elif value is not None:
        yield path, value


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else _cut(value)
    if isinstance(value, list | tuple):
        items = list(value)
        if len(items) <= LONGEST_LIST and all(isinstance(item, int | float | str) for item in items):
            return [_short(item) for item in items]
        return _cut(json.dumps(items, separators=(",", ":"), default=str))
    return value


def _cut(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]
    return f"{text[: LONGEST_TEXT - 20]}... {digest}"


def ending_in(word: str, settings: Iterable[str]) -> list[str]:
    """Return the paths that end in `word`; of several, those nearest to the top: a bare word in an override."""
    paths = [path for path in settings if f".{path}".endswith(f".{word}")]
    fewest = min((path.count(".") for path in paths), default=0)
    return [path for path in paths if path.count(".") == fewest]


def differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the paths whose values are not the same in all of `settings`, in the order in which they first appear.

    A setting that one has and another has not differs too.
    """
    if len(settings) < 2:
        return []
    first, others = settings[0], settings[1:]
    paths: set[str] = set()
    for other in others:
        if other != first:
            paths |= {path for path, value in first.items() if other.get(path, _NOTHING) != value}
            paths |= other.keys() - first.keys()
    if paths <= first.keys():
        return [path for path in first if path in paths]
    return [path for path in dict.fromkeys(path for one in settings for path in one) if path in paths]


_NOTHING = object()


def labels(paths: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return path -> the shortest name that means it alone among the paths `known`: lr, momentum, data.kind.

    A name is an alias, the last word of the path or the whole path, which is what filters and overrides know.
    """
    last_words = Counter(path.rpartition(".")[2] for path in set(known))
    aliases = {path: name for name, path in ALIASES.items()}
    names = {}
    for path in paths:
        word = path.rpartition(".")[2]
        names[path] = aliases.get(path) or (word if last_words[word] <= 1 else path)
    return names
