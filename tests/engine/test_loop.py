"""The compiled loop: what is recorded and how it is cut into chunks changes no bit, and it is traced once."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from gdrun.engine.drive import CHUNK_SECONDS, Pace, Windows
from gdrun.engine.loop import Program, shared_step

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


@pytest.mark.parametrize("compile", ["graph", "xla"])
def test_rows_and_chunks_change_no_bit(lab, chunks_of, compile):
    built = lab.build(NETWORK, [f"compile={compile}"])
    expected = None
    for every in ("auto", (0,), 1, 7):
        rows = dataclasses.replace(built.rows, every=every)
        for steps in (1000, 1, 9) if every == "auto" else (1000,):
            chunks_of(steps)
            end = final(lab.rows(built, rows=rows))
            expected = expected or end
            assert_same_bits(end, expected)
    assert built.program.num_traces == (1 if compile != "eager" else 0)


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


def test_what_a_row_holds_changes_no_bit_of_what_is_trained(lab):
    more = [
        "record.every=1",
        "record.parameters=true",
        "record.gradients=true",
        "record.norms=true",
        "record.formulas={n: norm(prediction)}",
        "record.after={m: mean(prediction)}",
        "metrics=[accuracy, mse]",
    ]
    few = lab.rows(lab.build(NETWORK, ["compile=xla", "record.every=[0]", "record.parameters=false"]))
    assert_same_bits(final(few), final(lab.rows(lab.build(NETWORK, ["compile=xla", *more]))))


def test_norms_are_those_of_the_recorded_gradients_and_weights_of_each_layer(lab):
    rows = lab.rows(lab.build(NETWORK, ["record={every: 1, parameters: true, gradients: true, norms: true}"]))
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


def test_chunks_change_no_bit_of_any_row(lab, chunks_of):
    built = lab.build(NETWORK, ["compile=graph", "record.every=3", "record.after={m: mean(prediction)}"])
    chunks_of(1000)
    whole = lab.rows(built)
    for steps in (1, 5, 12):
        chunks_of(steps)
        pieces = lab.rows(built)
        for name in whole.keys() - {"state", "reason"}:
            np.testing.assert_array_equal(pieces[name], whole[name], err_msg=name)


def test_a_chunk_holds_as_many_events_as_its_buffer(lab):
    built = lab.build(NETWORK, ["compile=graph", "record.every=1", "steps=30"])
    whole = lab.rows(built)
    built.program.capacity = 8
    reports = lab.reports(built)
    assert max(len(report.records["step"]) for report in reports) == 8
    np.testing.assert_array_equal(np.concatenate([report.records["loss"] for report in reports]), whole["loss"])


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


def test_a_second_run_has_the_same_bits_and_is_not_traced_again(lab):
    built = lab.build(NETWORK, ["compile=xla", "record.every=5"])
    first, second = lab.rows(built), lab.rows(built)
    assert built.program.num_traces == 1
    assert_same_bits(final(first), final(second))
    np.testing.assert_array_equal(first["loss"], second["loss"])


def test_looping_on_the_host_changes_no_bit_of_a_graph(lab):
    built = lab.build(NETWORK, ["compile=graph", "steps=11"])
    step = built.step
    program = Program(step, built.program.feed, assess=built.program.assess, compile="graph", host_loop=True)
    program.prepare(built.state, built.setting, built.data, built.windows.at(0))
    assert_same_bits(final(lab.rows(built)), final(lab.rows(built, program=program)))


def test_rows_from_updates_are_those_that_are_evaluated_anew(lab, chunks_of):
    built = lab.build(NETWORK, ["compile=graph", "steps=11", "record.every=3"])
    anew = Program(built.step, built.program.feed, assess=built.program.assess, compile="graph")
    anew.prepare(built.state, built.setting, built.data, built.windows.at(0))
    chunks_of(4)
    joint, separate = lab.rows(built), lab.rows(built, program=anew)
    assert_same_bits(final(joint), final(separate))
    for name in separate.keys() - {"state", "reason"}:
        np.testing.assert_array_equal(joint[name], separate[name], err_msg=name)


def test_rows_change_no_bit_where_xla_takes_them_from_updates(lab, chunks_of):
    built = lab.build(NETWORK, ["compile=xla", "model.hidden=[64, 64]", "steps=11"])
    assert built.program._joint
    ends = []
    for every, steps in ((1, 4), ((0,), 1000)):
        chunks_of(steps)
        ends.append(final(lab.rows(built, rows=dataclasses.replace(built.rows, every=every))))
    assert_same_bits(*ends)


def test_another_seed_is_another_trajectory(lab):
    one, other = (lab.rows(lab.build(NETWORK, ["compile=graph", "steps=9", f"seed={seed}"])) for seed in (2, 3))
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
        pace.took(steps, 1.0 + steps * 1e-6 if not sizes else steps * 1e-6)
        sizes.append(steps)
    assert sizes == [256, 256, *[250000] * 6]
    assert sizes[-1] * 1e-6 == CHUNK_SECONDS


@pytest.mark.parametrize("schedule", ["{kind: exponential, rate: 0.99, every: 1}", "null"])
def test_windows_follow_one_another_with_their_orders_and_factors(lab, monkeypatch, schedule):
    """Windows so small that a run needs many of them give what one window gives."""
    text = ["compile=graph", "record.every=1", f"schedule.learning_rate_factor={schedule}", "steps=25"]
    built = lab.build(NETWORK, text)
    whole = lab.rows(built)
    monkeypatch.setattr("gdrun.engine.drive._WINDOW_ENTRIES", 1)
    monkeypatch.setattr("gdrun.engine.drive._WINDOW_FACTORS", 4)
    small = Windows(built.windows.feed, built.windows.factors, built.total_steps)
    assert small.num_epochs == 2
    pieces = lab.rows(built, windows=small)
    for name in ("step", "loss", "learning_rate", "gradient_norm"):
        np.testing.assert_array_equal(pieces[name], whole[name], err_msg=name)


def test_a_factor_reaches_the_optimizer(lab):
    text = QUADRATIC.replace("COMPILE", "graph")
    factor = "schedule.learning_rate_factor={kind: piecewise, boundaries: [0, 2], factors: [1, 0.5, 2]}"
    rows = lab.rows(lab.build(text, [factor]))
    rates = 0.125 * np.asarray([1, 0.5, 0.5, 2, 2])
    np.testing.assert_array_equal(rows["learning_rate"], rates)
    w = 1 + 2 * np.cumprod(np.concatenate([[1], 1 - 2 * rates[:-1]]))
    np.testing.assert_allclose(rows["parameters.w"], w, rtol=1e-15)
