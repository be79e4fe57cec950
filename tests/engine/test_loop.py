"""The compiled loop: what is recorded and how it is cut into chunks changes no bit, and it is traced once."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from gdrun.engine.drive import CHUNK_SECONDS, Pace, Windows
from gdrun.engine.loop import Program, shared_step
from gdrun.engine.rows import Rows

NETWORK = """
precision: float32
seed: 2
data: {kind: moons, size: 50, noise: 0.1, validation: 0.2}
model: {kind: mlp, hidden: [8], activation: tanh}
loss: {kind: binary_crossentropy, from_logits: true}
metrics: [accuracy]
optimizer: {kind: adam, learning_rate: 0.01}
schedule: {steps: 61, batch_size: 20, order: shuffled, learning_rate_factor: {kind: cosine, warmup: 5}}
"""


def final(rows):
    state = rows["state"]
    return [leaf.numpy() for leaf in tf.nest.flatten((state.step, state.parameters, state.optimizer, state.epoch_loss))]


def assert_same_bits(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def graph(shared_lab):
    """The network as a graph, built and traced once for all tests that only run it."""
    return shared_lab.build(NETWORK, ["compile=graph"])


@pytest.fixture(scope="module")
def xla(shared_lab):
    """The network under XLA."""
    return shared_lab.build(NETWORK, ["compile=xla"])


@pytest.mark.parametrize("compile", ["graph", "xla"])
def test_rows_and_chunks_change_no_bit_and_trace_once(request, lab, chunks_of, compile):
    built = request.getfixturevalue(compile)
    whole = None
    for every in ("auto", (0,), 1, 7):
        rows = dataclasses.replace(built.rows, every=every)
        for steps in (1000, 1, 9) if every == "auto" else (1000,):
            chunks_of(steps)
            columns = lab.rows(built, rows=rows)
            whole = whole or columns
            assert_same_bits(final(columns), final(whole))
            if every == "auto":
                for name in whole.keys() - {"state", "reason"}:
                    np.testing.assert_array_equal(columns[name], whole[name], err_msg=name)
    assert built.program.num_traces == 1


IMAGES = """
seed: 2
data: {kind: npz, path: images.npz, inputs: [x], target: y}
model: {kind: layers, layers: [{kind: conv2d, filters: 2, kernel_size: 3}, flatten, {kind: dense, units: 3}]}
loss: {kind: sparse_categorical_crossentropy, from_logits: true}
metrics: [accuracy]
optimizer: {kind: adam, learning_rate: 0.01}
schedule: {steps: 23, batch_size: 8, order: ORDER}
record: {every: 2}
"""


@pytest.mark.parametrize(("compile", "order"), [("xla", "shuffled"), ("graph", "sequential")])
def test_convolutions_are_compiled_once(lab, chunks_of, compile, order):
    """20 examples in batches of 8: the last batch of an epoch is smaller, and has a program of its own."""
    draw = np.random.default_rng(1)
    np.savez(lab.folder / "images.npz", x=draw.normal(size=(20, 6, 6, 1)).astype("f"), y=draw.integers(0, 3, 20))
    built = lab.build(IMAGES.replace("ORDER", order), [f"compile={compile}"])
    ends = []
    for steps in (1000, 5):
        chunks_of(steps)
        rows = lab.rows(built)
        ends.append([*final(rows), rows["loss"]])
    # As a graph all is one loop; else the update (rows are taken from it) for both sizes of a batch, and the metrics.
    assert built.program.num_traces == (1 if compile == "graph" else 3)
    assert_same_bits(*ends)


@pytest.fixture(scope="module")
def full_rows(shared_lab):
    """Rows with all that they can hold, under XLA."""
    more = [
        "compile=xla",
        "record.every=1",
        "record.parameters=true",
        "record.gradients=true",
        "record.norms=true",
        "record.formulas={n: norm(prediction)}",
        "record.after={m: mean(prediction)}",
        "metrics=[accuracy, mse]",
    ]
    return shared_lab.rows(shared_lab.build(NETWORK, more))


def test_what_a_row_holds_changes_no_bit_of_what_is_trained(lab, xla, full_rows):
    few = lab.rows(xla, rows=dataclasses.replace(xla.rows, every=(0,)))
    assert len(few) < len(full_rows)
    assert_same_bits(final(few), final(full_rows))


def test_norms_are_those_of_the_recorded_gradients_and_weights_of_each_layer(full_rows):
    rows = full_rows
    layers = [name.removeprefix("gradient_norms.") for name in rows if name.startswith("gradient_norms.")]
    assert len(layers) > 1
    for kind, prefix in (("gradient_norms.", "gradients."), ("weight_norms.", "parameters.")):
        for layer in layers:
            parts = [rows[name] for name in rows if name.startswith(f"{prefix}{layer}.")]
            assert len(parts) == 2
            squares = sum((part.astype(np.float64) ** 2).sum(axis=tuple(range(1, part.ndim))) for part in parts)
            np.testing.assert_allclose(rows[kind + layer], np.sqrt(squares), rtol=1e-5)
    squares = sum(rows[f"gradient_norms.{layer}"].astype(np.float64) ** 2 for layer in layers)
    np.testing.assert_allclose(rows["gradient_norm"], np.sqrt(squares), rtol=1e-5)


def test_chunks_change_no_bit_of_rows_that_look_back(lab, chunks_of):
    built = lab.build(EPOCHS)
    chunks_of(1000)
    whole = lab.rows(built)
    for steps in (1, 3):
        chunks_of(steps)
        pieces = lab.rows(built)
        for name in whole.keys() - {"state", "reason"}:
            np.testing.assert_array_equal(pieces[name], whole[name], err_msg=name)


def test_a_chunk_holds_as_many_events_as_its_buffer(lab, graph):
    small = Program(
        graph.step, graph.program.feed, assess=graph.program.assess, compile="graph", capacity=8, joint=True
    )
    small.prepare(graph.state, graph.setting, graph.data, graph.windows.at(0))
    reports = lab.reports(graph, program=small)
    assert max(len(report.records["step"]) for report in reports) == 8
    losses = np.concatenate([report.records["loss"] for report in reports])
    np.testing.assert_array_equal(losses, lab.rows(graph)["loss"])


QUADRATIC = """
precision: float64
compile: COMPILE
model: {kind: formula, formula: (w - 1)**2, parameters: {w: 3}}
optimizer: {kind: sgd, learning_rate: 0.125}
schedule: {steps: 4}
record: {every: 1}
"""


@pytest.mark.parametrize("compile", ["xla", "graph", "eager"])
def test_row_k_is_the_state_after_k_updates_and_what_update_k_plus_1_sees(lab, compile):
    rows = lab.rows(lab.build(QUADRATIC.replace("COMPILE", compile)))
    w = 1 + 2 * 0.75 ** np.arange(5)  # w - 1 shrinks by 1 - 2 * 0.125, exactly
    np.testing.assert_array_equal(rows["step"], range(5))
    np.testing.assert_array_equal(rows["parameters.w"], w)
    np.testing.assert_array_equal(rows["loss"], (w - 1) ** 2)
    np.testing.assert_array_equal(rows["gradient_norm"], 2 * (w - 1))
    np.testing.assert_array_equal(rows["learning_rate"], [0.125] * 5)
    np.testing.assert_array_equal(rows["loss_before"][1:], rows["loss"][:-1])


def test_no_steps_leave_the_start(lab):
    rows = lab.rows(lab.build(QUADRATIC.replace("COMPILE", "graph"), ["steps=0"]))
    assert rows["step"].tolist() == [0]
    assert rows["loss"].tolist() == [4]
    assert rows["state"].parameters[0].numpy() == 3


EPOCHS = """
precision: float64
compile: graph
data: {kind: values, inputs: {x: [1, 2, 3, 4, 5]}, target: [2, 1, 4, 3, 6], validation: {last: 1}}
model: {kind: formula, formula: w*x, parameters: {w: 0}}
loss: mse
metrics: [mae]
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {epochs: 3, batch_size: 3, order: sequential}
record: {every: 1, after: {r: mean(target - prediction)}, formulas: {s: sum(x) * w}}
"""


def test_an_epoch_is_weighed_by_examples_and_after_looks_back_at_the_batch(lab):
    rows = lab.rows(lab.build(EPOCHS))
    x, y, rate = np.asarray([1.0, 2, 3, 4]), np.asarray([2.0, 1, 4, 3]), 0.01
    w, seen = 0.0, []
    for step in range(7):
        batch = slice(0, 3) if step % 2 == 0 else slice(3, 4)
        loss = np.mean((w * x[batch] - y[batch]) ** 2)
        np.testing.assert_allclose(rows["loss"][step], loss, rtol=1e-14)
        np.testing.assert_allclose(rows["s"][step], x[batch].sum() * w, rtol=1e-14)
        if step:
            last = slice(0, 3) if step % 2 == 1 else slice(3, 4)
            np.testing.assert_allclose(rows["r"][step], np.mean(y[last] - w * x[last]), rtol=1e-13)
        if step and step % 2 == 0:
            expected = (3 * seen[-2] + 1 * seen[-1]) / 4
            np.testing.assert_allclose(rows["loss_epoch"][step], expected, rtol=1e-14)
            np.testing.assert_allclose(rows["mae"][step], np.mean(np.abs(y - w * x)), rtol=1e-14)
            np.testing.assert_allclose(rows["validation_loss"][step], (5 * w - 6) ** 2, rtol=1e-14)
            np.testing.assert_allclose(rows["validation_mae"][step], np.abs(5 * w - 6), rtol=1e-14)
        seen.append(loss)
        w -= rate * np.mean(2 * (w * x[batch] - y[batch]) * x[batch])


def test_looping_on_the_host_changes_no_bit_of_a_graph(lab, graph):
    program = Program(graph.step, graph.program.feed, assess=graph.program.assess, compile="graph", host_loop=True)
    program.prepare(graph.state, graph.setting, graph.data, graph.windows.at(0))
    assert_same_bits(final(lab.rows(graph)), final(lab.rows(graph, program=program)))


def test_rows_from_updates_are_those_that_are_evaluated_anew(lab, chunks_of, graph):
    assert graph.program._joint
    anew = Program(graph.step, graph.program.feed, assess=graph.program.assess, compile="graph")
    anew.prepare(graph.state, graph.setting, graph.data, graph.windows.at(0))
    chunks_of(4)
    rows = dataclasses.replace(graph.rows, every=3)
    joint, separate = lab.rows(graph, rows=rows), lab.rows(graph, program=anew, rows=rows)
    assert_same_bits(final(joint), final(separate))
    for name in separate.keys() - {"state", "reason"}:
        np.testing.assert_array_equal(joint[name], separate[name], err_msg=name)


def test_a_chunk_of_a_graph_begins_with_the_update_that_gave_the_last_row(lab, chunks_of):
    built = lab.build(NETWORK, ["compile=graph", "steps=12"])
    chunks_of(4)
    begun, run = [], built.program._chunk
    built.program._chunk = lambda state, *rest: begun.append(int(state.step)) or run(state, *rest)
    assert lab.rows(built)["step"].tolist() == list(range(13))
    assert begun == [0, 5, 9]


def test_rows_change_no_bit_where_xla_takes_them_from_updates(lab, chunks_of):
    built = lab.build(NETWORK, ["compile=xla", "model.hidden=[64]", "steps=11"])
    assert built.program._joint
    ends = []
    for every, steps in ((1, 4), ((0,), 1000)):
        chunks_of(steps)
        ends.append(final(lab.rows(built, rows=dataclasses.replace(built.rows, every=every))))
    assert_same_bits(*ends)


def test_another_seed_is_another_trajectory(lab, graph):
    one, other = (lab.rows(built, program=graph.program) for built in (graph, lab.build(NETWORK, ["seed=3"])))
    assert one["loss"][0] != other["loss"][0]
    assert one["loss"][-1] != other["loss"][-1]


def test_active_lanes_share_a_step():
    state = dataclasses.make_dataclass("State", ["step"])
    assert shared_step(state(tf.constant(4, tf.int64))) == 4
    assert shared_step(state(tf.constant([2, 4, 3], tf.int64))) == 4


def test_chunks_take_the_time_that_they_should_once_one_was_measured():
    pace = Pace(seconds_per_step=1e-6)
    sizes = []
    for _ in range(8):
        steps = pace.next_steps()
        pace.took(steps, 1, 1.0 + steps * 1e-6 if not sizes else steps * 1e-6)
        sizes.append(steps)
    assert sizes[:3] == [256, 256, 250000]
    np.testing.assert_allclose(sizes[2:], CHUNK_SECONDS / 1e-6, rtol=1e-3)


@pytest.mark.parametrize("guess", [1e-3, 1.5])
@pytest.mark.parametrize("every", [1, 7, 1000])
def test_slow_observations_do_not_shorten_chunks_for_long(every, guess):
    """A step takes a millisecond and an observation a second: a chunk ends at a row, or has a second of steps."""
    rows, pace, step, lengths = Rows(every, 10_000), Pace(guess), 0, []
    while step < 10_000:
        events = rows.events(step, min(step + pace.next_steps(), 10_000))[: pace.next_events()]
        lengths.append(int(events[-1]) - step)
        pace.took(lengths[-1], len(events), 1e-3 * lengths[-1] + 1.0 * len(events))
        step = int(events[-1])
    assert all(length == every or length >= 500 for length in lengths[10:-1])


def test_windows_follow_one_another_with_their_orders_and_factors(lab, graph, monkeypatch):
    """Windows so small that a run needs many of them give what one window gives."""
    monkeypatch.setattr("gdrun.engine.drive._WINDOW_ENTRIES", 1)
    monkeypatch.setattr("gdrun.engine.drive._WINDOW_FACTORS", 4)
    small = Windows(graph.windows.feed, graph.windows.factors, graph.total_steps)
    assert (small.num_epochs, small.num_factors) == (2, 4)
    assert graph.windows.num_epochs > 20
    whole, pieces = lab.rows(graph), lab.rows(graph, windows=small)
    for name in ("step", "loss", "learning_rate", "gradient_norm"):
        np.testing.assert_array_equal(pieces[name], whole[name], err_msg=name)


def test_windows_without_factors_follow_one_another_with_their_orders(lab, monkeypatch):
    built = lab.build(EPOCHS, ["schedule.order=shuffled", "schedule.epochs=8"])
    whole = lab.rows(built)
    monkeypatch.setattr("gdrun.engine.drive._WINDOW_ENTRIES", 1)
    small = Windows(built.windows.feed, None, built.total_steps)
    assert (small.num_epochs, built.windows.num_epochs) == (2, 10)
    np.testing.assert_array_equal(lab.rows(built, windows=small)["loss"], whole["loss"])


def test_a_factor_reaches_the_optimizer(lab):
    text = QUADRATIC.replace("COMPILE", "graph")
    factor = "schedule.learning_rate_factor={kind: piecewise, boundaries: [0, 2], factors: [1, 0.5, 2]}"
    rows = lab.rows(lab.build(text, [factor]))
    rates = 0.125 * np.asarray([1, 0.5, 0.5, 2, 2])
    np.testing.assert_array_equal(rows["learning_rate"], rates)
    w = 1 + 2 * np.cumprod(np.concatenate([[1], 1 - 2 * rates[:-1]]))
    np.testing.assert_allclose(rows["parameters.w"], w, rtol=1e-15)
