"""Claims about learning-rate factors, against Keras's schedules and optax's."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from pydantic import TypeAdapter

from gdrun.errors import ComponentError
from gdrun.schedules.factors import FromFunction, LearningRateFactor
from tests.families import members

schedules = keras.optimizers.schedules
F = np.float64  # Keras computes in float64 if it is given no Python float, which it rounds to float32
ONE = F(1.0)
STEPS = np.concatenate([np.arange(40), np.arange(40, 260, 7)])


def section(kind, **settings):
    return TypeAdapter(LearningRateFactor).validate_python({"kind": kind, **settings})


def keras_values(schedule, steps=STEPS):
    return np.array([float(schedule(np.int64(step))) for step in steps])


@pytest.mark.parametrize(
    ("factor", "schedule"),
    [
        (section("exponential", rate=0.96, every=10), schedules.ExponentialDecay(ONE, 10, F(0.96))),
        (
            section("exponential", rate=0.5, every=7, staircase=True),
            schedules.ExponentialDecay(ONE, 7, F(0.5), staircase=True),
        ),
        (section("exponential", rate=1.01), schedules.ExponentialDecay(ONE, 1, F(1.01))),
        (section("inverse_time", rate=0.3, every=10), schedules.InverseTimeDecay(ONE, 10, F(0.3))),
        (
            section("inverse_time", rate=2.0, every=9, staircase=True),
            schedules.InverseTimeDecay(ONE, 9, F(2.0), staircase=True),
        ),
        (section("polynomial", length=100, end=0.01), schedules.PolynomialDecay(ONE, 100, F(0.01))),
        (
            section("polynomial", length=100, end=0.1, power=0.5),
            schedules.PolynomialDecay(ONE, 100, F(0.1), power=F(0.5)),
        ),
        (
            section("polynomial", length=60, power=2.0, cycle=True),
            schedules.PolynomialDecay(ONE, 60, F(0.0), F(2.0), cycle=True),
        ),
        (section("cosine", length=100, end=0.05), schedules.CosineDecay(ONE, 100, alpha=F(0.05))),
        (
            section("cosine", length=100, end=0.05, warmup=20, warmup_from=0.1),
            schedules.CosineDecay(F(0.1), 100, alpha=F(0.05), warmup_target=F(1.0), warmup_steps=20),
        ),
        (section("cosine", length=30, restarts=True), schedules.CosineDecayRestarts(ONE, 30)),
        (
            section("cosine", length=25, restarts=True, length_growth=1.0, peak_growth=0.8, end=0.1),
            schedules.CosineDecayRestarts(ONE, 25, t_mul=F(1.0), m_mul=F(0.8), alpha=F(0.1)),
        ),
        (
            section("cosine", length=17, restarts=True, length_growth=1.3, peak_growth=0.9),
            schedules.CosineDecayRestarts(ONE, 17, t_mul=F(1.3), m_mul=F(0.9)),
        ),
        (
            section("piecewise", boundaries=(10, 11, 200), factors=(1.0, 0.5, 0.25, 0.0)),
            schedules.PiecewiseConstantDecay([10, 11, 200], [ONE, F(0.5), F(0.25), F(0.0)]),
        ),
    ],
    ids=lambda value: "" if isinstance(value, schedules.LearningRateSchedule) else repr(value),
)
def test_a_factor_is_keras_schedule(factor, schedule):
    got = factor(STEPS, steps_per_epoch=10, total_steps=1000)
    assert got.dtype == np.float64
    assert np.allclose(got, keras_values(schedule), rtol=1e-9, atol=1e-12)


EVERY_FACTOR = [
    section("constant", factor=0.5),
    section("exponential", rate=0.9, every=3),
    section("inverse_time", rate=0.9, every=3),
    section("polynomial", end=0.1),
    section("cosine", warmup=2, restarts=True, length=4),
    section("cosine", warmup=2),
    section("piecewise", boundaries=(2, 7), factors=(1.0, 0.5, 0.25)),
    section("one_cycle"),
    FromFunction(lambda step, epoch: 1 / np.sqrt(1 + step + epoch)),
]


def test_every_factor_of_the_step_alone_is_tested_here():
    needs_more = {"formula", "plateau"}  # constants of a config, and the course of a run
    tested = {type(factor) for factor in EVERY_FACTOR}
    assert {kind for kind, member in members("factors").items() if member not in tested} == needs_more


@pytest.mark.parametrize("factor", EVERY_FACTOR, ids=lambda factor: repr(factor).partition(" at ")[0])
def test_a_factor_depends_on_the_step_alone_not_on_the_block_it_is_asked_in(factor):
    settings = {"steps_per_epoch": 7, "total_steps": 100}
    whole = factor(np.arange(120), **settings)
    assert whole.shape == (120,)
    assert np.array_equal(np.concatenate([factor(np.arange(k, k + 1), **settings) for k in range(120)]), whole)
    assert factor(np.arange(0), **settings).shape == (0,)
    factor(np.arange(1), steps_per_epoch=7, total_steps=0)


@pytest.mark.parametrize("kind", ["exponential", "inverse_time", "polynomial", "cosine"])
def test_by_epoch_a_factor_is_the_one_by_step_at_the_epochs_number(kind):
    settings = {"rate": 0.7} if kind in ("exponential", "inverse_time") else {"length": 6}
    by_epoch = section(kind, unit="epoch", **settings)(np.arange(60), steps_per_epoch=7, total_steps=60)
    by_step = section(kind, unit="step", **settings)(np.arange(60) // 7, steps_per_epoch=1, total_steps=60)
    assert np.array_equal(by_epoch, by_step)


def test_without_a_length_a_decay_ends_with_the_schedule():
    for factor in (
        section("polynomial", end=0.25),
        section("cosine", end=0.25, warmup=10),
        section("one_cycle", end=0.25),
    ):
        assert factor(np.array([99, 100]), steps_per_epoch=7, total_steps=100)[1] == pytest.approx(0.25)
        assert factor(np.array([99]), steps_per_epoch=7, total_steps=100)[0] > 0.25
    by_epoch = section("polynomial", unit="epoch")(np.arange(95), steps_per_epoch=10, total_steps=95)
    assert np.allclose(by_epoch, 1 - (np.arange(95) // 10) / 10)
    with pytest.raises(ComponentError, match="warm-up of 100 steps leaves nothing of the schedule's 100"):
        section("cosine", warmup=100)(np.arange(3), steps_per_epoch=1, total_steps=100)


def test_restarts_fall_on_exact_steps_whatever_the_logarithm_rounds_to():
    for growth in (2, 3, 5, 10, 1.5):
        factor = section("cosine", length=16, restarts=True, length_growth=float(growth))
        starts = [16 * sum(growth**j for j in range(i)) for i in range(6)]
        whole = np.array([int(start) for start in starts if start == int(start)])
        assert np.array_equal(factor(whole, steps_per_epoch=1, total_steps=1), np.ones(len(whole)))
        before = factor(whole[1:] - 1, steps_per_epoch=1, total_steps=1)
        assert (before < 0.02).all()


def test_shrinking_restarts_stay_at_the_end_once_they_are_used_up():
    factor = section("cosine", length=10, restarts=True, length_growth=0.5, end=0.1)
    values = factor(np.arange(0, 100), steps_per_epoch=1, total_steps=1)
    assert np.isfinite(values).all()
    assert values[10] == values[0] == 1
    assert np.allclose(values[20:], 0.1)


def test_one_cycle_is_optax_where_its_peak_is_a_whole_step():
    optax = pytest.importorskip("optax")
    schedule = optax.schedules.cosine_onecycle_schedule(100, 1.0, pct_start=0.3, div_factor=25.0, final_div_factor=1e4)
    expected = np.array([float(schedule(step)) for step in range(130)])
    got = section("one_cycle", length=100)(np.arange(130), steps_per_epoch=1, total_steps=1)
    assert np.allclose(got, expected, atol=1e-6)
    assert got[[0, 30, 100, 129]] == pytest.approx([0.04, 1.0, 4e-6, 4e-6], rel=1e-12)


@pytest.mark.parametrize(
    "function",
    [
        lambda step, epoch: 1 / (1 + step + epoch),
        lambda step, epoch: 0.25,
        lambda step, epoch: max(float(step), 10.0) / 10,
        lambda step, epoch: np.max([step, 10.0]) / 10,
        lambda step, epoch: np.sum(step) + 1,
        lambda step, epoch: np.cumsum(step) if np.ndim(step) else step,
        lambda step, epoch: step > 3,
    ],
)
def test_a_function_factor_is_the_function_at_each_step_by_itself(function):
    steps = np.arange(5, 205)
    got = FromFunction(function)(steps, steps_per_epoch=7, total_steps=1)
    assert np.array_equal(got, [float(function(np.float64(s), np.float64(s // 7))) for s in steps])


def test_a_function_factor_that_is_no_finite_number_is_refused_with_the_step():
    with np.errstate(all="ignore"), pytest.raises(ComponentError, match="is inf at step 9"):
        FromFunction(lambda step, epoch: 1 / (step - 9))(np.arange(20), steps_per_epoch=1, total_steps=1)
    with pytest.raises(ComponentError, match=r"has shape \(2,\) at step 0"):
        FromFunction(lambda step, epoch: np.ones(2))(np.arange(20), steps_per_epoch=1, total_steps=1)
    with pytest.raises(ComponentError, match="not a real number"):
        FromFunction(lambda step, epoch: 1j)(np.arange(2), steps_per_epoch=1, total_steps=1)
