"""Preparation of a run: the config's experiment built and tried, before anything is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gdrun.errors import ConfigError, Problem
from gdrun.experiment.formula_trial import try_formulas
from gdrun.experiment.inputs import Inputs, read_inputs
from gdrun.experiment.loading import LoadedConfig
from gdrun.experiment.start import start_files
from gdrun.rundir import layout
from gdrun.rundir.run import Run
from gdrun.text import safe_text

if TYPE_CHECKING:
    from gdrun.assembly import Begin, Built
    from gdrun.config.plugins import Plugin
    from gdrun.engine.device import Device

SMOKE_STEPS = 3
"""Steps of a smoke run."""


@dataclass(frozen=True)
class Prepared:
    """An experiment that is built and whose first step was tried. It may be executed again: nothing in it changes."""

    loaded: LoadedConfig
    built: Built
    device: Device
    smoke: bool = False
    phases: tuple[Prepared, ...] = ()
    """Those that are trained after it, built as if each ran to its schedule's end."""

    @property
    def last(self) -> Prepared:
        """The last phase; itself where there are none."""
        return self.phases[-1] if self.phases else self


def read(loaded: LoadedConfig) -> Inputs:
    """Read the data of an experiment and refuse what NumPy shows to be wrong, before TensorFlow is imported.

    Raises as `gdrun.train`.
    """
    _check_plugins(loaded)
    experiment = loaded.experiment
    if experiment.data is not None and experiment.data.needs_tensorflow:
        from gdrun.engine.device import import_tensorflow

        import_tensorflow()  # before Keras or a plugin imports it in another way
    with with_source_places(loaded):
        inputs = read_inputs(experiment, loaded.directory)
        try_formulas(experiment, inputs)
    return inputs


def prepare(
    loaded: LoadedConfig,
    inputs: Inputs | None = None,
    *,
    device: str | None = None,
    threads: int | None = None,
    smoke: bool = False,
    requires_gradients: bool = True,
    begin: Begin | None = None,
) -> Prepared:
    """Build an experiment, and its phases, and try the first step of each. Raises as `gdrun.train`.

    Args:
        inputs: what `read` returned, for this one call; None: it is read now.
        device, threads: as of `gdrun.train`.
        smoke: plan a few steps only.
        requires_gradients: refuse a parameter without a gradient.
        begin: step and epoch that it begins with, where it is not the first phase.
    """
    inputs = inputs or read(loaded)
    from gdrun.engine.device import configure, import_tensorflow

    tf = import_tensorflow()
    chosen = configure(device=device or loaded.experiment.device, threads=threads)
    from gdrun.assembly import Begin, build

    with with_source_places(loaded), tf.device(chosen.name):
        built = build(
            loaded.experiment,
            directory=loaded.directory,
            max_steps=SMOKE_STEPS if smoke else None,
            inputs=inputs,
            requires_gradients=requires_gradients,
            begin=begin or Begin(),
        )
    _check_files(loaded, built)
    phases = list[Prepared]()
    for phase in loaded.phases:
        before = phases[-1].built if phases else built
        phases.append(
            prepare(
                phase,
                device=device,
                threads=threads,
                smoke=smoke,
                requires_gradients=requires_gradients,
                begin=before.end_at(before.total_steps),
            )
        )
    return Prepared(loaded, built, chosen, smoke, tuple(phases))


@contextmanager
def with_source_places(loaded: LoadedConfig, trial: int | None = None) -> Iterator[None]:
    """Give the problems of building their places in the config.

    Args:
        trial: its number, for the message.
    """
    try:
        yield
    except ConfigError as error:
        problems = tuple(loaded.locate(problem) for problem in error.problems)
        if trial is not None:
            problems = tuple(replace(problem, message=f"trial {trial}: {problem.message}") for problem in problems)
        raise ConfigError(problems, source=loaded.source) from error


def _check_files(loaded: LoadedConfig, built: Built) -> None:
    """Refuse to run a run directory's config again on files that have changed since."""
    if not (loaded.directory / layout.RUN_INFO).is_file():
        return
    recorded = Run(loaded.directory).info.data
    starts = {str(file): place for place, file in start_files(loaded.experiment, loaded.directory).items()}
    for path, digest in built.files.items():
        if recorded.get(path, digest) != digest:
            problem = Problem(
                f"{path} is not the file that the run {loaded.directory.name} was trained on",
                starts.get(path, ("data", "path")),
                "bring the old file back, or train the config that was written",
            )
            raise ConfigError((loaded.locate(problem),), source=loaded.source)


def _check_plugins(loaded: LoadedConfig) -> None:
    """Refuse to use a run directory's config with other plugins than the run had, at the name of each such part."""
    if not loaded.plugins.loaded or not (loaded.directory / layout.RUN_INFO).is_file():
        return
    recorded = Run(loaded.directory).info.plugins
    problems = []
    for path, section in loaded.experiment.custom_parts():
        plugin = section.entry.plugin
        if recorded and plugin.digest not in recorded.values():
            copy = loaded.directory / layout.PLUGINS / plugin.short
            problem = Problem(
                f"{plugin.short} is not the plugin that the run {safe_text(loaded.directory.name)} was trained with",
                (*path, "name"),
                f"the run's own copy is {safe_text(copy)}"
                if copy.is_file()
                else "bring the old one back, or train the config that was written",
            )
            problems.append(loaded.locate(problem))
    if problems:
        raise ConfigError(tuple(problems), source=loaded.source)


def used_plugins(loaded: LoadedConfig) -> list[Plugin]:
    """Return the plugins that the config's parts of kind custom come from."""
    parts = [part for phase in (loaded, *loaded.phases) for _, part in phase.experiment.custom_parts()]
    used = {section.entry.plugin.digest for section in parts}
    return [plugin for plugin in loaded.plugins.loaded if plugin.digest in used]


def plugin_hashes(loaded: LoadedConfig) -> dict[str, str]:
    """Return name -> SHA-256 of each plugin that the config uses, for run.json."""
    return {plugin.name: plugin.digest for plugin in used_plugins(loaded)}
