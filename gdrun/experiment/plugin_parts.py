"""Parts of kind custom: looked up among the loaded plugins, their options checked.

The checks work on plain values and not on the typed Experiment, so that they are reported together with problems of
form, where there is no Experiment yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gdrun.config.custom import CustomSection
from gdrun.config.plugins import Entry, Plugins, option_problems
from gdrun.errors import ConfigPath, Problem
from gdrun.plugin import Part
from gdrun.suggest import did_you_mean, listed

from .experiment import Experiment

CUSTOM = "custom"


def _mapping(value: Any) -> Mapping[str, Any]:
    """Return `value` if it is a mapping, else an empty one: validation reports the mistake."""
    return value if isinstance(value, Mapping) else {}


def _kind(value: Any) -> str | None:
    """Return the kind of a section, written as a mapping or as a bare string."""
    written = value.get("kind") if isinstance(value, Mapping) else value
    return written if isinstance(written, str) else None


_SINGLE: tuple[Part, ...] = ("data", "model", "loss", "optimizer")


def plugin_problems(config: Mapping[str, Any], plugins: Plugins, directory: Path) -> Iterator[Problem]:
    """Yield the problems of a config's parts of kind custom, without places.

    Args:
        config: plain values.
        directory: the config's folder; a run directory holds a copy of its plugins.
    """
    for part, path, section in _custom_sections(config):
        name = section.get("name")
        if not isinstance(name, str):
            continue
        entry = plugins.find(part, name)
        if entry is None:
            yield _unknown(part, name, (*path, "name"), plugins, directory)
        elif isinstance(options := section.get("options", {}), Mapping):
            yield from option_problems(entry, options, (*path, "options"))


def _custom_sections(config: Mapping[str, Any]) -> Iterator[tuple[Part, ConfigPath, Mapping[str, Any]]]:
    data = _mapping(config.get("data"))
    if _kind(data) == CUSTOM:
        yield "data", ("data",), data
    block = _mapping(data.get("validation"))
    if (_kind(block) or (_kind(data) if {"name", "options"} & block.keys() else None)) == CUSTOM:
        inherited = data if _kind(data) == CUSTOM else {}
        yield "data", ("data", "validation"), {**inherited, **block}
    for part in _SINGLE[1:]:
        if _kind(config.get(part)) == CUSTOM:
            yield part, (part,), _mapping(config[part])
    metrics = config.get("metrics")
    for position, metric in enumerate(metrics if isinstance(metrics, list | tuple) else ()):
        if isinstance(metric, Mapping) and _kind(metric) == CUSTOM:
            yield "metric", ("metrics", position), metric


def _unknown(part: Part, name: str, path: ConfigPath, plugins: Plugins, directory: Path) -> Problem:
    short_name = name[:64]
    if not plugins.loaded:
        copies = sorted((directory / "source" / "plugins").glob("*.py")) if (directory / "run.json").is_file() else []
        hint = "give the plugin that brings it: --plugin FILE_OR_MODULE"
        if copies:
            hint += f"; the run's own copy is {copies[0]}"
        return Problem(f"the {part} '{short_name}' is of a plugin, and none is loaded", path, hint)
    loaded = f"loaded: {listed([plugin.short for plugin in plugins.loaded])}"
    names = plugins.names(part)
    near = did_you_mean(name, names, allowed=f"their kinds of {part}") or f"they bring no {part} at all"
    return Problem(f"no plugin has a {part} '{short_name}'", path, f"{near} ({loaded})")


def bind(experiment: Experiment, plugins: Plugins) -> Experiment:
    """Return the experiment with the registrations of its custom parts, and with all their options written out.

    Args:
        experiment: one without `plugin_problems`.
    """
    update: dict[str, Any] = {}
    for part in _SINGLE:
        section = getattr(experiment, part)
        bound = _bound(section, part, plugins)
        validation = getattr(bound, "validation", None)
        if isinstance(validation, CustomSection):
            bound = bound.model_copy(update={"validation": _bound(validation, part, plugins)})
        if bound is not section:
            update[part] = bound
    metrics = tuple(_bound(metric, "metric", plugins) for metric in experiment.metrics)
    if any(new is not old for new, old in zip(metrics, experiment.metrics, strict=True)):
        update["metrics"] = metrics
    return experiment.model_copy(update=update) if update else experiment


def _bound(section: Any, part: Part, plugins: Plugins) -> Any:
    if not isinstance(section, CustomSection):
        return section
    entry = plugins.find(part, section.name)
    assert entry is not None
    return section.bound(entry, _written_out(entry, section.options))


def _written_out(entry: Entry, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options with their defaults, where they read back to the same; else as they were given."""
    options = entry.options(given)
    if options is None:
        return {}
    try:
        complete = options.model_dump(mode="json", by_alias=True)
        return complete if entry.options(complete) == options else given
    except Exception:  # a plugin's model may hold what has no JSON form
        return given


def custom_parts(experiment: Experiment) -> Iterator[tuple[ConfigPath, CustomSection]]:
    """Yield every part of a bound experiment that a plugin brings, with its place."""
    places: list[tuple[ConfigPath, Any]] = [((name,), getattr(experiment, name)) for name in _SINGLE]
    places.append((("data", "validation"), getattr(experiment.data, "validation", None)))
    places += [(("metrics", position), metric) for position, metric in enumerate(experiment.metrics)]
    yield from ((path, section) for path, section in places if isinstance(section, CustomSection))
