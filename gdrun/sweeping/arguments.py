"""KEY=SPACE on the command line or from Python: axes, and settings of all trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gdrun.config.overrides import Override, node_of
from gdrun.config.source import Node, Source, Span
from gdrun.errors import ConfigError, Problem
from gdrun.experiment.axes import AxisEntry
from gdrun.experiment.spaces import read_argument, read_space


def read_arguments(arguments: Sequence[str] | Mapping[str, Any]) -> tuple[list[AxisEntry], list[Override]]:
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
            entry = _from_python(str(name), given) if isinstance(arguments, Mapping) else _from_text(given, name)
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


def _from_text(text: str, number: Any) -> AxisEntry:
    source = Source(f"argument {number}", text, is_override=True)
    key, equals, _ = text.partition("=")
    if not equals or not key.strip() or "\n" in text or "\r" in text:
        problem = Problem(
            "an axis is KEY=SPACE, in one line", place=source.place(0, len(text)), hint="lr=log:1e-4:1:50"
        )
        raise ConfigError((problem,), source=source.name)
    return AxisEntry(key.strip(), Span(source, 0, len(key)), read_argument(source, len(key) + 1))


def _from_python(key: str, value: Any) -> AxisEntry:
    source = Source(f"override of {key}", f"{key}={value!r}"[:200], is_override=True)
    node = node_of(value, Span(source, len(key) + 1, len(source.text)))
    return AxisEntry(key, Span(source, 0, len(key)), read_space(node))


def options(*, trials: int | None, search: str | None, metric: str | None, maximize: bool | None) -> list[Override]:
    """Options as overrides of the `sweep:` section, so that they are checked as it is."""
    directions = {True: "maximize", False: "minimize", None: None}
    wanted = {"trials": trials, "search": search, "metric": metric, "direction": directions[maximize]}
    found = []
    for name, value in wanted.items():
        if value is not None:
            shown = f"{value}" if name != "direction" else ""
            span = Span(Source(f"argument --{name if shown else value}", shown, is_override=True), 0, len(shown))
            off = name == "search" and value == "none"
            found.append(Override(f"sweep.{name}", Node(None if off else value, span), span))
    return found


def hinted(error: ConfigError, fixed: Sequence[Override]) -> ConfigError:
    """`error`, with what is likely meant where a list stands on the command line for values: lr=[0.1,0.2]."""
    sources = {override.span.source.name for override in fixed if isinstance(override.value.value, list)}
    hint = "several values are parted by commas, without brackets around them"
    problems = tuple(
        replace(problem, hint=hint)
        if problem.hint is None and problem.place is not None and problem.place.source in sources
        else problem
        for problem in error.problems
    )
    return ConfigError(problems, source=error.source)
