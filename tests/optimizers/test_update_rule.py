"""Update rules written in a config: textbook methods run as written."""

import numpy as np
import pytest

LINE = """
compile: {compile}
precision: {precision}
data: {{kind: formula, inputs: {{x: "linspace(0, 1, 20)"}}, target: 3*x + 1}}
model: {{kind: formula, formula: "a*x + b[0]", parameters: {{a: 0.5, b: [-0.2]}}}}
optimizer: {optimizer}
schedule: {{steps: 60}}
record: {{every: 1}}
"""
TEXTBOOK = {
    "sgd": (
        "{kind: formula, learning_rate: 0.1, update: {parameter: parameter - learning_rate*gradient}}",
        "{kind: sgd, learning_rate: 0.1}",
    ),
    "momentum": (
        "{kind: formula, learning_rate: 0.1, settings: {beta: 0.9}, state: {v: 0},"
        " update: {v: beta*v - gradient*learning_rate, parameter: parameter + v}}",
        "{kind: sgd, learning_rate: 0.1, momentum: 0.9}",
    ),
    "nesterov": (
        "{kind: formula, learning_rate: 0.1, settings: {beta: 0.9}, state: {v: 0},"
        " update: {v: beta*v - gradient*learning_rate,"
        " parameter: parameter + (beta*v - gradient*learning_rate)}}",
        "{kind: sgd, learning_rate: 0.1, momentum: 0.9, nesterov: true}",
    ),
    "adam": (
        "{kind: formula, learning_rate: 0.1, settings: {beta_1: 0.9, beta_2: 0.999, epsilon: 1.0e-7},"
        " state: {m: 0, v: 0}, update: {"
        " m: m + (gradient - m)*(1 - beta_1), v: v + (gradient**2 - v)*(1 - beta_2),"
        " alpha: learning_rate*sqrt(1 - beta_2**(step + 1))/(1 - beta_1**(step + 1)),"
        " parameter: parameter - m*alpha/(sqrt(v) + epsilon)}}",
        "{kind: adam, learning_rate: 0.1}",
    ),
    "rmsprop": (
        "{kind: formula, learning_rate: 0.01, settings: {rho: 0.9}, state: {v: 0},"
        " update: {v: rho*v + (1 - rho)*gradient**2,"
        " parameter: parameter - learning_rate*gradient/sqrt(v + 1.0e-7)}}",
        "{kind: rmsprop, learning_rate: 0.01}",
    ),
}


@pytest.mark.parametrize(
    ("name", "compile", "precision", "rtol"),
    [
        *((name, "graph", "float32", 1e-5) for name in TEXTBOOK),
        ("nesterov", "graph", "float64", 2e-5),
        ("adam", "graph", "float64", 2e-5),
        ("adam", "xla", "float32", 1e-4),
    ],
)
def test_a_textbook_rule_is_keras(lab, name, compile, precision, rtol):
    rows = [
        lab.rows(lab.build(LINE.format(optimizer=optimizer, compile=compile, precision=precision)))
        for optimizer in TEXTBOOK[name]
    ]
    for parameter in ("parameters.a", "parameters.b"):
        # Keras takes 1 - beta_2 in float64 in a float32 run and rounds settings to float32 in a float64 run.
        np.testing.assert_allclose(rows[0][parameter], rows[1][parameter], rtol=rtol, atol=rtol)


def test_eager_mode_runs_the_same_rule(lab):
    text = LINE.format(optimizer=TEXTBOOK["momentum"][0], compile="eager", precision="float32").replace("60", "5")
    eager, graph = (lab.rows(lab.build(text, [f"compile={mode}"])) for mode in ("eager", "graph"))
    np.testing.assert_array_equal(eager["parameters.a"], graph["parameters.a"])


ALONE = """
precision: float64
model: {{kind: formula, formula: "{formula}", parameters: {{x: {start}}}}}
optimizer: {{kind: formula, update: {update}}}
schedule: {{steps: {steps}}}
record: {{every: 1}}
"""


def test_newton_by_curvature_solves_a_separable_quadratic_in_one_step(lab):
    text = ALONE.format(
        formula="sum([1, 10, 100]*(x - [1, 2, 3])**2)",
        start="[5, -5, 7]",
        update="{parameter: parameter - gradient/curvature}",
        steps=1,
    )
    np.testing.assert_allclose(lab.rows(lab.build(text))["parameters.x"][-1], [1, 2, 3], rtol=1e-15)


def test_newton_by_hessian_solves_a_coupled_quadratic_in_one_step(lab):
    matrix, target = np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0])
    text = ALONE.format(
        formula="0.5*dot(x, [[4, 1], [1, 3]] @ x) - dot([1, 2], x)",
        start="[10, 10]",
        update='{parameter: "parameter - solve(hessian, gradient)"}',
        steps=1,
    )
    got = lab.rows(lab.build(text))["parameters.x"][-1]
    np.testing.assert_allclose(got, np.linalg.solve(matrix, target), rtol=1e-13)


def test_the_hessian_is_over_the_flattened_parameter(lab):
    text = ALONE.format(
        formula="0.5*sum(reshape(x, [4])**2*[1, 2, 3, 4])",
        start="[[1, 1], [1, 1]]",
        update='{parameter: "reshape(diag_part(hessian), [2, 2])"}',
        steps=1,
    )
    np.testing.assert_allclose(lab.rows(lab.build(text))["parameters.x"][-1], [[1, 2], [3, 4]], rtol=1e-14)


def halley(x):
    """One step of Halley's method for a root of x**3 - 2, by hand."""
    f, d, dd = x**3 - 2, 3 * x**2, 6 * x
    return x - 2 * f * d / (2 * d**2 - f * dd)


def test_halley_finds_a_root_as_the_loop_by_hand_and_cubically(lab):
    text = ALONE.format(
        formula="x**3 - 2",
        start="2.0",
        update='{parameter: "parameter - 2*loss*gradient/(2*gradient**2 - loss*curvature)"}',
        steps=4,
    )
    got = lab.rows(lab.build(text))["parameters.x"]
    by_hand = [2.0]
    for _ in range(4):
        by_hand.append(halley(by_hand[-1]))
    np.testing.assert_allclose(got, by_hand, rtol=4e-16)
    error = np.abs(got - 2 ** (1 / 3))
    # Its error constant is (f''/2f')**2 - f'''/6f' = 2/3 * root**-2 / 1 for a cube root: e' = 2 e**3 / (3 root**2).
    np.testing.assert_allclose(error[2] / error[1] ** 3, 2 / (3 * 2 ** (2 / 3)), rtol=0.1)


def test_third_is_the_third_derivative_of_each_entry(lab):
    text = ALONE.format(formula="sum(x**4) + prod(x)", start="[1, 2, 3]", update="{parameter: third}", steps=1)
    np.testing.assert_allclose(lab.rows(lab.build(text))["parameters.x"][-1], [24, 48, 72], rtol=1e-13)


def test_halley_for_a_minimum_uses_the_third_derivative(lab):
    text = ALONE.format(
        formula="cosh(x - 1)",
        start="2.0",
        update='{parameter: "parameter - 2*gradient*curvature/(2*curvature**2 - gradient*third)"}',
        steps=3,
    )
    x = [1.0]
    for _ in range(3):
        g, h, t = np.sinh(x[-1]), np.cosh(x[-1]), np.sinh(x[-1])
        x.append(x[-1] - 2 * g * h / (2 * h**2 - g * t))
    np.testing.assert_allclose(lab.rows(lab.build(text))["parameters.x"], np.array(x) + 1, rtol=1e-13)


def test_state_of_its_own_shape_carries_a_matrix(lab):
    """BFGS with exact line search on a quadratic of two dimensions ends after two steps."""
    text = """
precision: float64
constants: {A: [[4, 1], [1, 3]]}
model: {kind: formula, formula: "0.5*dot(x, A @ x)", parameters: {x: [3.0, -2.0]}}
optimizer:
  kind: formula
  state: {H: eye(2), old: 0, before: 0}
  update:
    s: parameter - before
    y: gradient - old
    r: divide_no_nan(1.0, dot(s, y))
    grown: (eye(2) - r*outer(s, y)) @ H @ (eye(2) - r*outer(y, s)) + r*outer(s, s)
    H: where(step > 0, grown, H)
    old: gradient
    before: parameter
    d: H @ gradient
    parameter: parameter - d*dot(gradient, d)/dot(d, A @ d)
schedule: {steps: 2}
"""
    np.testing.assert_allclose(lab.rows(lab.build(text))["parameters.x"][-1], [0, 0], atol=1e-15)


def test_state_may_start_at_the_parameter(lab):
    text = """
precision: float64
model: {kind: formula, formula: "sum(x**2)", parameters: {x: [4.0, 8.0]}}
optimizer:
  kind: formula
  learning_rate: 0.25
  state: {smooth: parameter}
  update: {parameter: parameter - learning_rate*gradient, smooth: 0.5*smooth + 0.5*parameter}
schedule: {steps: 1}
"""
    state = lab.rows(lab.build(text))["state"]
    np.testing.assert_allclose(state.optimizer[0], [3.0, 6.0])


def test_draws_differ_between_steps_and_parameters_and_not_between_runs(lab):
    text = """
model: {kind: formula, formula: "sum(x**2) + sum(y**2)", parameters: {x: [0.0, 0.0], y: [0.0, 0.0]}}
optimizer: {kind: formula, update: {parameter: "parameter + normal(0, 1)"}}
schedule: {steps: 2}
record: {every: 1}
"""
    built = lab.build(text)
    rows = lab.rows(built)
    moves = np.concatenate([np.diff(rows[f"parameters.{name}"], axis=0).ravel() for name in "xy"])
    assert len(np.unique(moves)) == 8
    again = lab.rows(lab.build(text), program=built.program)
    np.testing.assert_array_equal(again["parameters.x"], rows["parameters.x"])


def test_complex_parameters_are_moved_by_their_own_gradient(lab):
    text = """
model: {kind: formula, formula: "abs(z - (1 + 2j))**2", parameters: {z: 0j}}
optimizer: {kind: formula, learning_rate: 0.5, update: {parameter: parameter - learning_rate*gradient}}
schedule: {steps: 1}
record: {every: 1}
"""
    np.testing.assert_allclose(lab.rows(lab.build(text))["parameters.z"][-1], 1 + 2j, rtol=1e-6)


def test_every_lane_is_the_run_it_would_be_alone(lab, tensorflow):
    tf = tensorflow
    from gdrun.engine.lanes import Lanes, in_lanes
    from gdrun.engine.loop import Program

    text = LINE.format(optimizer=TEXTBOOK["adam"][0], compile="graph", precision="float64")
    built = lab.build(text.replace("learning_rate*sqrt", "curvature/curvature*learning_rate*sqrt"))
    rates = [0.01, 0.1, 1.0]
    setting = built.setting._replace(learning_rate=tf.constant(rates, tf.float64))
    flags = tf.nest.map_structure(lambda _: False, built.setting)._replace(learning_rate=True)
    data = tf.nest.map_structure(lambda _: False, built.data)
    program = Program(built.step, built.program.feed, compile="graph", lanes=Lanes(3, flags, data), capacity=4)
    state, window = in_lanes(built.state, 3), built.windows.at(0)
    program.prepare(state, setting, built.data, window)
    state, _ = program.run(state, setting, built.data, window, np.asarray([60]), np.asarray([False]))
    for lane, rate in enumerate(rates):
        alone = lab.rows(built, setting=built.setting._replace(learning_rate=tf.constant(rate, tf.float64)))["state"]
        np.testing.assert_allclose(state.parameters[0][lane], alone.parameters[0], rtol=1e-12)


REFUSED = [
    ("{kind: formula, update: {parameter: parameter - lr*gradient}}", "unknown name 'lr'"),
    ("{kind: formula, update: {v: gradient}}", "no line of update gives the parameter its new value"),
    ("{kind: formula, state: {v: 0}, update: {parameter: parameter - v}}", "no line of update gives 'v' a new value"),
    ("{kind: formula, update: {m: 2*gradient, parameter: parameter - gradient}}", "no line below uses 'm'"),
    ("{kind: formula, update: {parameter: parameter - m, m: gradient}}", "'m' is not known yet"),
    ("{kind: formula, settings: {gradient: 1}, update: {parameter: parameter}}", "'gradient' has a meaning of its own"),
    (
        '{kind: formula, update: {parameter: "stack([gradient, gradient])"}}',
        "parameter 'a' has shape (), its new value has shape (2,)",
    ),
    ("{kind: formula, update: {parameter: 1j*gradient}}", "this value is complex"),
    ('{kind: formula, state: {v: "[1, 2] @ eye(3)"}, update: {v: v, parameter: parameter}}', "does not fit"),
]


@pytest.mark.parametrize(("optimizer", "message"), REFUSED)
def test_a_rule_that_cannot_work_is_refused_at_its_line(lab, optimizer, message):
    from gdrun.errors import ConfigError

    with pytest.raises(ConfigError) as caught:
        lab.train(LINE.format(optimizer=optimizer, compile="xla", precision="float32"))
    problem = next(problem for problem in caught.value.problems if message in problem.message)
    assert problem.path[0] == "optimizer"
    assert problem.place is not None
    assert not lab.runs.exists()


ADAM_OF_THE_PAPER = """
compile: graph
precision: {precision}
constants: {{shares: [0.9, 0.999]}}
model: {{kind: formula, formula: (w - 3)**2 + 0.1*w**4, parameters: {{w: -1}}}}
optimizer:
  kind: formula
  learning_rate: 0.05
  {settings}
  state: {{m: 0, v: 0}}
  update:
    m: {b1} * m + (1 - {b1}) * gradient
    v: {b2} * v + (1 - {b2}) * gradient**2
    m_hat: m / (1 - {b1}**(step + 1))
    v_hat: v / (1 - {b2}**(step + 1))
    parameter: parameter - learning_rate * m_hat / (sqrt(v_hat) + 1e-8)
schedule: {{steps: 200}}
record: {{every: 1}}
"""


def adam_of_the_paper(number: type, steps: int) -> np.ndarray:
    """Algorithm 1 of Kingma and Ba 2014 in NumPy scalars of one type."""
    one, two, b1, b2, rate, epsilon = map(number, (1, 2, 0.9, 0.999, 0.05, 1e-8))
    w, m, v = map(number, (-1, 0, 0))
    path = [w]
    for t in range(1, steps + 1):
        gradient = two * (w - number(3)) + number(0.4) * w ** number(3)
        m = b1 * m + (one - b1) * gradient
        v = b2 * v + (one - b2) * gradient**two
        m_hat, v_hat = m / (one - b1 ** number(t)), v / (one - b2 ** number(t))
        w = w - rate * m_hat / (np.sqrt(v_hat) + epsilon)
        path.append(w)
    return np.asarray(path)


@pytest.mark.parametrize(("precision", "rtol"), [("float32", 2e-6), ("float64", 1e-13)])
@pytest.mark.parametrize(
    ("settings", "b1", "b2"),
    [
        ("settings: {}", "0.9", "0.999"),
        ("settings: {b1: 0.9}", "b1", "shares[1]"),
    ],
    ids=["numbers", "a setting and a constant"],
)
def test_numbers_settings_and_constants_are_computed_in_the_runs_precision(lab, precision, rtol, settings, b1, b2):
    rows = lab.rows(lab.build(ADAM_OF_THE_PAPER.format(precision=precision, settings=settings, b1=b1, b2=b2)))
    number = {"float32": np.float32, "float64": np.float64}[precision]
    path = np.asarray(rows["parameters.w"])
    np.testing.assert_allclose(path, adam_of_the_paper(number, 200), rtol=rtol, atol=rtol)
    # The first step of the paper's Adam is the learning rate; folded in float64, 1 - 0.999 makes it another.
    np.testing.assert_allclose(path[1] + 1, 0.05, rtol=3e-6 if precision == "float32" else 1e-8)


def test_in_float64_keras_rounds_the_powers_of_betas_and_the_rule_does_not(lab):
    """What docs/engine.md says of Adam: each against its own loop in NumPy."""
    rule = ADAM_OF_THE_PAPER.format(precision="float64", settings="settings: {}", b1="0.9", b2="0.999")
    keras = rule[: rule.index("optimizer:")] + "optimizer: {kind: adam, learning_rate: 0.05}\nschedule: {steps: 200}\n"
    rounded_b1, rounded_b2 = float(np.float32(0.9)), float(np.float32(0.999))
    w, m, v, path = -1.0, 0.0, 0.0, [-1.0]
    for t in range(1, 201):
        gradient = 2 * (w - 3) + 0.4 * w**3
        m, v = m + (gradient - m) * (1 - 0.9), v + (gradient**2 - v) * (1 - 0.999)
        w -= m * 0.05 * np.sqrt(1 - rounded_b2**t) / (1 - rounded_b1**t) / (np.sqrt(v) + 1e-7)
        path.append(w)
    moved = np.asarray(lab.rows(lab.build(keras + "record: {every: 1}\n"))["parameters.w"])
    np.testing.assert_allclose(moved, path, rtol=1e-11)
    off = np.max(np.abs(np.diff(moved) - np.diff(adam_of_the_paper(np.float64, 200))))
    assert 1e-8 < off < 1e-5 * 0.05


@pytest.mark.parametrize(("setting", "beta", "decay"), [("momentum", 0.9, 0.0), ("weight_decay", 0.0, 0.1)])
def test_in_float64_keras_rounds_momentum_and_weight_decay(lab, setting, beta, decay):
    text = ADAM_OF_THE_PAPER.format(precision="float64", settings="settings: {}", b1="0.9", b2="0.999")
    sgd = f"optimizer: {{kind: sgd, learning_rate: 0.01, {setting}: {beta or decay}}}\nschedule: {{steps: 20}}\n"
    text = text[: text.index("optimizer:")] + sgd + "record: {every: 1}\n"
    w, v, path = -1.0, 0.0, [-1.0]
    for _ in range(20):
        gradient = 2 * (w - 3) + 0.4 * w**3
        w -= w * float(np.float32(decay)) * 0.01
        v = float(np.float32(beta)) * v - 0.01 * gradient
        w += v
        path.append(w)
    np.testing.assert_allclose(lab.rows(lab.build(text))["parameters.w"], path, rtol=1e-13)
