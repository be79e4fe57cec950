"""Shipped configs: what they expect is met, and right: NumPy loops, written without gdrun, come to the same numbers.

Each oracle computes whatever its config's `expect:` names; a value counts as right within the wider of the config's
tolerance and the oracle's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdrun.checking.check import check
from gdrun.experiment.expect import Bound
from gdrun.experiment.loading import load_config
from tests.config_oracles import ORACLES, Oracle, Values

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_numpy_loop_comes_to_what_the_config_expects(path: Path) -> None:
    oracle = ORACLES[path.stem]
    values = oracle.compute()
    expect = load_config(path).experiment.expect
    compared = 0
    for what, expected, row, got in _pairs(expect, values):
        _compare(what, expected, row, got, expect, oracle)
        compared += 1
    assert compared, "a shipped config expects something"
    assert expect.steps in (None, values.steps)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_config_meets_what_it_expects(path: Path, tensorflow: Any) -> None:
    missed = check(path).missed
    assert not missed, missed


def test_every_oracle_has_its_config() -> None:
    assert set(ORACLES) == {path.stem for path in CONFIGS.glob("*.yaml")}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_config_says_in_one_line_what_it_shows(path: Path) -> None:
    description = load_config(path).experiment.description
    assert description
    assert "\n" not in description


def _pairs(expect: Any, values: Values) -> Iterator[tuple[str, Any, Any, Any]]:
    """Each expectation with what it is about, its row of the trace or None, and what the oracle says."""
    if expect.loss is not None:
        yield "loss", expect.loss, None, values.loss
    for name, expected in expect.parameters.items():
        yield name, expected, None, values.parameters[name]
    for name, expected in expect.gradients.items():
        yield f"d/d{name}", expected, None, values.gradients[name]
    for name, expected in expect.metrics.items():
        yield name, expected, None, values.metrics[name]
    for row in expect.trace:
        for name, expected in row.values.items():
            yield f"{name} at step {row.step}", expected, row, values.trace[row.step][name]
    if expect.predictions is not None:
        yield "predictions", expect.predictions, None, values.predictions
    for number, trials in enumerate(expect.trials):
        yield from _pairs_of_trials(f"trials[{number}]", trials, values.trials[number])


def _pairs_of_trials(what: str, trials: Any, values: dict[str, Any]) -> Iterator[tuple[str, Any, Any, Any]]:
    for name in ("count", "completed", "diverged", "steps", "diverged_at"):
        if getattr(trials, name) is not None:
            assert getattr(trials, name) == values[name], f"{what}.{name}"
            yield f"{what}.{name}", Bound(value=values[name], rtol=0, atol=0), trials, values[name]
    if trials.loss is not None:
        yield f"{what}.loss", trials.loss, trials, values["loss"]
    for section in (trials.values, trials.parameters, trials.metrics):
        for name, expected in section.items():
            yield f"{what}.{name}", expected, trials, values[name]


def _compare(what: str, expected: Any, row: Any, got: Any, expect: Any, oracle: Oracle) -> None:
    def tolerance(name: str) -> float:
        for level in (expected, row, expect):
            value = getattr(level, name, None)
            if value is not None:
                return max(value, getattr(oracle, name))
        raise AssertionError(name)

    got = np.asarray(got, np.float64)
    if getattr(expected, "below", None) is not None:
        assert (got < expected.below).all(), what
    if getattr(expected, "above", None) is not None:
        assert (got > expected.above).all(), what
    wanted = getattr(expected, "value", expected) if not isinstance(expected, tuple) else expected
    if wanted is not None:
        assert got.shape == np.shape(wanted), what
        np.testing.assert_allclose(got, wanted, rtol=tolerance("rtol"), atol=tolerance("atol"), err_msg=what)
