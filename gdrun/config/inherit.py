"""Inheritance of configs: `extends:` names one parent, in the same git checkout or below the working directory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gdrun.errors import ConfigError, ConfigPath, Problem, UsageError

from .document import MAX_BYTES, read_document
from .files import read_regular_file
from .forms import Form
from .merge import merge
from .source import Node

NOT_INHERITED = ("name", "description", "expect", "sweep")
"""Keys that belong to one experiment alone."""

MAX_GENERATIONS = 16


def inherit(
    root: Node,
    path: Path | None,
    name: str,
    form: Form,
    files: list[tuple[str, bytes]],
    descendants: tuple[Path, ...] = (),
) -> Node:
    """Return `root` merged over the parent that it extends, without its `extends` key.

    Args:
        root: a mapping.
        path: the file that `root` was read from; None where it is no file, which cannot extend anything.
        name: the name of that file in problems.
        files: gets (name, bytes) of every parent.
        descendants: the files that extend `path`, directly or not.
    Raises:
        ConfigError: if the parent is outside of the allowed folders, no regular YAML file, not readable or its own
            ancestor.
    """
    assert isinstance(root.value, dict)
    extends = root.value.get("extends")
    own = Node(
        {key: value for key, value in root.value.items() if key != "extends"},
        root.span,
        {key: span for key, span in (root.keys or {}).items() if key != "extends"},
    )
    if extends is None or extends.value is None:
        return own
    parent_path = _parent_path(extends, path, (*descendants, path) if path is not None else descendants)
    assert path is not None
    parent_name = str(Path(name).parent / str(extends.value))
    try:
        data = read_regular_file(parent_path)
    except UsageError as error:
        raise _refused(extends, error.message, error.hint) from None
    files.append((parent_name, data))
    if sum(len(content) for _, content in files) > MAX_BYTES:
        raise _refused(extends, f"this config and its parents have more than {MAX_BYTES:,} bytes")
    parent = read_document(data, parent_name)
    if not isinstance(parent.value, dict):
        raise _refused(extends, "this parent is not a mapping of settings")
    parent = inherit(parent, parent_path, parent_name, form, files, (*descendants, path))
    assert isinstance(parent.value, dict)
    for key in NOT_INHERITED:
        parent.value.pop(key, None)
    _move_files(parent, str(Path(str(extends.value)).parent))
    return merge(parent, own, form)


def _parent_path(extends: Node, path: Path | None, descendants: tuple[Path, ...]) -> Path:
    written = extends.value
    if path is None:
        raise _refused(extends, "only a file can extend another one")
    if not isinstance(written, str):
        raise _refused(extends, "extends: names one file, relative to this one")
    relative = Path(written)
    if relative.is_absolute() or "\x00" in written or "~" in relative.parts[:1]:
        raise _refused(extends, "extends: names one file, relative to this one")
    parent = path.parent / relative
    # The file that is opened counts, not the links to it: a link in a checkout may lead anywhere.
    real = Path(os.path.realpath(parent))
    if not any(real.is_relative_to(top) for top in _allowed_tops(path)):
        hint = "copy it beside this config, or run gdrun in a folder that holds both"
        if ".." not in relative.parts:
            hint = f"a link leads there; {hint}"
        raise _refused(extends, "this parent is outside the config's git checkout and the working directory", hint)
    if not {relative.suffix, real.suffix} <= {".yaml", ".yml"}:
        raise _refused(extends, "a parent is a YAML file, .yaml or .yml")
    if any(os.path.realpath(other) == str(real) for other in descendants):
        raise _refused(extends, "this config extends itself", " -> ".join(file.name for file in (*descendants, parent)))
    if len(descendants) > MAX_GENERATIONS:
        raise _refused(extends, f"more than {MAX_GENERATIONS} parents")
    return parent


def _allowed_tops(path: Path) -> Iterator[Path]:
    """Yield the folders below which a config at `path` may have its parent: its own, its git checkout, the current one.

    A config that came from elsewhere must not make gdrun open, and quote in its messages, other files of the user.
    """
    folder = Path(os.path.realpath(path.parent))
    yield folder
    # `.git` is a file in the worktrees and submodules of git.
    yield from itertools.islice((top for top in (folder, *folder.parents) if os.path.exists(top / ".git")), 1)
    yield Path(os.path.realpath(os.curdir))


def _refused(extends: Node, message: str, hint: str | None = None) -> ConfigError:
    place = extends.span.place()
    return ConfigError((Problem(message, ("extends",), hint, place=place),), source=place.source)


_FILES = (("data", "path"), ("data", "validation", "path"), ("model", "from"), ("model", "networks", "*", "from"))


def file_places(config: object) -> Iterator[ConfigPath]:
    """Yield the places of a config's plain values that name a file, whose relative path counts from its folder."""
    for pattern in (*_FILES, *(("phases", "*", *steps) for steps in _FILES)):
        places: list[tuple[ConfigPath, Any]] = [((), config)]
        for step in pattern:
            places = [((*path, key), value[key]) for path, value in places for key in _entries(value, step)]
        yield from (path for path, value in places if isinstance(value, str))


def _entries(value: Any, step: str) -> Iterable[str | int]:
    if step == "*":
        return value if isinstance(value, dict) else range(len(value)) if isinstance(value, tuple | list) else ()
    return [step] if isinstance(value, dict) and step in value else ()


def _move_files(parent: Node, folder: str) -> None:
    """Make the paths of files that a parent names relative to the child's folder, in place."""
    for place in file_places(parent.plain()) if folder != "." else ():
        node = parent.at(place)
        assert node is not None
        node.value = os.path.join(folder, str(node.value))
