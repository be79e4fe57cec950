"""Groups that act at times, follow rules of their own or are projected, in whole runs. Oracles: loops in NumPy."""

import numpy as np
import pytest

CASE = """
precision: float64
constants: {period: 3, radius: 0.3}
model:
  kind: formula
  formula: (a - 1)**2 + (b - 2)**2 + (c + 1)**2
  parameters: {a: 0, b: 0, c: 0}
optimizer:
  kind: adam
  learning_rate: 0.1
  groups:
    - {parameters: [b], when: "mod(step, period) < 2", project: "clip(parameter, -radius, radius)"}
    - parameters: [c]
      optimizer:
        kind: formula
        learning_rate: 0.2
        update: {parameter: parameter - learning_rate*gradient/global_gradient_norm}
schedule: {steps: 12}
record: {every: 1, state: true}
"""


def adam(slopes, acts, project, rate=0.1, steps=12):
    """The iterates of Adam, in Keras's form, on a parameter that rests where `acts` is false."""
    value = momentum = velocity = 0.0
    count, values = 0, [0.0]
    for step in range(steps):
        if acts(step):
            count += 1
            slope = slopes(value)
            momentum += (slope - momentum) * 0.1
            velocity += (slope**2 - velocity) * 0.001
            alpha = rate * np.sqrt(1 - 0.999**count) / (1 - 0.9**count)
            value = project(value - momentum * alpha / (np.sqrt(velocity) + 1e-7))
        values.append(value)
    return np.array(values), count


def expected(period=3, radius=0.3):
    a, _ = adam(lambda value: 2 * (value - 1), lambda step: True, lambda value: value)
    b, count = adam(
        lambda value: 2 * (value - 2), lambda step: step % period < 2, lambda value: np.clip(value, -radius, radius)
    )
    c = [0.0]
    for step in range(12):
        slopes = np.array([2 * (a[step] - 1), 2 * (b[step] - 2), 2 * (c[step] + 1)])
        c.append(c[step] - 0.2 * slopes[2] / np.sqrt(np.sum(slopes**2)))
    return {"a": a, "b": b, "c": np.array(c)}, count


@pytest.mark.parametrize("compile", ["xla", "graph", "eager"])
def test_groups_rest_are_projected_and_follow_rules(lab, compile):
    rows = lab.rows(lab.build(CASE, [f"compile={compile}"]))
    values, count = expected()
    for name, value in values.items():
        # Keras's powers of beta are those of float32 numbers.
        np.testing.assert_allclose(rows[f"parameters.{name}"], value, rtol=1e-5, atol=1e-12)
    counts = rows["state.1/iterations"]
    assert counts[-1] == count
    resting = np.arange(12) % 3 == 2
    for name in ("parameters.b", "state.1/iterations", "state.1/b_momentum", "state.1/b_velocity"):
        np.testing.assert_array_equal(np.asarray(rows[name])[1:][resting], np.asarray(rows[name])[:-1][resting])


def test_groups_are_trained_as_lanes_whose_constants_differ(lab):
    from gdrun.sweeping.run import sweep

    run = sweep(lab.load(CASE), ["constants.period=3,4", "constants.radius=0.3,0.1"], lanes=4, runs_dir=lab.runs)
    assert run.info.strategy["lanes"] == 4
    for trial, (period, radius) in enumerate([(3, 0.3), (3, 0.1), (4, 0.3), (4, 0.1)]):
        values, _ = expected(period, radius)
        for name, value in values.items():
            np.testing.assert_allclose(run.trial_parameters()[trial][name], value[-1], rtol=1e-5, atol=1e-12)


def test_a_projection_of_the_optimizer_holds_for_every_group_without_one(lab):
    text = CASE.replace("learning_rate: 0.1\n", 'learning_rate: 0.1\n  project: "minimum(parameter, 0.05)"\n')
    rows = lab.rows(lab.build(text.replace(', project: "clip(parameter, -radius, radius)"', "")))
    assert rows["parameters.a"].max() == rows["parameters.b"].max() == 0.05
    assert rows["parameters.c"].min() < -0.5  # the rule's own


def test_a_projection_with_the_rate_is_a_proximal_step(lab):
    """ISTA on 0.5*(w - 3)**2 + 2*|w| ends at the soft threshold of 3 by 2, which is 1."""
    rows = lab.rows(
        lab.build(
            "precision: float64\nmodel: {kind: formula, formula: 0.5*(w - 3)**2, parameters: {w: 0}}\n"
            "optimizer: {kind: sgd, learning_rate: 0.5, "
            'project: "sign(parameter)*maximum(abs(parameter) - 2*learning_rate, 0)"}\n'
            "schedule: {steps: 60}"
        )
    )
    assert rows["parameters.w"][-1] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mod(step, period) < 2", "step > 20", "true at no step"),
        ("mod(step, period) < 2", "[step > 2, step > 3, step > 4]", "a condition must be one value"),
        ("mod(step, period) < 2", "loss > 2", "unknown name 'loss'"),
        ("clip(parameter, -radius, radius)", "[parameter, 0]", "parameter 'b' has shape ()"),
        ("clip(parameter, -radius, radius)", "clip(b, 0, 1)", "unknown name 'b'"),
        ("gradient/global_gradient_norm", "gradient/norms", "unknown name 'norms'"),
        ("learning_rate: 0.1\n", "learning_rate: 0.1\n  use_ema: true\n", "use_ema averages parameters before project"),
        ("{steps: 12}", "{steps: 12, stop: {parameters_unchanged: true}}", "at which these parameters rest"),
        ('when: "mod(step, period) < 2"', "frozen: true", "frozen parameters have no updates"),
    ],
)
def test_mistakes_of_groups_are_refused_at_their_place(lab, old, new, message):
    assert old in CASE
    problem = lab.refused(CASE.replace(old, new))
    assert message in problem.message
    assert problem.path[0] == "optimizer"


def test_a_group_may_act_at_random_steps(lab):
    """Of the draws of a Bernoulli variable nothing is said before the run."""
    text = CASE.replace("mod(step, period) < 2", "uniform(0, 1) < 0.5").replace("12", "40")
    rows = lab.rows(lab.build(text, ["compile=eager"]))
    assert 5 < rows["state.1/iterations"][-1] < 35
