"""Whole runs whose parts come from plugins: what they compute, what is recorded, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdrun
from gdrun.errors import ConfigError, Problem
from gdrun.experiment.loading import load_config
from gdrun.exports.models import export_model
from gdrun.training.predict import evaluate, load_trained, predict
from gdrun.training.prepare import prepare
from gdrun.training.train import execute

EXTRAS = Path(__file__).parents[1] / "configs" / "extras"

PLUGIN = '''\
import gdrun.plugin as gd
import keras
import numpy as np
import tensorflow as tf
from pydantic import BaseModel


class How(BaseModel):
    how: str = ""


@gd.data("points", options=How)
def points(random, options):
    x, y = np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 9.0])
    return {
        "": {"inputs": {"x": x}, "target": y},
        "drawn": {"inputs": {"x": random.normal(size=3)}, "target": y},
        "weighted": {"inputs": {"x": x}, "target": y, "weights": [1, 2, 0]},
        "without target": {"inputs": {"x": x}},
        "list": [1, 2],
        "unknown": {"inputs": {"x": x}, "targets": y},
        "lengths": {"inputs": {"x": x}, "target": y[:2]},
        "nan": {"inputs": {"x": x * np.nan}, "target": y},
        "text": {"inputs": {"x": ["a", "b", "c"]}, "target": y},
        "name": {"inputs": {"step": x}, "target": y},
    }[options.how]


@gd.model("line", options=How)
def line(shapes, random, options):
    assert shapes == {"x": ()}
    def predict(parameters, inputs):
        a, b, x = parameters["a"], parameters["b"], inputs["x"]
        if options.how == "numpy":
            return np.sin(x) * a + b
        if options.how == "narrow":
            return tf.constant([1.0, 2.0, 3.0])
        if options.how == "list":
            return [a * x + b]
        if options.how == "two":
            return {"line": a * x + b, "slope": a}
        if options.how == "no kernel":
            return a * x + b + 0 * tf.linalg.det(x[0] * tf.eye(2, dtype=x.dtype))
        return a * x + b
    if options.how == "raise":
        raise ValueError("no such line")
    if options.how == "nothing":
        return None
    if options.how == "taken":
        return {"x": 1.0}, predict
    if options.how == "pair":
        return {"a": 0.5, "b": 0.0}, predict
    return gd.Model({"a": 0.5, "b": 0.0}, predict, fixed=("b",) if options.how == "fixed" else ())


@gd.loss("square", options=How)
def square(target, prediction, options):
    if options.how == "scalar":
        return tf.reduce_mean((target - prediction) ** 2)
    if options.how == "two":
        return (target - prediction["line"]) ** 2 + 0.1 * prediction["slope"] ** 2
    return {
        "": lambda: (target - prediction) ** 2,
        "nothing": lambda: None,
        "narrow": lambda: tf.constant(1.0),
        "shape": lambda: tf.zeros([7], prediction.dtype),
        "raise": lambda: tf.matmul(target, prediction),
    }[options.how]()


@gd.metric("worst", options=How)
def worst(target, prediction, options):
    return prediction if options.how == "shape" else tf.reduce_max(tf.abs(target - prediction))


class Halved(keras.optimizers.SGD):
    """Gradient descent by half of the rate."""

    def __init__(self, learning_rate=0.1, share=0.5, **more):
        super().__init__(learning_rate, **more)
        self.share = share

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient * self.share, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "share": self.share}


class Forgetful(Halved):
    get_config = keras.optimizers.SGD.get_config


@gd.optimizer("steps", options=How)
def steps(options):
    if options.how in ("halved", "forgetful"):
        return (Halved if options.how == "halved" else Forgetful)(share=0.25)
    if options.how == "class":
        return keras.optimizers.SGD
    if options.how == "nothing":
        return None
    def update(state, gradient, parameter, learning_rate):
        velocity = 0.5 * state["velocity"] - learning_rate * gradient
        if options.how == "state":
            return {}, parameter
        if options.how == "shape":
            return state, tf.stack([parameter, parameter])
        if options.how == "not two":
            return parameter
        return {"velocity": velocity, "count": state["count"] + 1}, parameter + velocity
    return gd.Rule(lambda parameter: {"velocity": tf.zeros_like(parameter), "count": 0.0}, update)
'''
LINE_THAT_RAISES = 1 + PLUGIN.split("no such line")[0].count("\n")
CONFIG = """\
precision: float64
data: {kind: custom, name: points, options: {how: ''}}
model: {kind: custom, name: line, options: {how: ''}}
loss: {kind: custom, name: square, options: {how: ''}}
metrics: [{kind: custom, name: worst, options: {how: ''}}]
optimizer: {kind: custom, name: steps, learning_rate: 0.02, options: {how: ''}}
schedule: {steps: 20}
compile: graph
"""
X, Y = np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 9.0])


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "lines.py"
    path.write_text(PLUGIN)
    return path


class Runner:
    """Trains the config above with other options."""

    def __init__(self, folder: Path, plugin: Path) -> None:
        self.plugin, self.runs = plugin, folder / "runs"
        self.config = folder / "case.yaml"
        self.config.write_text(CONFIG)

    def train(self, *overrides: str, **options: Any) -> Any:
        loaded = load_config(self.config, overrides, plugins=[self.plugin])
        return execute(prepare(loaded, **options), runs_dir=self.runs, command=["test"])

    def refused(self, *overrides: str) -> Problem:
        with pytest.raises(ConfigError) as caught:
            self.train(*overrides)
        assert not self.runs.exists()
        (problem,) = caught.value.problems
        assert problem.place is not None
        return problem


@pytest.fixture
def runner(tensorflow: Any, tmp_path: Path, plugin: Path) -> Runner:
    return Runner(tmp_path, plugin)


def by_hand(
    *, rate: float = 0.02, momentum: float = 0.5, weights: Any = 1.0, slope: float = 0.0, steps: int = 20
) -> Any:
    """a and b after gradient descent with momentum on the mean of weights * (Y - a X - b)**2 + slope * a**2."""
    p, v = np.array([0.5, 0.0]), np.zeros(2)
    for _ in range(steps):
        error = weights * (p[0] * X + p[1] - Y)
        gradient = np.array([2 * np.mean(error * X) + 2 * slope * p[0], 2 * np.mean(error)])
        v = momentum * v - rate * gradient
        p = p + v
    return p


@pytest.mark.parametrize("compile", ["xla", "graph", "eager"])
def test_five_parts_of_plugins_train_as_a_numpy_loop_does(runner, compile):
    run = runner.train(f"compile={compile}")
    a, b = by_hand()
    np.testing.assert_allclose([run.parameters["a"], run.parameters["b"]], [a, b], rtol=1e-12)
    np.testing.assert_allclose(run.info.final["worst"], np.max(np.abs(a * X + b - Y)), rtol=1e-12)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["optimizer.options.how=halved"], {"rate": 0.005, "momentum": 0.0}),
        (["optimizer.options.how=class"], {"momentum": 0.0}),
        (["loss.options.how=scalar"], {}),
        (["model.options.how=pair"], {}),
        (["data.options.how=weighted"], {"weights": np.array([1.0, 2.0, 0.0])}),
        (["loss.reduction=sum", "lr=0.002"], {"rate": 0.006}),
        (["loss={kind: custom, name: square, penalty: {l2: 0.1, of: [a]}}"], {"slope": 0.1}),
        (["model.options.how=two", "loss.options.how=two", "metrics=[]"], {"slope": 0.1}),
        (["schedule={steps: 20, batch_size: 3}"], {}),
        (
            ["gradients={of: {a: mean((prediction - target)*x), b: mean(prediction - target)}, use: true}"],
            {"rate": 0.01},
        ),
    ],
)
def test_settings_and_forms_of_plugin_parts_mean_what_they_say(runner, overrides, expected):
    run = runner.train("compile=eager", *overrides)
    wanted = by_hand(**expected)
    np.testing.assert_allclose([run.parameters["a"], run.parameters["b"]], wanted, rtol=1e-12)


def test_fixed_parameters_stay_and_data_is_drawn_from_the_configs_seed(runner):
    options = ("compile=eager", "model.options.how=fixed", "data.options.how=drawn")
    first, again, other = (runner.train(*options, f"seed={seed}") for seed in (1, 1, 2))
    assert first.parameters["b"] == 0
    assert first.parameters["a"] == again.parameters["a"] != other.parameters["a"]


def test_lanes_of_plugin_parts_are_single_runs(runner):
    import tensorflow as tf

    from gdrun.engine.lanes import Lanes  # noqa: F401 - what lanes are made of

    built = prepare(load_config(runner.config, ["compile=graph"], plugins=[runner.plugin])).built
    rates = [0.005, 0.01, 0.02]

    def one(rate: Any) -> Any:
        setting = built.setting._replace(learning_rate=rate)
        window = built.windows.at(0)
        state = built.state
        for _ in range(5):
            state = built.step.update(state, setting, built.data, built.program.feed.moment(window, state.step))
        return state.parameters

    lanes = tf.function(lambda values: tf.vectorized_map(one, values), autograph=False)
    a, b = lanes(tf.constant(rates, tf.float64))
    for lane, rate in enumerate(rates):
        np.testing.assert_allclose([a[lane], b[lane]], by_hand(rate=rate, steps=5), rtol=1e-12)


def test_what_xla_has_no_kernel_for_runs_as_a_graph_and_says_so(runner):
    run = runner.train("model.options.how='no kernel'", "compile=auto")
    assert run.info.compile == "graph"
    assert any("the plugin's MatrixDeterminant" in warning for warning in run.info.warnings)
    np.testing.assert_allclose([run.parameters["a"], run.parameters["b"]], by_hand(), rtol=1e-12)


@pytest.mark.parametrize(
    ("override", "line", "says"),
    [
        ("data.options.how=list", 2, "data 'points' of lines.py returned a list"),
        ("data.options.how=unknown", 2, "unknown key 'targets'"),
        ("data.options.how=lengths", 2, "inputs.x has 3 examples, target has 2"),
        ("data.options.how=nan", 2, "inputs.x[0] is nan"),
        ("data.options.how=text", 2, "does not hold numbers"),
        ("data.options.how=name", 2, "calls an input 'step'"),
        ("data.options.how=other", 2, "KeyError: 'other'"),
        (
            "model.options.how=raise",
            3,
            f"model 'line' of lines.py failed: line {LINE_THAT_RAISES}: ValueError: no such line",
        ),
        ("model.options.how=nothing", 3, "returned nothing"),
        ("model.options.how=taken", 3, "a parameter 'x', which is the name of something else"),
        ("model.options.how=numpy", 3, "NotImplementedError"),
        ("model.options.how=narrow", 3, "as float32, but the run's precision is float64"),
        ("model.options.how=list", 3, "gives a list as its prediction"),
        ("loss.options.how=nothing", 4, "loss 'square' of lines.py returned nothing"),
        ("loss.options.how=narrow", 4, "gives float32, but the run's precision is float64"),
        ("loss.options.how=shape", 4, "gives shape (7,) for 3 examples"),
        ("loss.options.how=raise", 4, "loss 'square' of lines.py failed: line "),
        ("metrics.0.options.how=shape", 5, "metric 'worst' of lines.py must give one number, it gives shape (3,)"),
        ("optimizer.options.how=nothing", 6, "optimizer 'steps' of lines.py returned nothing"),
        ("optimizer.options.how=forgetful", 6, "get_config leaves out 'share'"),
        ("optimizer.options.how=state", 6, "began with the state ['count', 'velocity'], and now has []"),
        ("optimizer.options.how=shape", 6, "turns parameter 'a', float64 (), into float64 (2,)"),
        ("optimizer.options.how='not two'", 6, "updates to a"),
    ],
)
def test_what_a_plugin_must_not_give_is_told_at_its_name(runner, override, line, says):
    problem = runner.refused("compile=graph", override)
    assert says in problem.message
    assert (problem.place.line, problem.place.source) == (line, str(runner.config))


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["loss=mse"], "gives no target to compare predictions with"),
        (["loss.options.how=scalar", "metrics=[mae]"], "gives no target, which the metric mae needs"),
        (["data.classes=3"], "gives no target, which classes is about"),
        (["data.scale={target: standardize}"], "gives no target, which scale is about"),
    ],
)
def test_what_needs_a_target_is_refused_without_one(runner, overrides, says):
    assert says in runner.refused("data.options.how='without target'", *overrides).message


def test_weights_do_not_get_lost_in_a_loss_of_one_number(runner):
    problem = runner.refused("data.options.how=weighted", "loss.options.how=scalar")
    assert "weights of data do not reach it" in problem.message


def test_the_record_has_the_plugins_hash_and_its_source(runner):
    import hashlib

    run = runner.train("compile=eager")
    data = runner.plugin.read_bytes()
    assert run.info.plugins == {str(runner.plugin): hashlib.sha256(data).hexdigest()}
    assert (run.directory / "source" / "plugins" / "lines.py").read_bytes() == data


def test_a_run_without_custom_parts_does_not_name_the_plugins_of_its_command(runner):
    plain = ["data={kind: values, inputs: {x: [1]}, target: [1]}", "model=linear", "loss=mse", "metrics=[]"]
    run = runner.train("compile=eager", *plain, "optimizer=sgd")
    assert run.info.plugins == {}
    assert not (run.directory / "source" / "plugins").exists()


def test_a_run_is_trained_again_and_predicts_with_its_plugin_alone(runner, tmp_path):
    run = runner.train("compile=graph")
    copy = run.directory / "source" / "plugins" / "lines.py"
    again = gdrun.train(run.directory, plugins=[copy], runs_dir=runner.runs)
    assert {name: value.tobytes() for name, value in again.parameters.items()} == {
        name: value.tobytes() for name, value in run.parameters.items()
    }
    prepared = load_trained(run, plugins=[runner.plugin])
    np.testing.assert_allclose(predict(prepared, run, {"x": [3.0]}), run.parameters["a"] * 3 + run.parameters["b"])
    np.testing.assert_allclose(evaluate(prepared, run)["worst"], run.info.final["worst"])
    export_model(run, tmp_path / "model", format="savedmodel", plugins=[runner.plugin])
    assert (tmp_path / "model" / "saved_model.pb").is_file()

    with pytest.raises(ConfigError) as caught:
        load_trained(run)
    assert str(copy) in caught.value.problems[0].hint
    other = tmp_path / "lines.py"
    other.write_text(PLUGIN + "\n# another\n")
    for use in (lambda: load_trained(run, plugins=[other]), lambda: gdrun.train(run.directory, plugins=[other])):
        with pytest.raises(ConfigError) as caught:
            use()
        assert "lines.py is not the plugin that the run" in caught.value.problems[0].message
        assert str(copy) in caught.value.problems[0].hint


def test_the_shipped_plugin_fits_the_quantile_it_is_asked_for(tensorflow, tmp_path):
    checked = gdrun.check(EXTRAS / "quantiles.yaml", plugins=[EXTRAS / "quantiles.py"], runs_dir=tmp_path)
    assert checked.ok
