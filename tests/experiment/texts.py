"""Configs as texts, and the problems they have."""

from __future__ import annotations

from gdrun.errors import ConfigError, Problem
from gdrun.experiment.loading import load_config

LINE = """\
data: {kind: values, inputs: {x: [1, 2, 3]}, target: [2, 4, 6]}
model: {kind: formula, formula: a * x, parameters: {a: 1.0}}
loss: mse
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 10}
"""
"""A config with nothing wrong, in five lines."""


def line(**sections: str) -> str:
    """Return LINE with some sections replaced and others added, in their own lines."""
    lines = dict(text.split(": ", 1) for text in LINE.splitlines())
    lines |= sections
    return "".join(f"{name}: {text}\n" for name, text in lines.items() if text)


def problems(text: str | bytes, overrides=()) -> list[Problem]:
    """Return the problems of a config, none where it is accepted."""
    try:
        load_config(text.encode() if isinstance(text, str) else text, overrides)
    except ConfigError as error:
        return list(error.problems)
    return []


def only(text: str | bytes, overrides=()) -> Problem:
    """Return the one problem of a config."""
    found = problems(text, overrides)
    assert len(found) == 1, [problem.message for problem in found]
    return found[0]


def at(problem: Problem) -> tuple[int, int, int]:
    """Return (line, column, length) of a problem."""
    assert problem.place is not None
    return problem.place.line, problem.place.column, problem.place.length


def marked(problem: Problem) -> str:
    """Return the text that a problem's caret stands below."""
    assert problem.place is not None
    start = problem.place.column - 1
    return problem.place.text[start : start + problem.place.length]
