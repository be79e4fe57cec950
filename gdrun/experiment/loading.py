"""Loading of a file and overrides as a checked experiment that has the origin of each of its values."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gdrun.config.custom import PluginContext
from gdrun.config.document import MAX_BYTES, read_document
from gdrun.config.files import read_regular_file
from gdrun.config.forms import Form
from gdrun.config.inherit import inherit
from gdrun.config.merge import put
from gdrun.config.overrides import Override, apply_overrides, parse_overrides
from gdrun.config.plugins import Plugins, PluginSources, load_plugins
from gdrun.config.problems import in_order, locate, validation_problems
from gdrun.config.source import Node, Span
from gdrun.errors import ConfigError, ConfigPath, Place, Problem

from .checks import check
from .experiment import Experiment
from .gallery import PREFIX, gallery_path
from .phases import phase_problems, phase_roots, unseen_problems

EXPERIMENT = Form(Experiment)

MAX_TEXT = 40_000
"""Bound on the characters in all values that are texts together."""


@dataclass(frozen=True)
class ConfigOrigin:
    """The sources of a config.

    Args:
        source: name of the config in messages: the path or gallery name as given, or "stdin".
        directory: the folder that relative data paths count from.
        files: (name, bytes) of the config and its parents, as written.
        overrides: as given, KEY=VALUE.
        plugins: those among which parts of kind custom were looked up.
    """

    source: str
    directory: Path
    files: tuple[tuple[str, bytes], ...]
    overrides: tuple[str, ...]
    plugins: Plugins = field(repr=False, compare=False)


@dataclass(frozen=True)
class LoadedConfig(ConfigOrigin):
    """A checked experiment and its origins.

    Args:
        experiment: the checked values; its name is filled in.
        root: the values with their places.
        whole: those of the whole file: of one with phases, each of them where it is written.
        number: of the phase, from 0.
        phases: those that are trained after it, where it is the first phase of several.
    """

    experiment: Experiment
    root: Node = field(repr=False, compare=False)
    whole: Node = field(repr=False, compare=False)
    number: int = 0
    phases: tuple[LoadedConfig, ...] = field(default=(), repr=False)

    @property
    def last(self) -> LoadedConfig:
        """The last phase, which a trained model is of; itself where there are none."""
        return self.phases[-1] if self.phases else self

    def locate(self, problem: Problem) -> Problem:
        """Return `problem` with the place of its path in the config, for problems that only building shows."""
        return locate(_of_phase(problem, self.number), self.root)

    def origin(self, path: ConfigPath) -> Place | None:
        """Return the place of the value at `path`, in a file or an override; None where it is a default."""
        node = self.root.at(path)
        return node.span.place() if node is not None else None

    def resolved_text(self) -> str:
        """Return the experiment with all its settings as YAML that `load_config` reads back to an equal one.

        Paths of data files are made absolute.
        """
        from .dump import dump

        return dump(self.experiment, self.directory, phases=[phase.experiment for phase in self.phases])


def load_config(
    source: str | Path | bytes | bytearray | memoryview,
    overrides: Sequence[str | Override] | Mapping[str, Any] = (),
    *,
    plugins: PluginSources = (),
) -> LoadedConfig:
    """Read, merge and check a config.

    Args:
        source: a YAML file, a run directory, "gallery:NAME", "-" for stdin, or the bytes of a config.
        overrides: "KEY=VALUE" texts, or overrides that are read already; or a mapping from key to value.
        plugins: files and modules with the parts of kind custom that the config names. Their code is run.
    Raises:
        PluginError: a plugin cannot be loaded.
        ConfigError: with every problem that the text alone shows, located, in the order of the file.
        UsageError: if there is no such file, or it cannot be read.
    """
    loaded_plugins = load_plugins(plugins)
    name, path, data = _read(source)
    files = [(name, data)]
    root = read_document(data, name)
    if root.value is None:
        raise root.span.refused("the config is empty", "gdrun init writes one")
    if not isinstance(root.value, dict):
        raise root.span.refused("a config is a mapping: key: value")
    root = inherit(root, path, name, EXPERIMENT, files)
    parsed, problems = parse_overrides(overrides)
    root, key_problems = apply_overrides(root, parsed, EXPERIMENT)
    directory = path.parent if path is not None else Path()
    origin = ConfigOrigin(name, directory, tuple(files), _as_texts(overrides), loaded_plugins)
    changes = [(override.value, override.span) for override in parsed]
    return _checked(root, changes, default_name(name), origin, [*problems, *key_problems])


def revise(
    loaded: LoadedConfig,
    changes: Sequence[tuple[ConfigPath, Node, Span]],
    *,
    texts: Sequence[str] = (),
    without: Sequence[str] = (),
) -> LoadedConfig:
    """Return `loaded` with other values at some places, checked again; no file is read.

    Args:
        changes: (path, value, span of the path). A mapping replaces the old value; anything else is merged in like an
            override.
        texts: overrides that are added to those on record.
        without: keys of the file's top that the result does not have.
    Raises:
        ConfigError: with every problem of the result.
    """
    root = loaded.whole
    assert isinstance(root.value, dict)
    if not root.value.keys().isdisjoint(without):
        kept = {key: value for key, value in root.value.items() if key not in without}
        root = replace(root, value=kept, keys={key: span for key, span in (root.keys or {}).items() if key in kept})
    for path, value, span in sorted(changes, key=lambda change: (len(change[0]), change[0][-1] != "kind")):
        old = root.at(path)
        if isinstance(value.value, dict) and old is not None and old.is_mapping:
            root = put(root, path, Node(None, value.span), span, EXPERIMENT)
        root = put(root, path, value, span, EXPERIMENT)
    origin = replace(loaded, overrides=(*loaded.overrides, *texts))
    return _checked(root, [(value, span) for _, value, span in changes], loaded.experiment.name, origin)


def _checked(
    root: Node,
    changes: Sequence[tuple[Node, Span]],
    name: str | None,
    origin: ConfigOrigin,
    problems: Sequence[Problem] = (),
) -> LoadedConfig:
    """Return the checked config of `root`, with its phases.

    Args:
        changes: (value, where its key stands) of each override and of each axis of a trial.
        name: of an experiment that gives none.
        problems: of the overrides.
    Raises:
        ConfigError: with the problems of form of one phase; else those between its settings; else those between phases.
    """
    # Before any formula is read: that takes time.
    size = sum(len(leaf.value) for leaf in root.leaves() if isinstance(leaf.value, str))
    if size > MAX_TEXT:
        message = f"the texts of this config have {size:,} characters; {MAX_TEXT:,} are read"
        raise ConfigError((root.span.problem(message),), source=origin.source)
    order = list(dict.fromkeys([*(file for file, _ in origin.files), *(span.source.name for _, span in changes)]))
    context = PluginContext(origin.plugins, origin.directory)
    configs = []
    roots = phase_roots(root, EXPERIMENT)
    for number, phase in enumerate(roots):
        of_phase = list(problems)
        try:
            experiment = Experiment.model_validate(phase.plain(), context=context)
            of_phase += check(experiment, phase, is_whole=not number)
        except ValidationError as error:
            of_phase += validation_problems(error, phase, EXPERIMENT)
        if of_phase:
            located = [locate(_of_phase(problem, number), phase) for problem in of_phase]
            raise ConfigError(in_order(located, order), source=origin.source)
        if experiment.name is None:
            experiment = experiment.model_copy(update={"name": name})
        own = {"experiment": experiment, "root": phase, "whole": root, "number": number, "phases": ()}
        configs.append(LoadedConfig(**(vars(origin) | own)))
    problems = [*phase_problems([config.experiment for config in configs]), *unseen_problems(changes, roots)]
    if problems:
        raise ConfigError(in_order([locate(problem, root) for problem in problems], order), source=origin.source)
    return replace(configs[0], phases=tuple(configs[1:]))


def _of_phase(problem: Problem, number: int) -> Problem:
    """Return the problem of a phase, which may be about a line that all of them have, with its number."""
    return replace(problem, message=f"in phases.{number}: {problem.message}") if number else problem


def _read(source: str | Path | bytes | bytearray | memoryview) -> tuple[str, Path | None, bytes]:
    """Return (name, path or None, bytes)."""
    if isinstance(source, bytes | bytearray | memoryview):
        return "config", None, bytes(source)
    if source == "-":
        return "stdin", None, sys.stdin.buffer.read(MAX_BYTES + 1)
    if str(source).startswith(PREFIX):
        path = gallery_path(str(source))
        return str(source), path, read_regular_file(path)
    path = Path(source)
    # os.path.lexists, unlike Path.exists, raises for no name.
    if os.path.lexists(os.path.join(path, "config.yaml")):
        path = path / "config.yaml"
    return str(path), path, read_regular_file(path)


def default_name(source: str) -> str:
    """Return the name of a config that gives none: its file's stem, in the letters that names have."""
    path = Path(source.removeprefix(PREFIX))
    stem = path.parent.name if path.name == "config.yaml" and path.parent.name else path.stem
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("._-")[:64] or "experiment"


def _as_texts(overrides: Sequence[str | Override] | Mapping[str, Any]) -> tuple[str, ...]:
    if isinstance(overrides, Mapping):
        return tuple(f"{key}={value}" for key, value in overrides.items())
    return tuple(item if isinstance(item, str) else item.text for item in overrides)
