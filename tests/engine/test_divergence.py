"""What is no longer finite ends a run at the exact step, with the last finite state. The oracle is a NumPy loop.

With guard "late" the loop notices afterwards and goes back; it must come to the same as guard "each".
"""

import numpy as np
import pytest

from gdrun.engine.state import Reason

HEAD = "compile: graph\nschedule: {steps: 1000}\nrecord: {every: 1}\n"
QUADRATIC = (
    HEAD
    + """
model: {kind: formula, formula: (w - 1)**2, parameters: {w: 3}}
optimizer: {kind: sgd, learning_rate: 3}
"""
)
LINEAR = (
    HEAD
    + """
model: {kind: formula, formula: -w, parameters: {w: 0}}
optimizer: {kind: sgd, learning_rate: 1e38}
"""
)
ROOT = (
    HEAD
    + """
model: {kind: formula, formula: sqrt(w), parameters: {w: 1}}
optimizer: {kind: sgd, learning_rate: 1, clipvalue: 0.25}
"""
)


def quadratic(w):
    return (w - np.float32(1)) ** 2, np.float32(2) * (w - np.float32(1))


def linear(w):
    return -w, np.float32(-1)


def root(w):
    return np.sqrt(w), np.float32(0.5) / np.sqrt(w)


def numpy_loop(function, start, rate, clip=np.inf):
    """Descend in float32; return (reason, step of the last finite state, its parameter)."""
    w, step = np.float32(start), 0
    with np.errstate(all="ignore"):
        while True:
            loss, gradient = function(w)
            if not np.isfinite(loss):
                return Reason.LOSS_NOT_FINITE, step, w
            if not np.isfinite(gradient):
                return Reason.GRADIENT_NOT_FINITE, step, w
            new = w - np.float32(rate) * np.clip(gradient, -np.float32(clip), np.float32(clip))
            if not np.isfinite(new):
                return Reason.PARAMETERS_NOT_FINITE, step, w
            w, step = new, step + 1


CASES = {
    "loss": (QUADRATIC, numpy_loop(quadratic, 3, 3)),
    "parameters": (LINEAR, numpy_loop(linear, 0, 1e38)),
    "clipped gradient": (ROOT, numpy_loop(root, 1, 1, 0.25)),
}


def test_the_cases_are_what_they_are_called():
    assert [reason for _, (reason, _, _) in CASES.values()] == [
        Reason.LOSS_NOT_FINITE,
        Reason.PARAMETERS_NOT_FINITE,
        Reason.GRADIENT_NOT_FINITE,
    ]


def assert_ends(rows, end):
    """Assert that the rows of a run end for the reason, at the step and with the parameter of `end`; return them."""
    reason, step, w = end
    assert (rows["reason"], int(rows["state"].step)) == (reason, step)
    assert rows["state"].parameters[0].numpy() == w
    assert rows["step"].tolist() == list(range(step + 1))
    return rows


@pytest.mark.parametrize("guard", ["each", "late"])
@pytest.mark.parametrize("case", CASES)
def test_a_run_ends_at_the_last_finite_state(lab, with_guard, chunks_of, case, guard):
    text, end = CASES[case]
    built = with_guard(lab.build(text), guard)
    for steps in (1000, 5, 1, end[1]):
        chunks_of(steps)
        rows = assert_ends(lab.rows(built), end)
        assert rows["parameters.w"][-1] == end[2]


@pytest.mark.parametrize("case", CASES)
def test_a_graph_whose_chunks_begin_with_a_known_update_ends_there_too(lab, chunks_of, case):
    text, end = CASES[case]
    built = lab.build(text, ["compile=graph"])
    for steps in (1000, 5, 1, end[1]):
        chunks_of(steps)
        assert_ends(lab.rows(built), end)


@pytest.mark.parametrize("case", CASES)
def test_xla_agrees(lab, case):
    text, (reason, step, w) = CASES[case]
    rows = lab.rows(lab.build(text, ["compile=xla", "record.every=[0]"]))
    assert (rows["reason"], int(rows["state"].step)) == (reason, step)
    np.testing.assert_allclose(rows["state"].parameters[0], w, rtol=1e-6)
    assert rows["step"].tolist() == [0, step]


INFINITE_GRADIENT = """
compile: graph
model: {kind: formula, formula: "w**2 + where(step < 4, v, sqrt(0*v))", parameters: {w: 1, v: 2}}
schedule: {steps: 20}
"""


@pytest.mark.parametrize("guard", ["each", "late"])
@pytest.mark.parametrize(
    "optimizer",
    [
        "{kind: adam, learning_rate: 0.1}",
        "{kind: sgd, learning_rate: 0.1, gradient_accumulation_steps: 3}",
        "{kind: sgd, learning_rate: 0.1, clipnorm: 1}",
        "{kind: lion, learning_rate: 0.1}",
    ],
)
def test_a_gradient_is_found_at_its_step_whatever_the_optimizer_makes_of_it(lab, with_guard, optimizer, guard):
    built = with_guard(lab.build(INFINITE_GRADIENT + f"optimizer: {optimizer}\n"), guard)
    rows = lab.rows(built)
    assert (rows["reason"], int(rows["state"].step)) == (Reason.GRADIENT_NOT_FINITE, 4)
    assert all(np.isfinite(value) for value in rows["state"].parameters)


@pytest.mark.parametrize("guard", ["each", "late"])
def test_non_finite_false_goes_on(lab, with_guard, guard):
    built = with_guard(lab.build(QUADRATIC, ["schedule.stop.non_finite=false", "steps=200"]), guard)
    rows = lab.rows(built)
    assert (rows["reason"], int(rows["state"].step)) == (Reason.NONE, 200)
    assert np.isnan(rows["state"].parameters[0])


WATCHED = """
precision: float64
compile: graph
data: {kind: formula, inputs: {x: "linspace(1, 2, 6)"}, target: 3*x}
model: {kind: formula, formula: "w*x + where(step < 14, 0, 1e308)*w", parameters: {w: 0}}
optimizer: {kind: sgd, learning_rate: 0.9}
schedule:
  steps: 30
  batch_size: 3
  order: sequential
  learning_rate_factor: {kind: plateau, metric: loss_epoch, patience: 1, factor: 0.5}
record: {every: 7}
"""


def test_going_back_keeps_what_rules_saw_at_the_ends_of_epochs(lab, with_guard, chunks_of):
    """The rate falls at several plateaus before the run diverges at step 14; guard "late" runs those steps again."""
    built = lab.build(WATCHED)
    results = []
    for guard in ("each", "late"):
        for steps in (1000, 5):
            chunks_of(steps)
            results.append(lab.rows(with_guard(built, guard)))
    for rows in results:
        assert int(rows["state"].step) == 14
        assert rows["learning_rate"][-1] < 0.5
        for name in ("parameters.w", "learning_rate", "loss", "loss_epoch", "step"):
            np.testing.assert_array_equal(rows[name], results[0][name], err_msg=name)
