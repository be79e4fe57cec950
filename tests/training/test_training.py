"""From a config to a run directory."""

import gc
import json
import math
import os
import signal
import threading
import tracemalloc

import keras
import numpy as np
import pytest
import tensorflow as tf

from gdrun.engine.device import configure
from gdrun.rundir.run_info import Status
from gdrun.training.listener import Listener, plan_of
from gdrun.training.prepare import SMOKE_STEPS, prepare
from gdrun.training.train import execute, train

LINE = """
name: line
description: a line through ten points
seed: 4
precision: float64
compile: graph
data: {kind: formula, inputs: {x: "linspace(-1, 2, 10)"}, target: 3*x + 2, noise: "normal(0, 0.1)", validation: 0.2}
model: {kind: formula, formula: w*x + b, parameters: {w: 0, b: 0}}
metrics: [mae]
optimizer: {kind: adam, learning_rate: 0.1}
schedule: {epochs: 4, batch_size: 3}
"""


def rows_of(run):
    return [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]


class Notes(Listener):
    """Writes down what it hears."""

    def __init__(self):
        self.calls = []

    def planned(self, plan):
        self.calls.append(("planned", plan))
        assert plan.directory.is_dir()

    def progress(self, progress):
        self.calls.append(("progress", progress))

    def warned(self, message):
        self.calls.append(("warned", message))

    def finished(self, run):
        self.calls.append(("finished", run))


@pytest.fixture(scope="module")
def prepared(shared_lab):
    return shared_lab.prepare(LINE)


@pytest.fixture(scope="module")
def listened(prepared, shared_lab):
    """(the run of the line, what its listener heard)."""
    notes = Notes()
    return execute(prepared, runs_dir=shared_lab.folder / "listened", command=["test"], listener=notes), notes


def test_a_run_leaves_a_directory_that_says_what_happened(listened):
    run, _ = listened
    record = run.info
    assert run.status is Status.COMPLETED
    assert (record.stopped_by, record.why, record.steps, record.epochs) == (
        "epochs",
        "the schedule's end, 4 epochs",
        12,
        4,
    )
    assert (record.precision, record.compile, record.seeds) == ("float64", "graph", {"seed": 4})
    assert record.command == ("test",)
    assert record.final.keys() == {
        "loss", "mae", "validation_loss", "validation_mae", "gradient_norm", "learning_rate"
    }  # fmt: skip
    rows = rows_of(run)
    assert [row["step"] for row in rows] == list(range(13))
    assert [row["epoch"] for row in rows] == [step // 3 for step in range(13)]
    assert list(rows[0]) == [
        "step", "epoch", "loss", "gradient_norm", "learning_rate", "parameters.w", "parameters.b",
        "mae", "validation_loss", "validation_mae",
    ]  # fmt: skip
    for row in rows[1:]:
        ends_epoch = row["step"] % 3 == 0
        assert "loss_before" in row
        assert ("loss_epoch" in row, "mae" in row, "validation_loss" in row) == (ends_epoch,) * 3
    assert rows[-1]["validation_loss"] == record.final["validation_loss"]
    assert rows[-1]["parameters.w"] == run.parameters["w"]
    assert (run.directory.parent / "latest").resolve() == run.directory.resolve()


def test_the_summarys_loss_is_over_the_whole_training_set_at_the_final_parameters(listened, prepared):
    run, _ = listened
    x, y = prepared.built.data.inputs["x"].numpy(), prepared.built.data.target.numpy()
    assert len(x) == 8
    loss = np.mean((run.parameters["w"] * x + run.parameters["b"] - y) ** 2)
    np.testing.assert_allclose(run.info.final["loss"], loss, rtol=1e-14)
    assert abs(rows_of(run)[-1]["loss"] - loss) > 1e-3


def test_the_runs_own_config_runs_again_with_the_same_bits(lab, tmp_path):
    (lab.folder / "data.csv").write_text("a,b,y\n" + "".join(f"{i},{i * i % 7},{3 * i}\n" for i in range(20)))
    changes = [
        "data={kind: csv, path: data.csv, inputs: [a, b], target: y, scale: standardize}",
        "schedule.batch_size=8",
        "data.validation={share: 0.2, shuffle: true}",
        "model={kind: mlp, hidden: [3]}",
        "precision=float32",
        "record.parameters=true",
    ]
    first = lab.train(LINE, changes)
    again = train(first.directory, runs_dir=tmp_path / "elsewhere")
    for name in ("metrics.jsonl", "parameters.npz", "config.yaml"):
        assert (first.directory / name).read_bytes() == (again.directory / name).read_bytes(), name
    assert again.directory.parent == tmp_path / "elsewhere"
    assert list(first.info.data.values()) == list(again.info.data.values())


def test_what_was_prepared_can_be_executed_again(listened, prepared, lab):
    first, again = listened[0], execute(prepared, runs_dir=lab.runs)
    assert first.directory != again.directory
    assert (first.directory / "metrics.jsonl").read_bytes() == (again.directory / "metrics.jsonl").read_bytes()
    assert prepared.built.program.num_traces == 1


def test_what_was_written_is_kept_beside_what_it_came_to(lab):
    run = lab.train(LINE, ["epochs=1", "lr=0.5"])
    assert (run.directory / "source" / "case.yaml").read_text() == LINE
    assert (run.directory / "source" / "overrides.txt").read_text() == "epochs=1\nlr=0.5\n"
    assert "learning_rate: 0.5" in run.config


def test_a_listener_hears_the_plan_then_progress_then_the_run(listened):
    run, notes = listened
    kinds = [kind for kind, _ in notes.calls]
    assert kinds == ["planned"] + ["progress"] * (len(kinds) - 2) + ["finished"]
    planned = notes.calls[0][1]
    assert (planned.name, planned.description) == ("line", "a line through ten points")
    assert (planned.total_steps, planned.steps_per_epoch, planned.num_parameters) == (12, 3, 2)
    assert planned.parameter_names == ("w", "b")
    assert (planned.device, planned.compile, planned.precision) == ("cpu", "graph", "float64")
    assert planned.directory == run.directory
    last = notes.calls[-2][1]
    assert (last.step, last.epoch) == (12, 4)
    assert last.loss == rows_of(run)[-1]["loss"]
    assert last.parameters == {"w": run.parameters["w"], "b": run.parameters["b"]}
    assert last.seconds > 0


def test_a_plan_can_be_had_without_a_run(lab):
    planned = plan_of(lab.prepare(LINE), None)
    assert (planned.directory, planned.total_steps) == (None, 12)
    assert not lab.runs.exists()


def test_what_xla_cannot_compile_runs_as_a_graph_and_says_so(lab):
    notes = Notes()
    run = lab.train(LINE, ["compile=xla", "epochs=1", 'record.formulas={d: "det([[w, 1], [b, 2]])"}'], listener=notes)
    warnings = [message for kind, message in notes.calls if kind == "warned"]
    assert run.info.compile == "graph"
    assert len(warnings) == 1
    assert "det" in warnings[0]
    assert list(run.info.warnings) == warnings
    assert "det" in (run.directory / "log.txt").read_text()


def test_a_gradient_by_hand_that_xla_cannot_compile_runs_as_a_graph(lab):
    gradient = "2 * mean((prediction - target) * x) + 0 * det([[w, 1], [b, 2]])"
    text = LINE.replace("compile: graph", "compile: xla") + f'gradients: {{use: true, of: {{w: "{gradient}"}}}}\n'
    built = lab.prepare(text).built
    assert built.compile == "graph"
    assert any("det cannot be compiled by XLA" in warning for warning in built.warnings)


DIVERGING = """
compile: graph
model: {kind: formula, formula: (w - 1)**2, parameters: {w: 3}}
optimizer: {kind: sgd, learning_rate: 3}
schedule: {steps: 1000}
record: {every: [0]}
"""


@pytest.mark.parametrize("compile", ["graph", "xla"])
def test_a_diverged_run_says_where_and_keeps_the_last_finite_parameters(lab, compile):
    w, step = np.float32(3), 0
    with np.errstate(over="ignore"):
        while np.isfinite((w - np.float32(1)) ** 2):
            w, step = w - np.float32(6) * (w - np.float32(1)), step + 1
    run = lab.train(DIVERGING, [f"compile={compile}"])
    assert run.status is Status.DIVERGED
    assert run.info.stopped_by == "non_finite"
    assert run.info.diverged == {"step": step, "quantity": "loss"}
    assert run.info.steps == step
    assert f"the loss became inf at step {step} (learning rate 3)" in run.info.why
    assert run.info.final["loss"] == "inf"
    np.testing.assert_allclose(run.parameters["w"], w, rtol=1e-6)
    assert [row["step"] for row in rows_of(run)] == [0, step]
    assert rows_of(run)[-1]["loss"] == "inf"


def test_non_finite_false_runs_to_the_end_and_has_diverged(lab):
    run = lab.train(DIVERGING, ["steps=300", "schedule.stop.non_finite=false"])
    assert (run.status, run.info.steps) == (Status.DIVERGED, 300)
    assert "non_finite is false" in run.info.why


def test_a_rule_that_fires_is_named_with_its_numbers(lab):
    run = lab.train(DIVERGING, ["lr=0.25", "schedule.stop.loss_below=0.3"])
    # w - 1 = 2 / 2**k; the loss 4 / 4**k is below 0.3 at k = 2.
    assert (run.status, run.info.stopped_by, run.info.steps) == (Status.STOPPED, "loss_below", 2)
    assert run.info.why == "the loss 0.25 is below 0.3 at step 2"
    assert run.parameters["w"] == 1.5


def test_an_end_that_no_rule_brought_says_so(lab):
    run = lab.train(DIVERGING, ["lr=0.25", "steps=2", "schedule.stop={loss_below: 1e-9, parameters_unchanged: true}"])
    assert run.status is Status.COMPLETED
    assert run.info.why.endswith("2 steps; no stop rule fired before: loss_below 1e-09, parameters_unchanged")
    assert lab.train(DIVERGING, ["lr=0.25", "steps=2"]).info.why == "the schedule's end, 2 steps"


ONLY_BY_XLA = """
model: {kind: formula, formula: c * k / x, parameters: {k: 1, c: 1e-30, x: 1e-25}}
optimizer: {kind: sgd, learning_rate: 0}
schedule: {steps: 3}
"""


def test_a_divergence_that_only_xla_makes_names_the_mend(lab):
    """The gradient by x is -1e20; XLA seems to form x * x, which is 0 in float32."""
    run = lab.train(ONLY_BY_XLA, ["compile=xla"])
    assert run.status is Status.DIVERGED
    assert "without XLA it is finite there: compile=graph" in run.info.why
    assert lab.train(ONLY_BY_XLA, ["compile=graph"]).status is Status.COMPLETED
    assert "without XLA" not in lab.train(DIVERGING, ["compile=xla"]).info.why


OVERFLOWING = """
compile: graph
model: {kind: formula, formula: 100 - k + 0 * exp(k), parameters: {k: 80}}
optimizer: {kind: sgd, learning_rate: 1}
schedule: {steps: 12}
"""


def test_a_divergence_that_only_float32_makes_names_the_mend(lab):
    """exp(89) is beyond float32, and 0 * inf is nan: k grows by 1 a step, the loss is 100 - k."""
    run = lab.train(OVERFLOWING)
    assert run.info.diverged == {"step": 9, "quantity": "loss"}
    assert "in float64 the loss there is 11, with a finite gradient: precision=float64" in run.info.why
    assert lab.train(OVERFLOWING, ["precision=float64"]).info.final["loss"] == pytest.approx(100 - 92, rel=1e-12)
    assert "the loss there is 100, with" in lab.train(OVERFLOWING, ["model.formula=log(exp(k) + 1)", "k=100"]).info.why
    assert "float64" not in lab.train(DIVERGING, ["compile=graph", "precision=float32"]).info.why


def test_seconds_stop_between_chunks(lab):
    run = lab.train(DIVERGING, ["lr=1e-3", "steps=100000000", "schedule.stop.seconds=0.5", "compile=xla"])
    assert (run.status, run.info.stopped_by) == (Status.STOPPED, "seconds")
    assert 0 < run.info.steps < 100_000_000
    assert run.info.why == f"0.5 seconds were over at step {run.info.steps}"
    assert rows_of(run)[-1]["step"] == run.info.steps


class Interrupting(Listener):
    """Sends a signal once training has begun, as a terminal or a batch system does."""

    def __init__(self, number, after=2):
        self.number, self.after = number, after

    def progress(self, progress):
        self.after -= 1
        if self.after == 0:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_well(lab, number):
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    run = lab.train(DIVERGING, ["lr=1e-9", "steps=100000000", "record.every=1000"], listener=Interrupting(number))
    assert {name: signal.getsignal(name) for name in before} == before
    assert run.status is Status.INTERRUPTED
    assert (run.info.stopped_by, run.info.why) == ("signal", f"{number.name} at step {run.info.steps}")
    assert run.info.signal == number
    rows = rows_of(run)
    assert rows[-1]["step"] == run.info.steps > 0
    assert rows[-1]["parameters.w"] == run.parameters["w"]
    assert math.isfinite(run.info.final["loss"])


def test_in_another_thread_signals_are_left_alone(prepared, lab):
    runs = []
    thread = threading.Thread(target=lambda: runs.append(execute(prepared, runs_dir=lab.runs)))
    thread.start()
    thread.join()
    assert runs[0].status is Status.COMPLETED


PATIENT = """
precision: float64
compile: graph
data: {kind: values, inputs: {x: [1, 2, 3, 4]}, target: [2, 4, 6, 9], validation: {last: 1}}
model: {kind: formula, formula: w*x, parameters: {w: 4}}
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {epochs: 50, stop: {patience: {epochs: 3, metric: validation_loss, restore_best: RESTORE}}}
"""


@pytest.mark.parametrize("restore", ["true", "false"])
def test_patience_ends_with_the_best_parameters_if_it_is_to_restore_them(lab, restore):
    """w falls from 4 towards 2; the validation example wants 2.25."""
    x, y, rate = np.asarray([1.0, 2, 3]), np.asarray([2.0, 4, 6]), 0.01
    w = [4.0]
    for _ in range(50):
        w.append(w[-1] - rate * np.mean(2 * (w[-1] * x - y) * x))
    losses = (4 * np.asarray(w) - 9) ** 2
    best = int(np.argmin(losses))
    run = lab.train(PATIENT.replace("RESTORE", restore))
    assert (run.info.stopped_by, run.info.steps) == ("patience", best + 3)
    assert run.info.best == {
        "metric": "validation_loss",
        "step": best,
        "value": pytest.approx(losses[best], rel=1e-12),
    }
    end = best if restore == "true" else best + 3
    np.testing.assert_allclose(run.parameters["w"], w[end], rtol=1e-14)
    np.testing.assert_allclose(run.info.final["validation_loss"], losses[end], rtol=1e-10)
    np.testing.assert_allclose(run.info.final["loss"], np.mean((w[end] * x - y) ** 2), rtol=1e-10)
    assert (run.best is None) is (restore == "false")


def test_averages_and_accumulated_gradients_are_those_of_keras(lab):
    """use_ema ends with the average; twelve steps in groups of three; through a whole run."""
    text = """
model: {kind: formula, formula: sum((w - [1, 2])**2 * (1 + 0.1*step)), parameters: {w: [0, 0]}}
optimizer: {kind: adam, learning_rate: 0.1, use_ema: true, ema_momentum: 0.8, gradient_accumulation_steps: 3}
schedule: {steps: 14}
compile: graph
record: {every: 1}
""".replace("sum((w - [1, 2])**2 * (1 + 0.1*step))", '"sum((w - [1, 2])**2 * (1 + 0.1*step))"')
    run = lab.train(text)
    w = keras.Variable(np.zeros(2, np.float32))
    optimizer = keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.8, gradient_accumulation_steps=3)
    optimizer.build([w])
    for step in range(14):
        np.testing.assert_array_equal(np.float32(rows_of(run)[step]["parameters.w"]), w.numpy())
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((w.value - [1.0, 2.0]) ** 2 * (1 + 0.1 * np.float32(step)))
        optimizer.apply_gradients([(tape.gradient(loss, w.value), w)])
    optimizer.finalize_variable_values([w])
    np.testing.assert_array_equal(run.parameters["w"], w.numpy())
    final = np.sum((w.numpy() - [1, 2]) ** 2 * 2.4)
    np.testing.assert_allclose(run.info.final["loss"], final, rtol=1e-5)


def test_parameters_are_saved_in_their_own_domain(lab):
    text = DIVERGING.replace("{w: 3}", "{w: {value: 3, transform: exp}, c: {value: 7, trainable: false}}")
    run = lab.train(text.replace("(w - 1)**2", "(w - 1)**2 + c"), ["steps=0"])
    np.testing.assert_allclose(run.parameters["w"], 3, rtol=1e-6)
    assert run.parameters["c"] == 7
    assert run.parameters["c"].dtype == np.float32


def test_a_smoke_run_makes_the_first_steps_of_the_real_one(lab):
    changes = ["schedule.learning_rate_factor={kind: cosine, warmup: 5}", "compile=eager"]
    whole = lab.train(LINE, changes)
    smoke = execute(prepare(lab.load(LINE, changes), smoke=True), runs_dir=lab.runs)
    assert smoke.info.steps == SMOKE_STEPS
    assert "smoke" in smoke.info.why
    assert rows_of(smoke) == rows_of(whole)[: SMOKE_STEPS + 1]


def test_a_run_that_is_not_kept_lives_as_long_as_its_run(lab):
    run = lab.train(DIVERGING, ["steps=1"], keep=False)
    directory = run.directory
    assert not lab.runs.exists()
    assert run.info.steps == 1
    assert directory.exists()
    del run
    gc.collect()
    assert not directory.exists()


def test_the_host_holds_no_more_after_many_chunks(lab, monkeypatch):
    from gdrun.engine.drive import Pace

    built = lab.build(LINE, ["steps=100", "record.every=[0]"])
    monkeypatch.setattr(Pace, "next_steps", lambda self: 1)
    from gdrun.engine.drive import drive

    reports = drive(built.program, built.state, built.setting, built.data, built.rows, built.windows)
    sizes = []
    try:
        for number, _ in enumerate(reports):
            if number == 40:
                tracemalloc.start()
            if number in (50, 90):
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    # TensorFlow keeps each scalar that was ever made of a Python number: some hundred bytes a chunk.
    assert sizes[1] - sizes[0] < 40 * 500


def test_threads_that_come_too_late_are_a_missing_resource(tensorflow):
    from gdrun.errors import ResourceError

    tf.constant(1.0)
    with pytest.raises(ResourceError, match="TensorFlow has started"):
        configure(threads=3)
