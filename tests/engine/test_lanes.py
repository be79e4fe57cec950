"""Many trials in one program: each lane is the run at its settings, whatever its neighbours do."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from gdrun.engine.lanes import Lanes, in_lanes
from gdrun.engine.loop import Program
from gdrun.engine.state import Batch, Reason, Setting

STEPS = 100
RATES = np.geomspace(1e-3, 100, 64)  # the larger ones diverge
LINE = f"""
precision: float64
seed: 1
data: {{kind: formula, inputs: {{x: "linspace(-1, 1, 20)"}}, target: 3*x + 2, noise: "normal(0, 0.1)"}}
model: {{kind: formula, formula: w*x + b, parameters: {{w: 0, b: 0}}}}
schedule: {{steps: {STEPS}, batch_size: 8, order: shuffled}}
optimizer: OPTIMIZER
"""
OPTIMIZERS = {
    "sgd": "{kind: sgd, learning_rate: 0.1, momentum: 0.5}",
    "adam": "{kind: adam, learning_rate: 0.1, global_clipnorm: 1}",
}
EVENTS = np.asarray([0, 1, 10, STEPS])


def lane_overrides(compile):
    """XLA takes its time to compile a smaller last batch as well, which the graph's cases have."""
    return [f"compile={compile}", "record.every=[0]", *(["schedule.batch_size=10"] if compile == "xla" else [])]


class LanesOf:
    """Runs `built` once for each learning rate, in one program, which is traced once however often it is called."""

    def __init__(self, built, count, **varied):
        flags = tf.nest.map_structure(lambda _: False, built.setting)._replace(learning_rate=True)
        flags = flags._replace(**tf.nest.map_structure(lambda _: True, varied))
        step = dataclasses.replace(built.step, guard="each")
        self.built, self.varied = built, varied
        self.program = Program(step, built.program.feed, compile=built.compile, lanes=Lanes(count, flags))
        self.state, self.window = in_lanes(built.state, count), built.windows.at(0)
        self.program.prepare(self.state, self._setting([0.0] * count), built.data, self.window)

    def _setting(self, rates):
        return self.built.setting._replace(learning_rate=tf.constant(rates, tf.float64), **self.varied)

    def __call__(self, rates):
        """Return (state, records)."""
        setting, assesses = self._setting(rates), np.zeros(len(EVENTS), bool)
        result = self.program.run(self.state, setting, self.built.data, self.window, EVENTS, assesses)
        assert self.program.num_traces == 1
        return result


def single_runs(built, rates):
    """Run `built` at each learning rate, one after the other, with one trace."""
    for rate in rates:
        setting = built.setting._replace(learning_rate=tf.constant(rate, tf.float64))
        yield lab_rows(built, setting)
    assert built.program.num_traces == 1


def lab_rows(built, setting):
    from gdrun.engine.drive import drive

    reports = list(drive(built.program, built.state, setting, built.data, built.rows, built.windows))
    return reports[-1]


def line(lab, compile, optimizer):
    """Return the line alone and in 64 lanes."""
    built = lab.build(LINE.replace("OPTIMIZER", OPTIMIZERS[optimizer]), lane_overrides(compile))
    return built, LanesOf(built, 64)


@pytest.fixture(scope="module")
def sgd_by_xla(shared_lab):
    return line(shared_lab, "xla", "sgd")


@pytest.mark.parametrize(("compile", "optimizer"), [("graph", "adam"), ("xla", "sgd")])
def test_64_learning_rates_in_lanes_are_single_runs(lab, sgd_by_xla, compile, optimizer):
    """Each fourth: the same step and reason, and parameters to 1e-9.

    A sum over a batch is ordered otherwise than over a table.
    """
    built, lanes = sgd_by_xla if compile == "xla" else line(lab, compile, optimizer)
    rates = RATES if optimizer == "sgd" else RATES / 100  # large rates make Adam chaotic
    state, _ = lanes(rates)
    num_diverged = 0
    for lane, report in zip(range(0, 64, 4), single_runs(built, rates[::4]), strict=True):
        assert (int(state.reason[lane]), int(state.step[lane])) == (report.reason, report.step), rates[lane]
        num_diverged += report.reason.diverged
        for ours, single in zip(state.parameters, report.state.parameters, strict=True):
            np.testing.assert_allclose(ours[lane], single, rtol=1e-9, atol=1e-9, err_msg=str(rates[lane]))
    assert (num_diverged > 1) is (optimizer == "sgd")


def test_a_lane_that_diverges_changes_no_bit_of_its_neighbours(sgd_by_xla):
    """By XLA; in a graph, tests/sweeping/test_lanes.py has the same of whole trials."""
    _, lanes = sgd_by_xla
    calm = lanes([0.01, 0.02, 0.05, 0.1] * 16)
    wild = lanes([0.01, 1e30, 0.05, 50.0] * 16)
    assert [Reason(int(reason)).diverged for reason in wild[0].reason] == [False, True, False, True] * 16
    for lane in range(0, 64, 2):
        for one, other in zip(tf.nest.flatten(calm[0]), tf.nest.flatten(wild[0]), strict=True):
            np.testing.assert_array_equal(one[lane], other[lane])
        for name in calm[1]:
            np.testing.assert_array_equal(calm[1][name][:, lane], wild[1][name][:, lane], err_msg=name)
    # A lane that diverged holds its last finite values.
    assert all(np.isfinite(value.numpy()).all() for value in wild[0].parameters)
    assert int(wild[0].step[1]) < int(wild[0].step[3]) < STEPS


NETWORK = """
compile: graph
data: {kind: moons, size: 21, noise: 0.1}
model:
  kind: layers
  layers: [{kind: dense, units: 4, activation: tanh}, {kind: batch_normalization}, {kind: dropout, rate: 0.2}, {kind: dense, units: 1}]
loss: {kind: binary_crossentropy, from_logits: true}
optimizer: {kind: adam, learning_rate: 0.01}
schedule: {steps: 100, batch_size: 7}
record: {every: [0]}
"""  # noqa: E501


def test_layers_with_a_state_run_in_lanes(lab):
    built = lab.build(NETWORK)
    rates = [0.001, 0.01, 0.1]
    state, _ = LanesOf(built, 3)(rates)
    for lane, report in enumerate(single_runs(built, rates)):
        for name in ("parameters", "model_state"):
            for ours, single in zip(getattr(state, name), getattr(report.state, name), strict=True):
                np.testing.assert_allclose(ours[lane], single, rtol=1e-4, atol=1e-5)


DRAWS = """
precision: float64
compile: graph
constants: {c: 2}
model: {kind: formula, formula: "(w - c)**2 * uniform(0.5, 1.5)", parameters: {w: 0}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 100}
"""


def test_constants_and_seeds_may_vary_between_lanes(lab):
    built = lab.build(DRAWS)
    seeds = tf.constant([0, 5, 5], tf.int32)
    constants = {"c": tf.constant([2.0, 2.0, -1.0], tf.float64)}
    built = dataclasses.replace(built, setting=built.setting._replace(constants={"c": tf.constant(2.0, tf.float64)}))
    state, records = LanesOf(built, 3, seed=seeds, constants=constants)([0.1] * 3)
    rows = dataclasses.replace(built.rows, every=(0, 1, 10))
    for lane in range(3):
        setting = built.setting._replace(seed=seeds[lane], constants={"c": constants["c"][lane]})
        run = lab.rows(built, setting=setting, rows=rows)
        assert float(state.parameters[0][lane]) == run["parameters.w"][-1]
        np.testing.assert_array_equal(records["parameters.w"][:, lane], run["parameters.w"])


def test_what_does_not_vary_has_no_lane_axis(tensorflow):
    flags = Setting(True, False, {}, (), {})
    seen = []

    def one(setting, data):
        seen.append((setting.learning_rate.shape.rank, setting.seed.shape.rank, data.inputs["x"].shape.rank))
        return setting.learning_rate * tf.reduce_sum(data.inputs["x"])

    lanes = Lanes(3, flags, Batch({"x": False}, None))
    setting = Setting(tf.constant([1.0, 2.0, 3.0]), tf.constant(0), {}, (), {})
    result = lanes.map(one)(setting, Batch({"x": tf.constant([1.0, 2.0])}, None))
    assert result.numpy().tolist() == [3.0, 6.0, 9.0]
    assert set(seen) == {(0, 0, 1)}


def test_without_lanes_nothing_is_mapped():
    def function():
        return None

    assert Lanes().map(function) is function
