"""Optuna's samplers: a sweep's axes as Optuna's distributions, trials proposed and their outcomes given in batches.

Optuna is a library of numbers here. Its study is in memory, it writes no files and logs nothing, and all of its
randomness comes from the config's seed, so that the same search proposes the same trials.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np

from gdrun.errors import ConfigError, Problem, ResourceError
from gdrun.extras import install_hint
from gdrun.random_streams import integer_seed
from gdrun.text import safe_text

from .axis import Axis, rounded
from .trials import SweepSpec

BATCH = 16
"""Trials of a batch where outcomes matter: as many as a program of lanes has at least."""
PRUNED_BATCH = 64
"""Where weak lanes are dropped: 64 at first, 16 at the end."""
BLIND_BATCH = 4096
"""Where a sampler does not look at outcomes, all trials at once, as far as it goes."""
_TRIES = 32
"""So often a sampler is asked for a row that was not there before."""

Row = tuple[Any, ...]


@dataclass(frozen=True)
class SamplerKind:
    """One of Optuna's samplers, as gdrun uses it.

    Args:
        make: Optuna's `samplers`, a seed and the size of a batch -> the sampler.
        learns: it looks at outcomes.
        packages: that it needs beside Optuna.
        needs_order: it searches numbers alone.
        takes_pruned: it ranks trials that were dropped behind all others, by how far they came and then by their
            values. The others do not look at pruned trials; the value that a trial was dropped with is a poor one.
    """

    make: Callable[[Any, int, int], Any]
    learns: bool = True
    packages: tuple[str, ...] = ()
    needs_order: bool = False
    takes_pruned: bool = False


SAMPLERS = {
    # constant_liar: those of a batch that have no outcome yet count as poor, so that they differ.
    "tpe": SamplerKind(
        lambda samplers, seed, batch: samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True),
        takes_pruned=True,
    ),
    "random": SamplerKind(lambda samplers, seed, batch: samplers.RandomSampler(seed=seed), learns=False),
    # A batch is a generation.
    "cmaes": SamplerKind(
        lambda samplers, seed, batch: samplers.CmaEsSampler(seed=seed, popsize=max(4, batch)),
        packages=("cmaes",),
        needs_order=True,
    ),
    "gp": SamplerKind(lambda samplers, seed, batch: samplers.GPSampler(seed=seed), packages=("scipy", "torch")),
    "qmc": SamplerKind(
        lambda samplers, seed, batch: samplers.QMCSampler(seed=seed, scramble=True),
        learns=False,
        packages=("scipy",),
    ),
}
"""By the `kind` of `search:`."""


@dataclass(frozen=True)
class TrialOutcome:
    """Outcome of a trial, for a sampler.

    Args:
        value: the metric; None or not finite: the trial diverged, failed, or has none.
        pruned_at: the step at which it was dropped; None: it was not.
    """

    value: float | None
    pruned_at: int | None = None


def batch_size(spec: SweepSpec) -> int:
    """Return how many trials are asked for at once. It depends on the config alone, never on workers."""
    search = spec.search
    assert search is not None
    if search.batch is not None:
        return search.batch
    if search.prune:
        return PRUNED_BATCH
    return BATCH if SAMPLERS[search.kind].learns else BLIND_BATCH


def is_ordered(axis: Axis) -> bool:
    """Return whether an axis's values have an order that a sampler can use: drawn, or listed numbers that rise or
    fall."""
    if axis.values is None:
        return True
    if not axis.is_numeric:
        return False
    steps = np.diff(np.asarray(axis.values, np.float64))
    return bool((steps > 0).all() or (steps < 0).all())


def num_points(axes: Sequence[Axis]) -> float:
    """Return how many different rows there are; infinity where real numbers are drawn."""
    return math.prod(math.inf if (points := _points(axis)) is None else len(points) for axis in axes)


def _points(axis: Axis) -> Sequence[Any] | None:
    """Return the different values of an axis; None where there is no end of them."""
    if axis.values is not None:
        return list({repr(value): value for value in axis.values}.values())
    drawn = axis.distribution
    return range(int(drawn.low), int(drawn.high) + 1) if drawn is not None and drawn.integer else None


def check_space(spec: SweepSpec) -> None:
    """Refuse axes that the sampler cannot search.

    Raises:
        ConfigError: one that needs numbers is to choose among words.
    """
    search = spec.search
    if search is None or not SAMPLERS[search.kind].needs_order:
        return
    problems = tuple(
        Problem(
            f"{search.kind} searches numbers; the values of {axis.key} have no order",
            hint="kind: tpe chooses among words, too",
            place=axis.place,
        )
        for axis in spec.axes
        if not is_ordered(axis)
    )
    if problems:
        raise ConfigError(problems, source=spec.base.source)


def check_installed(kind: str) -> None:
    """Refuse a sampler whose packages are not there.

    Raises:
        ResourceError: with what to install.
    """
    for package in ("optuna", *SAMPLERS[kind].packages):
        try:
            import_module(package)
        except ImportError as error:
            needs = f"the sampler {kind}" if package != "optuna" else "a search"
            missing = safe_text(error.name or package, limit=60)
            whole = "" if missing.partition(".")[0] == package else f" whole: {missing} is missing"
            hint = "pip install torch" if package == "torch" else install_hint("search")
            raise ResourceError(
                f"{needs} needs the package {package}, which is not installed{whole}", hint=hint
            ) from None


def to_param(axis: Axis, value: Any) -> int | float:
    """Return what stands for a value of an axis: the number itself, or of listed values the place in the list."""
    if axis.values is None:
        return value
    texts = [repr(listed) for listed in axis.values]
    return texts.index(repr(value))


def to_value(axis: Axis, param: Any) -> Any:
    """Return the value of an axis that `param` stands for; numbers have twelve significant digits, as drawn ones.

    Raises:
        IndexError, TypeError, ValueError: it stands for none.
    """
    if axis.values is not None:
        return axis.values[int(param)]
    assert axis.distribution is not None
    if axis.distribution.integer:
        return int(param)
    (value,) = rounded(np.asarray([param], np.float64))
    return min(max(value, axis.distribution.low), axis.distribution.high)


class Sampler:
    """Optuna's sampler of a search, which proposes rows of values and takes their outcomes.

    Args:
        spec: a search.
    Raises:
        ResourceError: a package is missing.
    """

    def __init__(self, spec: SweepSpec) -> None:
        assert spec.search is not None
        self._axes, self._kind, self._maximize = spec.axes, SAMPLERS[spec.search.kind], spec.maximize
        check_installed(spec.search.kind)
        seed = integer_seed(spec.base.experiment.seeds.data, "search")
        with _silence():
            import optuna

            self._optuna = optuna
            self._distributions = {axis.key: self._distribution(axis) for axis in spec.axes}
            self._study = optuna.create_study(
                sampler=self._kind.make(optuna.samplers, seed, batch_size(spec)),
                direction="maximize" if spec.maximize else "minimize",
            )
        self._pending: list[tuple[Any, Row]] = []
        self._repeated: list[tuple[Any, Row]] = []
        self._finite = math.isfinite(num_points(spec.axes))
        self._results: dict[str, float] = {}
        self._seen: set[str] = set()
        self._others: Iterator[Row] = product(*(_points(axis) or () for axis in spec.axes))

    def ask(self, count: int) -> list[Row]:
        """Return `count` rows, one value an axis. None comes twice, as long as there are others."""
        with _silence():
            return [self._new() for _ in range(count)]

    def _new(self) -> Row:
        for _ in range(_TRIES):
            trial = self._study.ask(self._distributions)
            row = tuple(to_value(axis, trial.params[axis.key]) for axis in self._axes)
            if not self._finite or repr(row) not in self._seen:
                return self._propose(trial, row)
            self._repeated.append((trial, row))
        # The sampler proposes nothing new: take the first row that is left.
        row = next((row for row in self._others if repr(row) not in self._seen), row)
        return self._propose(None, row)

    def _propose(self, trial: Any, row: Row) -> Row:
        self._pending.append((trial, row))
        if self._finite:
            # By text: values may be lists, and 1 and 1.0 are different settings.
            self._seen.add(repr(row))
        return row

    def tell(self, rows: Sequence[Row], outcomes: Sequence[TrialOutcome]) -> bool:
        """Give the sampler the outcomes of the rows that `ask` returned.

        A trial without a finite value counts as the worst there is, not as failed: samplers forget failed trials and
        would keep proposing what diverges.

        Args:
            rows: of these trials as they ran; one that is not as it was proposed counts all the same.
        Returns:
            True where all of them are as they were proposed.
        """
        pending, self._pending = self._pending, []
        as_asked = True
        with _silence():
            for (trial, asked), row, outcome in zip(pending, rows, outcomes, strict=True):
                as_asked = as_asked and row == asked
                if row == asked and trial is not None:
                    self._tell(trial, outcome)
                else:
                    if trial is not None:
                        self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
                    self._add(row, outcome)
                if self._finite:
                    self._results[repr(row)] = self._value(outcome)
            repeated, self._repeated = self._repeated, []
            for trial, row in repeated:
                known = self._results.get(repr(row))
                state = None if known is not None else self._optuna.trial.TrialState.FAIL
                self._study.tell(trial, known, state=state)
        return as_asked

    def _tell(self, trial: Any, outcome: TrialOutcome) -> None:
        if outcome.pruned_at is not None and self._kind.takes_pruned:
            trial.report(self._value(outcome), outcome.pruned_at)
            self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(trial, self._value(outcome))

    def _add(self, row: Row, outcome: TrialOutcome) -> None:
        params = {axis.key: to_param(axis, value) for axis, value in zip(self._axes, row, strict=True)}
        self._study.add_trial(
            self._optuna.trial.create_trial(
                params=params, distributions=self._distributions, value=self._value(outcome)
            )
        )  # fmt: skip

    def _value(self, outcome: TrialOutcome) -> float:
        if outcome.value is not None and math.isfinite(outcome.value):
            return outcome.value
        return -math.inf if self._maximize else math.inf

    def _distribution(self, axis: Axis) -> Any:
        kinds = self._optuna.distributions
        if (drawn := axis.distribution) is not None:
            log = drawn.kind == "loguniform"
            if drawn.integer:
                return kinds.IntDistribution(int(drawn.low), int(drawn.high), log=log)
            return kinds.FloatDistribution(drawn.low, drawn.high, log=log)
        assert axis.values is not None
        # Listed values are searched by their places in the list.
        if is_ordered(axis):
            return kinds.IntDistribution(0, len(axis.values) - 1)
        return kinds.CategoricalDistribution(range(len(axis.values)))


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Optuna from logging studies that it makes, and warning of samplers that it calls experimental."""
    logger = logging.getLogger("optuna")
    level = logger.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logger.setLevel(logging.CRITICAL)
            yield
    finally:
        logger.setLevel(level)
