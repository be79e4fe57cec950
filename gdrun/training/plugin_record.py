"""Plugins in run directories: which a run used, their sources, and whether another command brings the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gdrun.errors import ConfigError, Problem
from gdrun.rundir import layout
from gdrun.rundir.run import Run
from gdrun.text import safe_text

if TYPE_CHECKING:
    from gdrun.config.plugins import Plugin
    from gdrun.experiment.loading import LoadedConfig
    from gdrun.rundir.store import RunStore


def plugin_hashes(loaded: LoadedConfig) -> dict[str, str]:
    """Return name -> SHA-256 of each plugin that the config uses, for run.json."""
    return {plugin.name: plugin.digest for plugin in _used(loaded)}


def write_plugins(store: RunStore, loaded: LoadedConfig) -> None:
    """Copy the sources of the plugins that the config uses into a run directory."""
    taken: set[str] = set()
    for number, plugin in enumerate(_used(loaded)):
        for name, data in plugin.files:
            safe = "".join(c if c.isalnum() or c in "._-/" else "_" for c in name).lstrip("./")
            if safe in taken:
                safe = f"{number}-{safe}"
            taken.add(safe)
            store.write_bytes(f"{layout.PLUGINS}/{safe}", data)


def check_plugins(loaded: LoadedConfig) -> None:
    """Refuse to use a run directory's config with other plugins than the run had.

    Raises:
        ConfigError: at the name of what a plugin brings.
    """
    if not loaded.plugins.loaded or not (loaded.directory / layout.RUN_INFO).is_file():
        return
    from gdrun.experiment.plugin_parts import custom_parts

    recorded = Run(loaded.directory).info.plugins
    problems = []
    for path, section in custom_parts(loaded.experiment):
        plugin = section.entry.plugin
        if recorded and plugin.digest not in recorded.values():
            problem = Problem(
                f"{plugin.short} is not the plugin that the run {safe_text(loaded.directory.name)} was trained with",
                (*path, "name"),
                _copy(loaded, plugin) or "bring the old one back, or train the config that was written",
            )
            problems.append(loaded.locate(problem))
    if problems:
        raise ConfigError(tuple(problems), source=loaded.source)


def _copy(loaded: LoadedConfig, plugin: Plugin) -> str | None:
    copy = loaded.directory / layout.PLUGINS / plugin.short
    return f"the run's own copy is {safe_text(copy)}" if copy.is_file() else None


def _used(loaded: LoadedConfig) -> list[Plugin]:
    if not loaded.plugins.loaded:
        return []
    from gdrun.experiment.plugin_parts import custom_parts

    used = {section.entry.plugin.digest for _, section in custom_parts(loaded.experiment)}
    return [plugin for plugin in loaded.plugins.loaded if plugin.digest in used]
