"""Arguments of `gdrun grad`, read and checked: formulas, values, configs or runs. No TensorFlow.

A mistake is said before TensorFlow starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gdrun.config.source import Source
from gdrun.errors import ConfigError, FormulaError, Problem, UsageError
from gdrun.experiment.gallery import is_config_name
from gdrun.formula.evaluate import evaluate_constants
from gdrun.formula.name_checks import check_name, check_names
from gdrun.formula.nodes import Expression
from gdrun.formula.parse import parse
from gdrun.formula.unconnected import counts
from gdrun.text import split_points

NAMED = re.compile(r"\s*([A-Za-z][A-Za-z0-9_.]*)\s*=(?!=)(.*)", re.DOTALL)
"""NAME=TEXT, and not NAME==TEXT, which is a comparison."""

COUNT = "a count, a shape or an axis here: an integer, fixed before anything is computed"


def is_source(target: str | Path) -> bool:
    """Return whether `target` means a config or a run and not a formula.

    It does if it is - (stdin) or gallery:NAME, ends in .yaml or .yml, exists, or begins like a run's id or with
    "latest".
    """
    text = str(target)
    if isinstance(target, Path) or is_config_name(text):
        return True
    if re.match(r"latest(~\d+)?\Z|\d{4}-\d\d-\d\dT\d", text):
        return True
    try:
        path = Path(text)
        return (("/" in text or "." in text) and path.exists()) or (path / "run.json").is_file()
    except (OSError, ValueError):
        return False


def assignments(texts: Sequence[str], what: str) -> dict[str, Any]:
    """Return {"x": "1"} for ["x=1"]; a name alone has the value None.

    Raises:
        UsageError: a text that is neither, a name that is given twice.
    """
    named: dict[str, Any] = {}
    for text in texts:
        matched = NAMED.fullmatch(text)
        name, value = (matched[1], matched[2].strip()) if matched else (text.strip(), None)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.]*", name) or value == "":
            raise UsageError(f"{what} is NAME=VALUE, not {text}")
        if name in named:
            raise UsageError(f"{name} is given twice")
        named[name] = value
    return named


@contextmanager
def placed(what: str, text: str, definitions: Mapping[str, str] | None = None) -> Iterator[None]:
    """Raise a FormulaError of the block as a ConfigError that shows the text with the place in it."""
    try:
        yield
    except FormulaError as error:
        section = (getattr(error, "section", None) or ()) + (getattr(error, "inside", None) or ())
        if definitions and len(section) > 1 and section[1] in definitions:
            what, text = f"--define {section[1]}", definitions[section[1]]
        source = Source(what, text, is_override=True)
        start = min(error.offset or 0, max(len(text) - 1, 0))
        length = len(text) if error.offset is None else error.length or 1
        place = source.place(start, min(start + length, len(text)))
        raise ConfigError((Problem(error.message, hint=error.hint, place=place),), source=what) from error


def read_targets(texts: Sequence[str]) -> dict[str, Expression]:
    """Return formulas by their texts. Raises: ConfigError, where one cannot be read."""
    targets = {}
    for text in texts:
        with placed("the formula", text):
            targets[text] = parse(text)
    return targets


class GradFormulas:
    """Targets, definitions and values, read and checked.

    Args:
        targets: formulas.
        values: name -> value at every point, a number, an array or a text; a text may hold several points.
        define: name -> formula of values and definitions above.
        constant: names, or name -> value, that are not differentiated by.
        wrt: names of values or definitions; None: every value that is not constant.
    Raises:
        ConfigError: a formula that cannot be read, an unknown name; placed in its text.
        UsageError: values that do not go together.
    """

    def __init__(
        self,
        targets: Sequence[str],
        values: Mapping[str, Any],
        *,
        define: Mapping[str, Any],
        constant: Mapping[str, Any],
        wrt: Sequence[str] | None,
    ) -> None:
        if not targets:
            raise UsageError("there is no formula to differentiate", hint='gdrun grad "x**2" x=3')
        twice = sorted(set(values) & {name for name, value in constant.items() if value is not None})
        if twice:
            raise UsageError(f"{twice[0]} has two values")
        self.points = _points({**values, **{k: v for k, v in constant.items() if v is not None}})
        given = tuple(self.points[0])
        if missing := sorted(name for name, value in constant.items() if value is None and name not in given):
            raise UsageError(f"{missing[0]} has no value", hint=f"--constant {missing[0]}=1")
        self.definitions: dict[str, Expression] = {}
        for name, text in define.items():
            with placed(f"--define {name}", str(text)):
                _named(name)
                if name in given:
                    raise UsageError(f"{name} has a value and a definition")
                expression = parse(text)
                _known(expression, (*given, *self.definitions))
                self.definitions[name] = expression
        self.targets = read_targets(targets)
        for text, expression in self.targets.items():
            with placed("the formula", text):
                _known(expression, (*given, *self.definitions))
        self.constants = dict.fromkeys(constant, "constant")
        every = (*given, *self.definitions)
        for name in wrt or ():
            if name not in every:
                raise UsageError(f"there is no {name} to differentiate by", hint=f"names: {', '.join(every)}")
        self.names = tuple(wrt) if wrt is not None else given
        everything = {**self.definitions, **self.targets}
        whole = counts(everything) & set(given)
        self.host = {name for name in whole if name not in self.constants}
        for name in self.host:
            self.constants[name] = COUNT


def _named(name: str) -> None:
    if (error := check_name(name)) is not None:
        raise error


def _known(expression: Expression, names: Sequence[str]) -> None:
    for error in check_names(expression, names):
        if error.message.startswith("unknown name") and not (error.hint or "").startswith("did you mean"):
            name = error.message.split("'")[1]
            error.hint = f"give it a value: {name}=3"
        raise error


def _points(values: Mapping[str, Any]) -> list[dict[str, np.ndarray]]:
    """Return the values at each point; names with one value have it at every point."""
    lists: dict[str, list[np.ndarray]] = {}
    for name, value in values.items():
        with placed(name, f"{name}={value}"[:200]):
            _named(name)
        lists[name] = _values(name, value)
    count = max((len(candidates) for candidates in lists.values()), default=1)
    for name, candidates in lists.items():
        if len(candidates) not in (1, count):
            raise UsageError(
                f"{name} has {len(candidates)} values, another name has {count}",
                hint="as many for each, or one; an array stands in brackets: x=[1,2,3]",
            )
    return [
        {name: candidates[0 if len(candidates) == 1 else point] for name, candidates in lists.items()}
        for point in range(count)
    ]


def _values(name: str, value: Any) -> list[np.ndarray]:
    if not isinstance(value, str):
        return [np.asarray(value, np.complex128 if np.iscomplexobj(value) else np.float64)]
    arrays = []
    for piece in split_points(value):
        with placed(f"{name}=", piece):
            expression = parse(piece)
            for used in sorted(expression.names - {"pi"}):
                if used.lower() in ("nan", "inf"):
                    raise FormulaError(f"{used} is no value to differentiate at")
                raise FormulaError(
                    f"a value may not use {used!r}", hint=f"--define {name}={piece} makes a name of a formula"
                )
            arrays.append(evaluate_constants({name: expression})[name])
    return arrays
