"""Networks as vectors of their weights, and players with their own objectives. Oracles: closed forms, nested tapes."""

import numpy as np
import pytest

from gdrun.analysis.gradient_checks import check_grad, describe

GAME = """
precision: float64
data: {kind: values, inputs: {z: [0.5, -1, 2]}, target: [1, 2, 4.5]}
define: {fake: gen(z), fooled: -mean(critic(fake))}
model:
  kind: formula
  formula: critic(fake)
  networks: {gen: {kind: linear, kernel: 0.5, bias: 0.1}, critic: {kind: linear, kernel: -0.3, bias: 0.2}}
loss: {kind: formula, formula: "mean(critic(stop_gradient(fake))) - mean(critic(target)) + 0.1*sum(critic**2)"}
optimizer: {kind: sgd, learning_rate: 0.1}
gradients: {use: true, of: {gen: "grad(fooled, gen)"}}
schedule: {steps: 3}
record: {every: 1, formulas: {fooled: fooled, size: norm(gen)}}
"""
NET = "model: {kind: formula, formula: net(x), networks: {net: {kind: mlp, hidden: [3], activation: tanh}}}\n"
DATA = "precision: float64\ndata: {kind: values, inputs: {x: [0.5, -1, 2]}, target: [1, 2, 4.5]}\n"
END = "optimizer: {kind: sgd, learning_rate: 0.1}\nschedule: {steps: 2}\nrecord: {every: 1, gradients: true}\n"
TASKS = """
precision: float64
data:
  kind: values
  inputs: {x: [[0.5, -1], [2, 1], [0, 1]], x2: [[1, 2], [-1, 0], [0.5, -2]]}
  target: [[1, 4], [1, 0], [0.25, 4]]
define:
  copies: "tile([net], [length(x), 1])"
  fast: "copies - 0.05*grad(sum(mean((net(x, weights=copies) - x**2)**2, axis=1)), copies)"
model: {kind: formula, formula: "net(x2, weights=fast)", networks: {net: {kind: mlp, hidden: [3], activation: tanh}}}
"""
MAML = "define: {inner: 'mean((net(x[:2]) - target[:2])**2)', fast: 'net - 0.05*grad(inner, net)'}\n"


def played(steps, rate=0.1):
    """The two players' weights and the generator's objective after 0, 1, 2, ... simultaneous updates."""
    z, real = np.array([0.5, -1, 2]), np.array([1, 2, 4.5])
    a, b, c, d = 0.5, 0.1, -0.3, 0.2
    rows = []
    for _ in range(steps + 1):
        fake = a * z + b
        rows.append((a, b, c, d, -np.mean(c * fake + d)))
        slopes = -c * z.mean(), -c, fake.mean() - real.mean() + 0.2 * c, 0.2 * d
        a, b, c, d = (value - rate * slope for value, slope in zip((a, b, c, d), slopes, strict=True))
    return np.array(rows).T


@pytest.mark.parametrize("compile", ["xla", "graph", "eager"])
def test_each_player_descends_its_own_objective(lab, compile):
    rows = lab.rows(lab.build(GAME, [f"compile={compile}"]))
    a, b, c, d, fooled = played(3)
    names = ("gen.kernel", "gen.bias", "critic.kernel", "critic.bias")
    for name, expected in zip(names, (a, b, c, d), strict=True):
        np.testing.assert_allclose(rows[f"parameters.{name}"].ravel(), expected, rtol=1e-13)
    np.testing.assert_allclose(rows["fooled"], fooled, rtol=1e-13)
    np.testing.assert_allclose(rows["size"], np.hypot(a, b), rtol=1e-13)


def test_players_are_trained_as_lanes(lab):
    from gdrun.sweeping.run import sweep

    run = sweep(lab.load(GAME), ["lr=0.1,0.2"], lanes=2, runs_dir=lab.runs)
    for trial, rate in enumerate((0.1, 0.2)):
        kernel = run.trial_parameters()[trial]["gen.kernel"]
        np.testing.assert_allclose(kernel.ravel(), played(3, rate)[0][-1], rtol=1e-13)


def test_a_players_gradient_is_checked_against_its_own_objective(lab):
    lab.load(GAME)
    rows = {row.parameter: row for row in check_grad(lab.folder / "case.yaml").comparisons}
    assert all(row.ok for row in rows.values())
    assert [rows[name].by for name in ("gen.kernel", "critic.kernel")] == ["objective", "differences"]
    assert "differences of its own objective" in describe(rows["gen.bias"])


def test_a_gradient_whose_objective_does_not_show_is_said_not_to_be_compared(lab):
    lab.load(GAME.replace('"grad(fooled, gen)"', '"2*grad(fooled, gen)"'))
    rows = {row.parameter: row for row in check_grad(lab.folder / "case.yaml").comparisons}
    assert "gen.bias: by hand is not compared: its objective does not show" in describe(rows["gen.bias"])


def test_the_wrong_gradient_of_an_own_objective_is_found(lab):
    wrong = "fooled: '-mean(critic(fake)) + gen[0]**2 - stop_gradient(gen)[0]**2'"
    lab.load(GAME.replace("fooled: -mean(critic(fake))", wrong))
    rows = {row.parameter: row for row in check_grad(lab.folder / "case.yaml").comparisons}
    assert not rows["gen.kernel"].ok
    assert rows["gen.bias"].ok


@pytest.mark.parametrize("compile", ["graph", "eager"])
def test_a_gradient_goes_through_a_gradient_step(lab, tensorflow, compile):
    text = DATA + NET.replace("net(x)", "'net(x, weights=fast)'") + MAML + END
    rows = lab.rows(lab.build(text, [f"compile={compile}"]))
    x, y = np.array([0.5, -1, 2]), np.array([1, 2, 4.5])
    assert_gradients_of_fast_weights(tensorflow, rows, [(x[:2], y[:2], x, y)])


@pytest.mark.parametrize("compile", ["xla", "graph"])
def test_each_row_of_a_table_of_weights_works_on_its_own_row(lab, tensorflow, compile):
    rows = lab.rows(lab.build(TASKS + END, [f"compile={compile}"]))
    x, x2 = np.array([[0.5, -1], [2, 1], [0, 1]]), np.array([[1, 2], [-1, 0], [0.5, -2]])
    assert_gradients_of_fast_weights(tensorflow, rows, list(zip(x, x**2, x2, x2**2, strict=True)))


def test_tables_of_weights_are_trained_as_lanes(lab):
    from gdrun.sweeping.run import sweep

    text = TASKS + END.replace(", gradients: true", "")
    lanes = sweep(lab.load(text), ["lr=0.1,0.2"], lanes=2, runs_dir=lab.runs)
    kernel = lab.rows(lab.build(text, ["lr=0.2"]))["parameters.net.dense1.kernel"][-1]
    np.testing.assert_allclose(lanes.trial_parameters()[1]["net.dense1.kernel"], kernel, rtol=1e-12)


def assert_gradients_of_fast_weights(tf, rows, tasks):
    """The rows' losses and gradients are those of nested tapes, for the mean over tasks of (x, y, x2, y2)."""
    names = [f"net.dense{layer}.{part}" for layer in (1, 2) for part in ("kernel", "bias")]

    def error(weights, x, y):
        return tf.reduce_mean(
            ((tf.tanh(x[:, None] @ weights[0] + weights[1]) @ weights[2])[:, 0] + weights[3] - y) ** 2
        )

    for step in range(3):
        weights = [tf.constant(rows[f"parameters.{name}"][step]) for name in names]
        losses = []
        with tf.GradientTape() as outer:
            outer.watch(weights)
            for x, y, x2, y2 in tasks:
                with tf.GradientTape() as tape:
                    tape.watch(weights)
                    inner = error(weights, x, y)
                slopes = tape.gradient(inner, weights)
                losses.append(error([w - 0.05 * slope for w, slope in zip(weights, slopes, strict=True)], x2, y2))
            loss = tf.reduce_mean(losses)
        np.testing.assert_allclose(rows["loss"][step], loss, rtol=1e-12)
        for name, gradient in zip(names, outer.gradient(loss, weights), strict=True):
            np.testing.assert_allclose(rows[f"gradients.{name}"][step], gradient, rtol=1e-10, atol=1e-13)


def test_a_layer_is_the_vector_of_its_weights_in_order(lab):
    text = DATA + NET + END.replace("true}", "true, formulas: {second: net.dense2, all: net}}")
    rows = lab.rows(lab.build(text))
    kernel, bias = (rows[f"parameters.net.dense2.{part}"] for part in ("kernel", "bias"))
    expected = np.concatenate([kernel[:, :, 0], bias], axis=1)
    np.testing.assert_array_equal(rows["second"], expected)
    assert rows["all"].shape == (3, 10)
    np.testing.assert_array_equal(rows["all"][:, 6:], expected)


def test_weights_that_are_asked_for_before_the_first_call_are_those_of_the_built_network(lab):
    loss = 'loss: {kind: formula, formula: "0.5*norm(net)**2 + 0*mean(prediction)"}\n'
    rows = lab.rows(lab.build(DATA + NET + loss + END))
    np.testing.assert_allclose(rows["gradients.net.dense1.kernel"], rows["parameters.net.dense1.kernel"], rtol=1e-14)


def test_networks_of_a_list_are_called_with_other_weights(lab):
    text = DATA + (
        "model: {kind: formula, formula: 'nets[1](x, weights=w) + 0*nets[0](x)', parameters: {w: [2.0, 1.0]}, "
        "networks: {nets: {kind: linear, count: 2}}}\n"
    )
    rows = lab.rows(lab.build(text + END))
    fit, target = 2 * np.array([0.5, -1, 2]) + 1, np.array([1, 2, 4.5])
    np.testing.assert_allclose(rows["loss"][0], np.mean((fit - target) ** 2), rtol=1e-14)


def test_a_network_is_called_with_weights_that_are_made_of_its_own(lab):
    """Before the first call nothing has them: the network is built by what it is called on."""
    text = DATA + (
        "define: {k: net.kernel, normed: 'concat([reshape(k / norm(k), [-1]), net.bias])'}\n"
        "model: {kind: formula, formula: 'net(x, weights=normed)', "
        "networks: {net: {kind: linear, kernel: 3, bias: 0.5}}}\n"
    )
    rows = lab.rows(lab.build(text + END))
    error = np.array([0.5, -1, 2]) + 0.5 - np.array([1, 2, 4.5])
    np.testing.assert_allclose(rows["loss"][0], np.mean(error**2), rtol=1e-14)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("formula: critic(fake)", "formula: 'critic(fake, weights=[1, 2, 3])'", "are a vector of shape (2,), not (3,)"),
        (
            "formula: critic(fake)",
            "formula: 'critic(fake, weights=[[1, 2]])'",
            "a table of 1 rows, an argument has shape (3,)",
        ),
        ("formula: critic(fake)", "formula: 'critic([fake], weights=[[1, 2, 3]])'", "of shape (2,), not (3,)"),
        ("formula: critic(fake)", "formula: 'critic(fake, w=critic)'", "a network has no argument 'w'"),
        ("formula: critic(fake)", "formula: critic(fake) + sum(gen - deep) + deep(z)", "gen has 2 and deep has 10"),
        ('"grad(fooled, gen)"', '"grad(fooled, gen)[:1]"', "this gradient has shape (1,), but 'gen' has (2,)"),
        ('"grad(fooled, gen)"', '"grad(fooled, gen)", gen.bias: "[0]"', "'gen.bias' is of 'gen' as well"),
        ("of: {gen", "of: {gem", "there is no parameter 'gem'"),
    ],
)
def test_weights_that_do_not_fit_are_refused(lab, old, new, message):
    assert old in GAME
    text = GAME.replace(old, new, 1)
    text = text.replace("networks: {", "networks: {deep: {kind: mlp, hidden: [3]}, ") if "deep" in new else text
    problem = lab.refused(text)
    assert message in f"{problem.message} {problem.hint}"
