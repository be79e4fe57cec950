"""Plan of a sweep: config, KEY=SPACE arguments and options to the table of trials."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gdrun.config.overrides import Override, apply_overrides, find, node_of, parse_overrides
from gdrun.config.plugins import PluginSources
from gdrun.config.source import Node, Source, Span
from gdrun.errors import ConfigError, Problem, UsageError
from gdrun.experiment.axes import AxisEntry, WrittenAxis, resolve_axes, too_many, value_problems, written_in
from gdrun.experiment.loading import EXPERIMENT, LoadedConfig, load_config, revise
from gdrun.experiment.spaces import LISTED, Space, read_argument, read_space
from gdrun.random_streams import stream

from .axis import Axis, make_axis
from .optuna_sampler import check_space, num_points
from .trials import AxisBlock, SweepSpec, check_trials

DEFAULT_COUNT = 61
DEFAULT_FACTOR = 30
"""Without an axis: so many learning rates, from the configured one divided by this to the one times this."""
DEFAULT_SEARCH_TRIALS = 100


def plan_trials(
    source: str | Path | bytes | LoadedConfig,
    arguments: Sequence[str] | Mapping[str, Any] = (),
    *,
    trials: int | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    search: str | None = None,
    metric: str | None = None,
    maximize: bool | None = None,
    lanes: int | str | None = None,
    plugins: PluginSources = (),
) -> SweepSpec:
    """Return the table of a sweep, checked as far as texts go.

    Args:
        source: as in `load_config`, or a config that is loaded.
        arguments: "KEY=SPACE" texts, or a mapping from key to space: a text, a list of values, one value. One value is
            a plain override. If there is an axis among them, `over` and `zip` of the file do not count; else the
            file's axes do, but for those that a plain override fixes; else the learning rate is swept.
        trials: how many points to draw, or how many trials a search may make; None: as the config says.
        overrides: settings for all trials, as in `load_config`; a list is a value here.
        search: a sampler's name; "none" turns off the config's search.
        metric, maximize: what trials are ranked by; None: as the config says.
        lanes: most trials in one program, "auto" or "off"; None: as the config says.
        plugins: as in `load_config`.
    Raises:
        ConfigError: with every problem of the config, the keys, the spaces and the values, placed.
        UsageError: as `load_config`; or `trials` are asked for where nothing is drawn.
    """
    entries, fixed = _read_arguments(arguments)
    plain, problems = parse_overrides(overrides)
    if problems:
        raise ConfigError(tuple(problems), source="the overrides")
    chosen = _option_overrides(trials=trials, search=search, metric=metric, maximize=maximize, lanes=lanes)
    settings = [*plain, *fixed, *chosen]
    try:
        if isinstance(source, LoadedConfig):
            base = _with(source, settings)
        else:
            base = load_config(source, settings, plugins=plugins)
    except ConfigError as error:
        raise _hinted(error, fixed) from None
    if not entries:
        base, entries = _of_file(base)
    if not entries:
        entries = [default_entry(base, drawn=trials is not None or base.experiment.sweep.search is not None)]
    base = _ranked_by(base, metric)
    written, problems = resolve_axes(entries, base.whole, EXPERIMENT)
    written = [_with_absolute_files(axis, base.directory) for axis in written]
    _raise(problems, base)
    samples = _num_samples(base, written, asked=trials)
    many = too_many(written, samples)
    _raise([many] if many is not None else [], base)
    axes = tuple(make_axis(axis) for axis in written)
    searched = base.experiment.sweep.search is not None
    if searched:
        samples = int(min(samples, num_points(axes)))
    blocks = () if searched else tuple(_blocks(base.experiment.seeds.data, axes, written, samples))
    for number, axis in enumerate(written):
        listed = axis.space.kind == LISTED
        problems += [
            _in_trial(problem, number, index, blocks) if listed else problem for index, problem in value_problems(axis)
        ]
    _raise(problems, base)
    base = replace(base, experiment=base.experiment.model_copy(update={"sweep": _resolved(base, written, samples)}))
    spec = SweepSpec(base, axes, blocks, samples if searched else None)
    check_space(spec)
    check_trials(spec.with_rows(_corners(axes)) if searched else spec)
    return spec


def _ranked_by(base: LoadedConfig, metric: str | None) -> LoadedConfig:
    """Return a config whose search ranks by the metric that was asked for, not by its own."""
    sweep = base.experiment.sweep
    if metric is None or sweep.search is None or sweep.search.metric is None:
        return base
    sweep = sweep.model_copy(update={"search": sweep.search.model_copy(update={"metric": None})})
    return replace(base, experiment=base.experiment.model_copy(update={"sweep": sweep}))


def _with_absolute_files(axis: WrittenAxis, directory: Path) -> WrittenAxis:
    """Return an axis whose data files have absolute paths: on resume the config stands in the sweep's directory."""
    if axis.path[0] != "data" or axis.path[-1] != "path":
        return axis
    nodes = tuple(
        replace(node, value=os.path.abspath(directory / node.value)) if isinstance(node.value, str) else node
        for node in axis.space.nodes
    )
    return replace(axis, space=replace(axis.space, nodes=nodes))


def _with(loaded: LoadedConfig, settings: Sequence[Override]) -> LoadedConfig:
    """Return a loaded config with further settings."""
    if not settings:
        return loaded
    root, problems = apply_overrides(loaded.whole, settings, EXPERIMENT)
    _raise(problems, loaded)
    texts = [setting.text for setting in settings]
    return revise(replace(loaded, whole=root), [], texts=texts)


def _of_file(base: LoadedConfig) -> tuple[LoadedConfig, list[AxisEntry]]:
    """Return (the config with those axes of its own `sweep:` that have one value; the other axes)."""
    entries, problems = written_in(base.whole)
    _raise(problems, base)
    entries = [entry for entry in entries if not _is_fixed(entry, base)]
    single = [entry for entry in entries if entry.is_one_value and not entry.paired and _path(entry, base) is not None]
    if single:
        base = revise(base, [(_path(entry, base), entry.space.nodes[0], entry.span) for entry in single])
    return base, [entry for entry in entries if entry not in single]


def _is_fixed(entry: AxisEntry, base: LoadedConfig) -> bool:
    """Return whether an override gives the value of what the file would vary."""
    path = _path(entry, base)
    node = None if path is None else base.whole.at(path)
    return node is not None and node.span.source.is_override


def _path(entry: AxisEntry, base: LoadedConfig) -> Any:
    """Return the path of an entry's key in the base; None where it has one only together with another axis."""
    try:
        return find(Override(entry.key, entry.space.probes()[0], entry.span), base.whole, EXPERIMENT)
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
    """Return the number of points that are drawn or proposed; 1 where none are."""
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


def _in_trial(problem: Problem, number: int, index: int, blocks: Sequence[AxisBlock]) -> Problem:
    """Return `problem` of value `index` of axis `number`, with the first trial that has this value."""
    stride = 1
    for block in reversed(blocks):
        if number in block.axes:
            return replace(problem, message=f"trial {index * stride}: {problem.message}") if block.listed else problem
        stride *= len(block)
    return problem


def _blocks(seed: int, axes: Sequence[Axis], written: Sequence[WrittenAxis], samples: int) -> list[AxisBlock]:
    """Return the blocks of the table, by the first axis of each."""
    drawn = tuple(number for number, axis in enumerate(axes) if axis.distribution is not None)
    paired = tuple(number for number, axis in enumerate(written) if axis.paired)
    together = [next((block for block in (drawn, paired) if axis in block), (axis,)) for axis in range(len(axes))]
    blocks = []
    for members in dict.fromkeys(together):
        if members == drawn:
            # Row by row: of more samples the first ones are the same.
            shares = stream(seed, "sweep").random((samples, len(drawn)))
            columns = [axes[axis].distribution.at(shares[:, place]) for place, axis in enumerate(drawn)]  # type: ignore[union-attr]
            blocks.append(AxisBlock(members, tuple(columns), False))
        else:
            blocks.append(AxisBlock(members, tuple(axes[axis].values or () for axis in members), True))
    return blocks


def _corners(axes: Sequence[Axis]) -> list[tuple[Any, ...]]:
    """Return rows that a search might propose: all first values, all last ones, and each that is no number."""
    first, last = (tuple(axis.candidates[end] for axis in axes) for end in (0, -1))
    rows = [first, last]
    for number, axis in enumerate(axes):
        if not axis.is_numeric:
            rows += [(*first[:number], value, *first[number + 1 :]) for value in axis.candidates]
    return rows


def _resolved(base: LoadedConfig, axes: Sequence[WrittenAxis], samples: int) -> Any:
    """Return the `sweep` section that gives this table again."""

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


def _read_arguments(arguments: Sequence[str] | Mapping[str, Any]) -> tuple[list[AxisEntry], list[Override]]:
    """Return the axes and the plain overrides among KEY=SPACE arguments.

    Raises:
        ConfigError: with all that cannot be read.
    """
    entries: list[AxisEntry] = []
    fixed: list[Override] = []
    problems: list[Problem] = []
    written = arguments.items() if isinstance(arguments, Mapping) else enumerate(arguments, 1)
    for name, given in written:
        try:
            entry = _axis_of_value(str(name), given) if isinstance(arguments, Mapping) else _axis_of_text(given, name)
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        if entry.is_one_value:
            fixed.append(Override(entry.key, entry.space.nodes[0], entry.span))
        else:
            entries.append(entry)
    if problems:
        raise ConfigError(tuple(problems), source="the command line")
    return entries, fixed


def _axis_of_text(text: str, number: Any) -> AxisEntry:
    source = Source(f"argument {number}", text, is_override=True)
    key, equals, _ = text.partition("=")
    if not equals or not key.strip() or "\n" in text or "\r" in text:
        problem = Problem(
            "an axis is KEY=SPACE, in one line", place=source.place(0, len(text)), hint="lr=log:1e-4:1:50"
        )
        raise ConfigError((problem,), source=source.name)
    return AxisEntry(key.strip(), Span(source, 0, len(key)), read_argument(source, len(key) + 1))


def _axis_of_value(key: str, value: Any) -> AxisEntry:
    source = Source(f"override of {key}", f"{key}={value!r}"[:200], is_override=True)
    node = node_of(value, Span(source, len(key) + 1, len(source.text)))
    return AxisEntry(key, Span(source, 0, len(key)), read_space(node))


def _option_overrides(
    *, trials: int | None, search: str | None, metric: str | None, maximize: bool | None, lanes: int | str | None
) -> list[Override]:
    """Return options as overrides of the `sweep:` section, so that they are checked as it is."""
    directions = {True: "maximize", False: "minimize", None: None}
    options = {"trials": trials, "search": search, "metric": metric, "direction": directions[maximize], "lanes": lanes}
    overrides = []
    for name, value in options.items():
        if value is not None:
            text = f"{value}" if name != "direction" else ""
            span = Span(Source(f"argument --{name if text else value}", text, is_override=True), 0, len(text))
            off = name == "search" and value == "none"
            overrides.append(Override(f"sweep.{name}", Node(None if off else value, span), span))
    return overrides


def _hinted(error: ConfigError, fixed: Sequence[Override]) -> ConfigError:
    """Return `error` with what is likely meant where a list stands on the command line for values: lr=[0.1,0.2]."""
    sources = {override.span.source.name for override in fixed if isinstance(override.value.value, list)}
    hint = "several values are parted by commas, without brackets around them"
    problems = tuple(
        replace(problem, hint=hint)
        if problem.hint is None and problem.place is not None and problem.place.source in sources
        else problem
        for problem in error.problems
    )
    return ConfigError(problems, source=error.source)
