"""What the text shows of a sweep: its keys, spaces and values, its metric, and what is expected of its trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gdrun.config.forms import Form
from gdrun.config.overrides import Override, dotted, find
from gdrun.config.source import Node
from gdrun.errors import ConfigError, ConfigPath, Problem
from gdrun.suggest import did_you_mean

from .axes import Entry, WrittenAxis, resolve_axes, too_many, value_problems, written_in
from .formula_names import Names, mapping

DEFAULT_AXIS: ConfigPath = ("optimizer", "learning_rate")
"""What is swept where nothing is named."""


def sweep_problems(root: Node, names: Names) -> list[Problem]:
    """Return what is wrong with `sweep` and `expect.trials` of a config; nothing is run or drawn."""
    from .experiment import Experiment

    form = Form(Experiment)
    entries, problems = written_in(root)
    axes, more = resolve_axes(entries, root, form)
    problems += more
    if not more and axes:
        many = too_many(axes, 1)
        problems += [many] if many is not None else []
    for axis in axes:
        problems += [problem for _, problem in value_problems(axis)]
    if all(axis.path[0] != "metrics" for axis in axes):
        known = _metric_names(root)
        problems += _metric_problems(root, known)
        problems += _computed(root, known)
    if not problems:
        problems += _axes_problems(root, form, entries, axes)
    return [*problems, *_parameter_problems(root, names)]


def _metric_names(root: Node) -> list[str]:
    """Every number that a trial ends with."""
    data, metrics = root.child("data"), root.child("metrics")
    listed = metrics.value if metrics is not None and isinstance(metrics.value, list) else []
    named = [metric.child("name") or metric for metric in listed]
    known = ["loss", *(node.value for node in named if isinstance(node.value, str))]
    if data is not None and data.child("validation") is not None:
        known += [f"validation_{name}" for name in known]
    return known


def _metric_problems(root: Node, known: Sequence[str]) -> Iterator[Problem]:
    """Metrics that trials are to be ranked by and that are not computed."""
    for path in (("sweep", "metric"), ("sweep", "search", "metric")):
        node: Node | None = root
        for step in path:
            node = node.child(step) if node is not None else None
        if node is not None and isinstance(node.value, str) and node.value not in known:
            hint = did_you_mean(node.value, known, allowed="it can be")
            yield Problem(f"the metric '{node.value[:64]}' is not computed", path, hint)


def _expected(root: Node) -> Iterator[tuple[ConfigPath, Mapping[str, Any], Node]]:
    """Each entry of expect.trials, with its place."""
    expect = root.child("expect")
    trials = expect.child("trials") if expect is not None else None
    for position, node in enumerate(trials.value if trials is not None and isinstance(trials.value, list) else ()):
        yield ("expect", "trials", position), mapping(node.plain()), node


def _computed(root: Node, known: Sequence[str]) -> Iterator[Problem]:
    for path, row, _ in _expected(root):
        for name in mapping(row.get("metrics")):
            if name not in known:
                hint = did_you_mean(name, known) or f"add {name} to metrics:"
                yield Problem(f"the metric '{name}' is not computed", (*path, "metrics", name), hint, key=True)


def _parameter_problems(root: Node, names: Names) -> Iterator[Problem]:
    if names.parameters is None:
        return
    for path, row, _ in _expected(root):
        for name in mapping(row.get("parameters")):
            if name not in names.parameters:
                hint = did_you_mean(name, names.parameters, allowed="there are")
                yield Problem(f"there is no parameter '{name}'", (*path, "parameters", name), hint, key=True)


def _axes_problems(root: Node, form: Form, entries: Sequence[Entry], axes: Sequence[WrittenAxis]) -> Iterator[Problem]:
    """Keys by which expectations name trials and that the sweep does not vary."""
    swept = [axis.path for axis in axes] or [DEFAULT_AXIS]
    as_written = {entry.key for entry in entries}
    for path, row, node in _expected(root):
        for part in ("where", "values"):
            section = node.child(part)
            for name in mapping(row.get(part)):
                span = (section.keys or {}).get(name, node.span) if section is not None else node.span
                try:
                    meant = find(Override(name, node, span), root, form)
                except ConfigError as error:
                    yield from error.problems
                    continue
                if meant not in swept and name not in as_written:
                    hint = "it varies " + ", ".join(map(dotted, swept[:8]))
                    yield Problem(f"the sweep does not vary {dotted(meant)}", (*path, part, name), hint, key=True)
