"""Values that `define` keeps from step to step, in whole runs. Oracles: loops in NumPy."""

import numpy as np
import pytest

CASE = """
precision: float64
constants: {decay: 0.9}
data: {kind: values, inputs: {x: [0.5, -1, 2, 1]}, target: [1, 2, 4.5, 0.5]}
define:
  baseline: {start: 0, next: decay*baseline + (1 - decay)*loss}
  memory: {start: "[1, 2, 3]", next: "concat([gap[:1], memory])[:3]"}
  gap: a*x + b - target
  middle: {start: a, next: decay*middle + (1 - decay)*a, final: true}
model: {kind: formula, formula: a*x + b + 0.1*mean(memory), parameters: {a: 0.2, b: -0.1}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 6}
record: {every: 1, formulas: {baseline: baseline, memory: memory, middle: middle}}
"""


def expected(decay=0.9, steps=6):
    x, y = np.array([0.5, -1, 2, 1]), np.array([1, 2, 4.5, 0.5])
    a, b, baseline, memory = 0.2, -0.1, 0.0, np.array([1.0, 2, 3])
    middle, rows = a, []
    for _ in range(steps + 1):
        gap = a * x + b - y
        error = gap + 0.1 * memory.mean()
        rows.append((a, b, baseline, memory, middle))
        baseline = decay * baseline + (1 - decay) * np.mean(error**2)
        memory = np.concatenate([gap[:1], memory])[:3]
        middle = decay * middle + (1 - decay) * a
        a, b = a - 0.1 * np.mean(2 * error * x), b - 0.1 * np.mean(2 * error)
    return {
        name: np.array(values)
        for name, values in zip(("a", "b", "baseline", "memory", "middle"), zip(*rows, strict=True), strict=True)
    }


@pytest.mark.parametrize("compile", ["xla", "graph", "eager"])
def test_kept_values_follow_their_formulas(lab, compile):
    rows = lab.rows(lab.build(CASE, [f"compile={compile}"]))
    for name, value in expected().items():
        column = rows[f"parameters.{name}" if name in "ab" else name]
        np.testing.assert_allclose(column, value, rtol=1e-13, err_msg=name)


def test_a_run_ends_on_a_final_average_and_shows_it(lab):
    run = lab.train(CASE)
    values = expected()
    assert run.parameters["a"] == pytest.approx(values["middle"][-1], rel=1e-13)
    assert run.parameters["b"] == pytest.approx(values["b"][-1], rel=1e-13)
    memory = values["memory"][-1]
    x, y = np.array([0.5, -1, 2, 1]), np.array([1, 2, 4.5, 0.5])
    error = values["middle"][-1] * x + values["b"][-1] + 0.1 * memory.mean() - y
    assert run.info.final["loss"] == pytest.approx(np.mean(error**2), rel=1e-13)


def test_each_lane_keeps_its_own_values(lab):
    from gdrun.sweeping.run import sweep

    run = sweep(lab.load(CASE), ["constants.decay=0.9,0.5"], lanes=2, runs_dir=lab.runs)
    assert run.info.strategy["lanes"] == 2
    for trial, decay in enumerate((0.9, 0.5)):
        assert run.trial_parameters()[trial]["a"] == pytest.approx(expected(decay)["middle"][-1], rel=1e-13)


def test_starts_are_drawn_from_the_seed_and_differ_between_lanes(lab):
    from gdrun.sweeping.run import sweep

    text = """
define: {noise: {start: "normal(0, 1, [4])", next: noise}}
model: {kind: formula, formula: sum((w - noise)**2), parameters: {w: [0, 0, 0, 0]}}
optimizer: {kind: sgd, learning_rate: 0.5}
schedule: {steps: 1}
record: {formulas: {noise: noise}}
"""
    alone = [lab.rows(lab.build(text, [f"seed={seed}", "compile=eager"]))["noise"] for seed in (1, 1, 2)]
    assert (alone[0] == alone[1]).all()
    assert (alone[0] == alone[0][0]).all()
    assert (alone[0] != alone[2]).all()
    # One step of rate 0.5 goes to the minimum.
    run = sweep(lab.load(text), ["seed=1,2"], lanes=2, runs_dir=lab.runs)
    for trial, noise in enumerate((alone[0], alone[2])):
        np.testing.assert_allclose(run.trial_parameters()[trial]["w"], noise[-1], rtol=1e-6)


def test_the_average_of_a_network_takes_its_place(lab):
    text = """
precision: float64
data: {kind: values, inputs: {x: [0.5, -1, 2]}, target: [1, 2, 4.5]}
define: {mean_net: {start: net, next: (step*mean_net + net)/(step + 1), final: true}}
model: {kind: formula, formula: net(x), networks: {net: {kind: linear, kernel: 0.5, bias: 0.1}}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 5}
record: {every: 1}
"""
    run = lab.train(text)
    rows = lab.rows(lab.build(text))
    for name in ("net.kernel", "net.bias"):
        before = np.asarray(rows[f"parameters.{name}"])[:-1]
        np.testing.assert_allclose(run.parameters[name], before.mean(axis=0), rtol=1e-13)


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("[gap[:1], memory])[:3]", "[gap[:1], memory])", "next", "has shape (3,), its new value has shape (4,)"),
        ("decay*baseline", "decay*baselin", "next", "unknown name 'baselin'"),
        ("start: 0,", "start: gap,", "start", "'gap' is not known yet"),
        ("start: 0,", "start: mean(x),", "start", "unknown name 'x'"),
        ("start: 0,", "start: baseline,", "start", "'baseline' is defined by itself"),
        ("start: a,", "start: 2*a,", "final", "named by its start, and trained"),
        ("a: 0.2", "a: {value: 0.2, transform: exp}", "final", "'a' has a transform"),
    ],
)  # fmt: skip
def test_mistakes_of_kept_values_are_refused_at_their_place(lab, old, new, path, message):
    assert old in CASE
    problem = lab.refused(CASE.replace(old, new))
    assert message in problem.message
    assert problem.path[0] == "define"
    assert problem.path[-1] == path


def test_a_value_of_another_length_is_kept_when_the_mend_is_followed(lab):
    problem = lab.refused(CASE.replace("memory])[:3]", "memory])"))
    assert problem.hint == "(...)[:3] keeps as many each time"
