"""Config and command line to the table of trials."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gdrun.config.overrides import Override, apply_overrides, find, parse_overrides
from gdrun.config.plugins import PluginSources
from gdrun.config.source import Node, Source, Span
from gdrun.errors import ConfigError, Problem, UsageError
from gdrun.experiment.axes import AxisEntry, WrittenAxis, resolve_axes, too_many, value_problems, written_in
from gdrun.experiment.loading import EXPERIMENT, LoadedConfig, load_config, revise
from gdrun.experiment.spaces import LISTED, Space
from gdrun.random_streams import stream

from .arguments import hinted, options, read_arguments
from .proposals import check_space, num_points
from .space import Axis, make_axis
from .trials import Block, SweepSpec, check_trials

DEFAULT_COUNT = 61
DEFAULT_FACTOR = 30
"""Without an axis: so many learning rates, from the configured one divided by this to the one times this."""
DEFAULT_SEARCH_TRIALS = 100


def plan(
    source: str | Path | bytes | LoadedConfig,
    arguments: Sequence[str] | Mapping[str, Any],
    overrides: Sequence[str] | Mapping[str, Any],
    *,
    trials: int | None,
    search: str | None,
    metric: str | None,
    maximize: bool | None,
    plugins: PluginSources = (),
) -> SweepSpec:
    """Return the table; see `trials.plan_trials`."""
    entries, fixed = read_arguments(arguments)
    plain, problems = parse_overrides(overrides)
    if problems:
        raise ConfigError(tuple(problems), source="the overrides")
    chosen = options(trials=trials, search=search, metric=metric, maximize=maximize)
    settings = [*plain, *fixed, *chosen]
    try:
        if isinstance(source, LoadedConfig):
            base = _with(source, settings)
        else:
            base = load_config(source, settings, plugins=plugins)
    except ConfigError as error:
        raise hinted(error, fixed) from None
    if not entries:
        base, entries = _of_file(base)
    if not entries:
        entries = [default_entry(base, drawn=trials is not None or base.experiment.sweep.search is not None)]
    base = _ranked_by(base, metric)
    written, problems = resolve_axes(entries, base.root, EXPERIMENT)
    written = [_with_absolute_files(axis, base.directory) for axis in written]
    _raise(problems, base)
    samples = _num_samples(base, written, asked=trials)
    many = too_many(written, samples)
    _raise([many] if many is not None else [], base)
    axes = tuple(make_axis(axis) for axis in written)
    searched = base.experiment.sweep.search is not None
    if searched:
        samples = int(min(samples, num_points(axes)))
    blocks = () if searched else tuple(_blocks(base.experiment.seed, axes, written, samples))
    for number, axis in enumerate(written):
        listed = axis.space.kind == LISTED
        told = [_in_trial(one, number, at, blocks) if listed else one for at, one in value_problems(axis)]
        problems.extend(told)
    _raise(problems, base)
    base = replace(base, experiment=base.experiment.model_copy(update={"sweep": _resolved(base, written, samples)}))
    spec = SweepSpec(base, axes, blocks, samples if searched else None)
    check_space(spec)
    check_trials(spec.with_rows(_corners(axes)) if searched else spec)
    return spec


def _ranked_by(base: LoadedConfig, metric: str | None) -> LoadedConfig:
    """A config whose search ranks by the metric that was asked for, not by its own."""
    sweep = base.experiment.sweep
    if metric is None or sweep.search is None or sweep.search.metric is None:
        return base
    sweep = sweep.model_copy(update={"search": sweep.search.model_copy(update={"metric": None})})
    return replace(base, experiment=base.experiment.model_copy(update={"sweep": sweep}))


def _with_absolute_files(axis: WrittenAxis, directory: Path) -> WrittenAxis:
    """Data files by their absolute paths: the sweep's own directory, which is read on resume, is another one."""
    if axis.path[0] != "data" or axis.path[-1] != "path":
        return axis
    nodes = tuple(
        replace(node, value=os.path.abspath(directory / node.value)) if isinstance(node.value, str) else node
        for node in axis.space.nodes
    )
    return replace(axis, space=replace(axis.space, nodes=nodes))


def _with(loaded: LoadedConfig, settings: Sequence[Override]) -> LoadedConfig:
    """A config that is loaded, with further settings."""
    if not settings:
        return loaded
    root, problems = apply_overrides(loaded.root, settings, EXPERIMENT)
    _raise(problems, loaded)
    texts = [setting.text for setting in settings]
    return revise(replace(loaded, root=root), [], texts=texts)


def _of_file(base: LoadedConfig) -> tuple[LoadedConfig, list[AxisEntry]]:
    """The axes of the config's own `sweep:`, and the config with those of them that have one value."""
    entries, problems = written_in(base.root)
    _raise(problems, base)
    entries = [entry for entry in entries if not _is_fixed(entry, base)]
    single = [entry for entry in entries if entry.is_one_value and not entry.paired and _path(entry, base) is not None]
    if single:
        base = revise(base, [(_path(entry, base), entry.space.nodes[0], entry.span) for entry in single])
    return base, [entry for entry in entries if entry not in single]


def _is_fixed(entry: AxisEntry, base: LoadedConfig) -> bool:
    """Whether an override gives the value of what the file would vary."""
    path = _path(entry, base)
    node: Node | None = base.root
    for step in path or ():
        node = node.child(step) if node is not None else None
    return path is not None and node is not None and node.span.source.is_override


def _path(entry: AxisEntry, base: LoadedConfig) -> Any:
    """What an entry's key means in the base; None where it means something only together with another axis."""
    try:
        return find(Override(entry.key, entry.space.probes()[0], entry.span), base.root, EXPERIMENT)
    except ConfigError:
        return None


def default_entry(base: LoadedConfig, *, drawn: bool) -> AxisEntry:
    """Return learning rates around the configured one.

    Args:
        drawn: as a distribution.
    Raises:
        UsageError: the optimizer has none, or it is 0.
    """
    optimizer = base.experiment.optimizer
    if not optimizer.has_learning_rate:
        raise UsageError(
            f"nothing to sweep is named, and {optimizer.kind} has no learning rate", hint="name an axis: KEY=SPACE"
        )
    rate = optimizer.rate
    if not rate > 0:
        raise UsageError("nothing to sweep is named, and the learning rate is 0", hint="lr=log:1e-4:1:50")
    source = Source("override of optimizer.learning_rate", "", is_override=True)
    span = Span(source, 0, 0)
    low, high = rate / DEFAULT_FACTOR, rate * DEFAULT_FACTOR
    space = Space("loguniform", span, (), low, high) if drawn else Space("log", span, (), low, high, DEFAULT_COUNT)
    return AxisEntry("optimizer.learning_rate", span, space)


def _num_samples(base: LoadedConfig, axes: Sequence[WrittenAxis], *, asked: int | None) -> int:
    """How many points are drawn or asked for; 1 where none are."""
    sweep = base.experiment.sweep
    if sweep.search is not None:
        for axis in axes:
            if axis.paired:
                _raise([axis.refused("a search proposes each value by itself; it cannot pair them")], base)
        return sweep.trials or DEFAULT_SEARCH_TRIALS
    drawn = [axis for axis in axes if axis.space.is_distribution]
    if drawn and sweep.trials is None:
        hint = "--trials 100, or trials: 100 below sweep:"
        _raise([Problem("how many values to draw is not said", hint=hint, place=drawn[0].space.span.place())], base)
    if not drawn and asked is not None:
        raise UsageError(
            "--trials says how many values to draw, but every space is a list of values",
            hint="lr=loguniform:1e-5:1 draws; --search tpe proposes",
        )
    return sweep.trials or 1 if drawn else 1


def _in_trial(problem: Problem, number: int, index: int, blocks: Sequence[Block]) -> Problem:
    """`problem` of value `index` of axis `number`, with the first trial that has this value."""
    stride = 1
    for block in reversed(blocks):
        if number in block.axes:
            return replace(problem, message=f"trial {index * stride}: {problem.message}") if block.listed else problem
        stride *= len(block)
    return problem


def _blocks(seed: int, axes: Sequence[Axis], written: Sequence[WrittenAxis], samples: int) -> list[Block]:
    """The blocks of the table, by the first axis of each."""
    drawn = [number for number, axis in enumerate(axes) if axis.distribution is not None]
    paired = [number for number, axis in enumerate(written) if axis.paired]
    blocks = []
    for number, axis in enumerate(axes):
        if number in drawn:
            if number == drawn[0]:
                blocks.append(_draw(seed, axes, drawn, samples))
        elif number in paired:
            if number == paired[0]:
                blocks.append(Block(tuple(paired), tuple(axes[other].values or () for other in paired), True))
        else:
            assert axis.values is not None
            blocks.append(Block((number,), (axis.values,), True))
    return blocks


def _draw(seed: int, axes: Sequence[Axis], drawn: Sequence[int], samples: int) -> Block:
    # Row by row: of more samples the first ones are the same.
    shares = stream(seed, "sweep").random((samples, len(drawn)))
    columns = []
    for position, number in enumerate(drawn):
        distribution = axes[number].distribution
        assert distribution is not None
        columns.append(distribution.at(shares[:, position]))
    return Block(tuple(drawn), tuple(columns), False)


def _corners(axes: Sequence[Axis]) -> list[tuple[Any, ...]]:
    """Rows that a search might propose: all first values, all last ones, and each that is no number."""
    candidates = [_candidates(axis) for axis in axes]
    first, last = tuple(values[0] for values in candidates), tuple(values[-1] for values in candidates)
    rows = [first, last]
    for number, (axis, values) in enumerate(zip(axes, candidates, strict=True)):
        if not axis.is_numeric:
            rows += [(*first[:number], value, *first[number + 1 :]) for value in values]
    return rows


def _candidates(axis: Axis) -> Sequence[Any]:
    if axis.distribution is not None:
        return (axis.distribution.low, axis.distribution.high)
    assert axis.values is not None
    return axis.values


def _resolved(base: LoadedConfig, axes: Sequence[WrittenAxis], samples: int) -> Any:
    """The `sweep` section that gives this table again."""

    def spaces(paired: bool) -> dict[str, Any]:
        chosen = [axis for axis in axes if axis.paired == paired]
        return {
            axis.key: tuple(node.plain() for node in axis.space.nodes)
            if axis.space.kind == LISTED
            else axis.space.text()
            for axis in chosen
        }

    sweep = base.experiment.sweep
    drawn = sweep.search is not None or any(axis.space.is_distribution for axis in axes)
    return sweep.model_copy(update={"over": spaces(False), "zip": spaces(True), "trials": samples if drawn else None})


def _raise(problems: Sequence[Problem], base: LoadedConfig) -> None:
    if problems:
        raise ConfigError(tuple(problems), source=base.source)
