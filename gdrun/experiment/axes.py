"""Axes of a sweep: the keys that it varies, the places that they mean, and checks of their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import GenericAlias
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gdrun.config.forms import Form, at
from gdrun.config.merge import put
from gdrun.config.overrides import Override, dotted, find, rank
from gdrun.config.problems import locate, validation_problems
from gdrun.config.section import STRICT
from gdrun.config.source import Node, Span
from gdrun.errors import ConfigError, ConfigPath, Problem

from .spaces import LISTED, Space, read_space

MAX_TRIALS = 1_000_000
MAX_LISTED = 20_000
"""Bound on values that are written one by one: the record of a sweep holds them all, and a config has a mebibyte."""
_NOT_SWEPT = {
    "name": "what trials are called does not change them",
    "description": "what is said of trials does not change them",
    "expect": "expectations are not swept; see expect.trials",
    "sweep": "a sweep does not vary itself",
}
_MAX_PROBLEMS = 5
"""Problems of one axis that are reported."""


@dataclass(frozen=True)
class WrittenAxis:
    """One key that a sweep varies, as it is written.

    Args:
        path: the place that the key means.
        space: the values it takes.
        span: where the key stands.
        form: the form of the place, where the axes before and around it have their first values.
        paired: True for an axis of `zip`.
    """

    path: ConfigPath
    space: Space
    span: Span = field(compare=False, repr=False)
    form: Form = field(compare=False, repr=False)
    paired: bool = False

    @property
    def key(self) -> str:
        """The path as users write it."""
        return dotted(self.path)

    @property
    def is_integer(self) -> bool:
        """True where the place takes whole numbers only."""
        return self.form.annotation is int

    def refused(self, message: str, hint: str | None = None) -> Problem:
        """Return a problem of this axis."""
        return self.span.problem(message, hint)


@dataclass(frozen=True)
class AxisEntry:
    """A KEY and its SPACE as written, before the key is looked up in the config."""

    key: str
    span: Span
    space: Space
    paired: bool = False

    @property
    def is_one_value(self) -> bool:
        """True for a single value, which is a plain override."""
        return self.space.kind == LISTED and self.space.size == 1


def written_in(root: Node) -> tuple[list[AxisEntry], list[Problem]]:
    """Return the entries of `sweep.over` and `sweep.zip`; also the problems of spaces that cannot be read."""
    entries: list[AxisEntry] = []
    problems: list[Problem] = []
    sweep = root.child("sweep")
    for part in ("over", "zip"):
        section = sweep.child(part) if sweep is not None else None
        if section is None or not isinstance(section.value, dict):
            continue
        for key, value in section.value.items():
            span = (section.keys or {}).get(key, section.span)
            try:
                entries.append(AxisEntry(key, span, read_space(value), part == "zip"))
            except ConfigError as error:
                problems.extend(error.problems)
    return entries, problems


def resolve_axes(entries: Sequence[AxisEntry], root: Node, form: Form) -> tuple[list[WrittenAxis], list[Problem]]:
    """Return the axes in the order of `entries`; also the problems of keys and of numbers of values.

    Args:
        root: the config that is swept. form: the form of the whole file.
    """
    by_position: dict[int, WrittenAxis] = {}
    problems: list[Problem] = []
    taken: dict[ConfigPath, Span] = {}
    # A key may exist only because of an axis of an outer key: optimizer.kind=adam,lamb optimizer.beta_1=0.8,0.9.
    for position in sorted(range(len(entries)), key=lambda position: rank(entries[position].key)):
        entry = entries[position]
        first = entry.space.probes()[0]
        try:
            path = find(Override(entry.key, first, entry.span), root, form)
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        if path[0] in _NOT_SWEPT:
            problems.append(entry.span.problem(f"{path[0]} cannot be swept: {_NOT_SWEPT[path[0]]}"))
            continue
        if path in taken:
            problems.append(entry.span.problem(f"{dotted(path)} is swept twice"))
            continue
        taken[path] = entry.span
        root = put(root, path, first, entry.span, form)
        place_form = at(form, root, path) or Form(object)
        by_position[position] = WrittenAxis(path, entry.space, entry.span, place_form, entry.paired)
    axes = [by_position[position] for position in sorted(by_position)]
    return axes, [*problems, *_number_problems(axes)]


def num_trials(axes: Sequence[WrittenAxis], samples: int) -> int:
    """Count the trials of a grid over `axes`, where distributions give `samples` points together."""
    total = 1
    for axis in axes:
        if not axis.paired and not axis.space.is_distribution:
            total *= axis.space.size
    total *= next((axis.space.size for axis in axes if axis.paired), 1)
    return total * (samples if any(axis.space.is_distribution for axis in axes) else 1)


def _number_problems(axes: Sequence[WrittenAxis]) -> Iterator[Problem]:
    """Yield the problems of pairs of different lengths, and of more listed values than a record can hold."""
    paired = [axis for axis in axes if axis.paired]
    for axis in paired:
        if axis.space.is_distribution:
            yield axis.refused("zip pairs values; a distribution has none", "put it below over:")
        elif axis.space.size != paired[0].space.size and not paired[0].space.is_distribution:
            first = f"{paired[0].key} has {paired[0].space.size}"
            yield axis.refused(f"zip pairs values: {first}, {axis.key} {axis.space.size}")
    listed = sum(axis.space.size for axis in axes if axis.space.kind == LISTED)
    if listed > MAX_LISTED:
        yield axes[0].refused(
            f"{listed:,} values are listed; at most {MAX_LISTED:,} can be", "log:LOW:HIGH:COUNT has any number of them"
        )


def too_many(axes: Sequence[WrittenAxis], samples: int) -> Problem | None:
    """Return the problem of more trials than a sweep may have, or None."""
    total = num_trials(axes, samples)
    if total <= MAX_TRIALS:
        return None
    sizes = [f"{axis.key} {axis.space.size:,}" for axis in axes if axis.space.size > 1]
    sizes += [f"{samples:,} samples"] if any(axis.space.is_distribution for axis in axes) else []
    return axes[0].refused(f"these are {total:,} trials; a sweep has at most {MAX_TRIALS:,}", " x ".join(sizes))


def value_problems(axis: WrittenAxis) -> list[tuple[int, Problem]]:
    """Return (number of the value, located problem of its field) for the first values that are refused.

    Whole sections are not checked here: their meaning depends on the section that they replace.
    """
    nodes = axis.space.probes()
    plain = [node.plain() for node in nodes]
    problems = list(_repeated_values(axis, nodes, plain))
    form = axis.form
    if axis.path[-1] == "kind":
        return problems  # the check of the whole section refuses an unknown kind
    if form.annotation is object:
        return problems  # the section around it is missing, which is a problem of its own
    if form.kinds is not None or form.section is not None or any(isinstance(value, Mapping) for value in plain):
        return problems
    several: Any = GenericAlias(tuple, (form.whole, ...))
    try:
        TypeAdapter(several, config=STRICT).validate_python(tuple(plain))
    except ValidationError as error:
        values = Node(list(nodes), axis.space.span)
        for problem in islice(validation_problems(error, values, Form(tuple[Any, ...])), _MAX_PROBLEMS):
            index = problem.path[0] if problem.path and isinstance(problem.path[0], int) else 0
            problems.append((index, locate(problem, values)))
    return problems


def _repeated_values(axis: WrittenAxis, nodes: Sequence[Node], plain: Sequence[Any]) -> Iterator[tuple[int, Problem]]:
    """Yield the first value that a grid has twice, with its index."""
    seen: set[str] = set()
    for index, value in enumerate(plain if axis.space.kind == LISTED and not axis.paired else ()):
        word = repr(value)
        if word in seen:
            yield index, nodes[index].span.problem(f"{word[:60]} is here twice")
            return
        seen.add(word)
