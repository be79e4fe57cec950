"""Checks of a sweep: its keys, spaces and values, its metric, and the expectations of its trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gdrun.config.forms import Form
from gdrun.config.overrides import Override, dotted, find
from gdrun.config.source import Node
from gdrun.errors import ConfigError, ConfigPath, Problem
from gdrun.suggest import unknown

from .axes import AxisEntry, WrittenAxis, resolve_axes, too_many, value_problems, written_in
from .experiment import Experiment

DEFAULT_AXIS: ConfigPath = ("optimizer", "learning_rate")
"""The axis of a sweep that names none."""


def sweep_problems(experiment: Experiment, root: Node, parameters: Sequence[str] | None) -> list[Problem]:
    """Return the problems of `sweep` and `expect.trials` of a config; nothing is run or drawn.

    Args:
        root: the values that the experiment was read from, with the places of the axes' keys.
        parameters: names of the model's; None: not known.
    """
    if root.child("sweep") is None and not experiment.expect.trials:
        return []
    form = Form(Experiment)
    entries, problems = written_in(root)
    axes, axis_problems = resolve_axes(entries, root, form)
    problems += axis_problems
    if not axis_problems and axes:
        many = too_many(axes, 1)
        problems += [many] if many is not None else []
    for axis in axes:
        problems += [problem for _, problem in value_problems(axis)]
    if all(axis.path[0] != "metrics" for axis in axes):
        problems += _metric_problems(experiment)
    if not problems:
        problems += _axes_problems(experiment, root, form, entries, axes)
    for position, trials in enumerate(experiment.expect.trials):
        for name in trials.parameters if parameters is not None else ():
            problems += unknown("parameter", name, parameters or (), ("expect", "trials", position, "parameters", name))
    return problems


def _metric_problems(experiment: Experiment) -> Iterator[Problem]:
    """Yield metrics that trials are ranked or checked by and that are not computed."""
    sweep = experiment.sweep
    ranking: list[tuple[ConfigPath, str]] = [(("sweep", "metric"), sweep.metric)]
    if sweep.search is not None and sweep.search.metric is not None:
        ranking.append((("sweep", "search", "metric"), sweep.search.metric))
    for path, metric in ranking:
        yield from experiment.metric_problems(metric, path)
    for position, trials in enumerate(experiment.expect.trials):
        for name in trials.metrics:
            path = ("expect", "trials", position, "metrics", name)
            yield from experiment.metric_problems(name, path, key=True)


def _axes_problems(
    experiment: Experiment, root: Node, form: Form, entries: Sequence[AxisEntry], axes: Sequence[WrittenAxis]
) -> Iterator[Problem]:
    """Yield keys by which expectations name trials and that the sweep does not vary."""
    swept = [axis.path for axis in axes] or [DEFAULT_AXIS]
    as_written = {entry.key for entry in entries}
    for position, trials in enumerate(experiment.expect.trials):
        for part, names in (("where", trials.where), ("values", trials.values)):
            path = ("expect", "trials", position, part)
            section = root.at(path)
            if section is None or not isinstance(names, dict):
                continue
            for name in names:
                span = (section.keys or {}).get(name, section.span)
                try:
                    path_meant = find(Override(name, section, span), root, form)
                except ConfigError as error:
                    yield from error.problems
                    continue
                if path_meant not in swept and name not in as_written:
                    hint = "it varies " + ", ".join(map(dotted, swept[:8]))
                    yield Problem(f"the sweep does not vary {dotted(path_meant)}", (*path, name), hint, key=True)
