"""The keys that a sweep varies: which place each one means, and whether its field takes the values."""

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
from gdrun.config.section import STRICT
from gdrun.config.source import Node, Span
from gdrun.errors import ConfigError, ConfigPath, Problem

from .spaces import LISTED, Space, read_space

MAX_TRIALS = 1_000_000
MAX_LISTED = 20_000
"""Values that are written one by one: the record of a sweep holds them all, and a config has a mebibyte."""
_NOT_SWEPT = {
    "name": "what trials are called does not change them",
    "description": "what is said of trials does not change them",
    "expect": "expectations are not swept; see expect.trials",
    "sweep": "a sweep does not vary itself",
}
_MOST = 5
"""Problems of one axis that are told."""


@dataclass(frozen=True)
class WrittenAxis:
    """One key that a sweep varies, as it is written.

    Args:
        path: the place that the key means.
        space: what it may be.
        span: where the key stands.
        form: what the place may hold, where the axes before and around it have their first values.
        paired: whether it is of `zip`.
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
        """Whether the place takes whole numbers only."""
        return self.form.annotation is int

    def refused(self, message: str, hint: str | None = None) -> Problem:
        """Return a problem of this axis."""
        return Problem(message, hint=hint, place=self.span.place())


@dataclass(frozen=True)
class AxisEntry:
    """KEY and SPACE, before it is known what the key means."""

    key: str
    span: Span
    space: Space
    paired: bool = False

    @property
    def is_one_value(self) -> bool:
        """Whether this is one value that is written as such: a plain override."""
        return self.space.kind == LISTED and self.space.size == 1


def written_in(root: Node) -> tuple[list[AxisEntry], list[Problem]]:
    """Return what `sweep.over` and `sweep.zip` of a config say; also the problems of spaces that cannot be read."""
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
    found: dict[int, WrittenAxis] = {}
    problems: list[Problem] = []
    taken: dict[ConfigPath, Span] = {}
    # A key can be one that only an axis further out brings in: optimizer.kind=adam,lamb optimizer.beta_1=0.8,0.9.
    for position in sorted(range(len(entries)), key=lambda position: rank(entries[position].key)):
        entry = entries[position]
        first = entry.space.probes()[0]
        try:
            path = find(Override(entry.key, first, entry.span), root, form)
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        if path[0] in _NOT_SWEPT:
            problems.append(Problem(f"{path[0]} cannot be swept: {_NOT_SWEPT[path[0]]}", place=entry.span.place()))
            continue
        if path in taken:
            problems.append(Problem(f"{dotted(path)} is swept twice", place=entry.span.place()))
            continue
        taken[path] = entry.span
        root = put(root, path, first, entry.span, form)
        found[position] = WrittenAxis(path, entry.space, entry.span, at(form, root, path) or Form(object), entry.paired)
    axes = [found[position] for position in sorted(found)]
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
    """Pairs of different lengths, and more values than anybody can mean."""
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
    """Return what is wrong with the number of trials, if anything."""
    total = num_trials(axes, samples)
    if total <= MAX_TRIALS:
        return None
    sizes = [f"{axis.key} {axis.space.size:,}" for axis in axes if axis.space.size > 1]
    sizes += [f"{samples:,} samples"] if any(axis.space.is_distribution for axis in axes) else []
    return axes[0].refused(f"these are {total:,} trials; a sweep has at most {MAX_TRIALS:,}", " x ".join(sizes))


def value_problems(axis: WrittenAxis) -> list[tuple[int, Problem]]:
    """Return (number of the value, what its own field says against it), placed, for the first values that are refused.

    Whole sections are not looked at: what they mean depends on what they replace.
    """
    nodes = axis.space.probes()
    plain = [node.plain() for node in nodes]
    found = list(_twice(axis, nodes, plain))
    wanted = axis.form
    if axis.path[-1] == "kind":
        return found  # what it can be is told by the whole section
    if wanted.annotation is object:
        return found  # the section that it is in is missing, and said to be
    if wanted.kinds is not None or wanted.section is not None or any(isinstance(value, Mapping) for value in plain):
        return found
    several: Any = GenericAlias(tuple, (wanted.whole, ...))
    try:
        TypeAdapter(several, config=STRICT).validate_python(tuple(plain))
    except ValidationError as error:
        from gdrun.config.problems import locate, validation_problems

        values = Node(list(nodes), axis.space.span)
        for problem in islice(validation_problems(error, values, Form(tuple[Any, ...])), _MOST):
            index = problem.path[0] if problem.path and isinstance(problem.path[0], int) else 0
            found.append((index, locate(problem, values)))
    return found


def _twice(axis: WrittenAxis, nodes: Sequence[Node], plain: Sequence[Any]) -> Iterator[tuple[int, Problem]]:
    """A value that a grid has twice."""
    seen: set[str] = set()
    for index, value in enumerate(plain if axis.space.kind == LISTED and not axis.paired else ()):
        word = repr(value)
        if word in seen:
            yield index, Problem(f"{word[:60]} is here twice", place=nodes[index].span.place())
            return
        seen.add(word)
