"""Trials as lanes: each is the run at its settings, whatever and however many its neighbours are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from gdrun.sweeping import lanes
from gdrun.sweeping.groups import TrialGroup, group_trials
from gdrun.sweeping.lane_recorder import activation_bytes
from gdrun.sweeping.lanes import run_group
from gdrun.sweeping.plan import plan_trials
from gdrun.sweeping.results import BlockResult, Hooks
from gdrun.sweeping.run import execution_plan
from gdrun.sweeping.trials import SweepSpec
from tests.optimizers.family import KERAS
from tests.optimizers.test_optimizers_lanes import VALUES

pytestmark = pytest.mark.usefixtures("tensorflow")

LINE = """
precision: {precision}
compile: {compile}
data: {{kind: formula, inputs: {{x: "linspace(-1, 1, 50)"}}, target: 3*x + 2, noise: "normal(0, 0.1)", validation: 0.2}}
model: {{kind: formula, formula: w*x + b, parameters: {{w: 0, b: 0}}}}
metrics: [mae]
optimizer: {optimizer}
schedule: {{{schedule}}}
"""
USUAL = {
    "precision": "float64",
    "compile": "graph",
    "optimizer": "{kind: sgd, learning_rate: 0.1}",
    "schedule": "steps: 60",
}


def line(**settings: str) -> bytes:
    return LINE.format(**{**USUAL, **settings}).encode()


def blocks(spec: SweepSpec, group: TrialGroup) -> list[BlockResult]:
    return list(run_group(spec, group, Hooks()))


def one(spec: SweepSpec, group: TrialGroup) -> BlockResult:
    (block,) = blocks(spec, group)
    return block


def of(text: bytes, axes: Sequence[str]) -> tuple[SweepSpec, BlockResult]:
    """The sweep's only group, trained as lanes."""
    spec = plan_trials(text, axes)
    (group,) = group_trials(spec)
    result = one(spec, group)
    assert result.info["strategy"] == "lanes", result.info
    assert result.why == [""] * len(spec)
    return spec, result


def single(spec: SweepSpec, trial: int) -> tuple[Any, dict[str, np.ndarray]]:
    """(last report, final parameters by name) of the run at a trial's settings."""
    from gdrun.engine.drive import drive
    from gdrun.training.final import final_state
    from gdrun.training.prepare import prepare

    prepared = prepare(spec.load(trial))
    built = prepared.built
    *_, last = drive(built.program, built.state, built.setting, built.data, built.rows, built.windows)
    parameters = final_state(built.step, last.state).parameters
    return last, {name: value.numpy() for name, value in built.objective.named(parameters, built.setting).items()}


def assert_is_single(spec: SweepSpec, result: BlockResult, trials: Sequence[int], rtol: float = 1e-9) -> None:
    for trial in trials:
        place = int(np.flatnonzero(result.trials == trial)[0])
        last, parameters = single(spec, trial)
        assert result.steps[place] == last.step, trial
        assert (result.status[place] == "diverged") is last.reason.diverged
        for name, value in parameters.items():
            np.testing.assert_allclose(result.parameters[name][place], value, rtol=rtol, atol=rtol, err_msg=name)


def assert_same_bits(one: BlockResult, other: BlockResult, trials: Sequence[int]) -> None:
    """Both have the same bits for `trials`."""
    a, b = (np.flatnonzero(np.isin(result.trials, trials)) for result in (one, other))
    assert [one.status[place] for place in a] == [other.status[place] for place in b]
    np.testing.assert_array_equal(one.steps[a], other.steps[b])
    for name in one.parameters:
        np.testing.assert_array_equal(one.parameters[name][a], other.parameters[name][b], err_msg=name)
    for name in one.values:
        np.testing.assert_array_equal(one.values[name][a], other.values[name][b], err_msg=name)
    at = np.intersect1d(one.curve_steps, other.curve_steps)
    for name in one.curves:
        ours = one.curves[name][a][:, np.isin(one.curve_steps, at)]
        np.testing.assert_array_equal(ours, other.curves[name][b][:, np.isin(other.curve_steps, at)], err_msg=name)


@pytest.mark.parametrize(
    ("settings", "axes"),
    [
        ({"compile": "xla"}, ["lr=log:1e-2:30:9"]),
        ({"compile": "xla", "schedule": "epochs: 6, batch_size: 8"}, ["lr=0.05,0.2", "seed=range:0:3"]),
        ({"optimizer": "{kind: sgd, learning_rate: 0.1, momentum: 0.5}"}, ["momentum=0.1,0.5,0.9", "lr=0.05,0.1"]),
        (
            {"optimizer": "adamw"},
            ["optimizer.weight_decay=0.001,0.1", "optimizer.clipnorm=0.1,10", "optimizer.beta_1=0.8,0.9"],
        ),
        ({"optimizer": "adagrad"}, ["optimizer.initial_accumulator_value=0,0.1,1", "lr=0.05,0.1"]),
        ({"optimizer": "muon"}, ["optimizer.adam_beta_1=0.5,0.9", "optimizer.adam_lr_ratio=0.5,2"]),
        ({"optimizer": "schedule_free_adamw"}, ["optimizer.warmup_steps=5,20", "optimizer.epsilon=1e-8,0.1"]),
        ({"optimizer": "lbfgs", "schedule": "steps: 3"}, ["model.parameters.w=-1,2,40"]),
        ({}, ["data.noise=0*x,0.3*x", "model.parameters.w=-1,4"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_lane_is_the_run_at_its_settings(settings, axes):
    """To 1e-9 in float64: sums over lanes and examples may be ordered otherwise than over examples alone.

    The last one: it differs from the first, which the program is built for, in every setting.
    """
    spec, result = of(line(**settings), axes)
    assert_is_single(spec, result, [len(spec) - 1])


def test_a_line_search_is_no_program_of_lanes_under_xla_and_says_so():
    spec = plan_trials(line(optimizer="lbfgs", compile="xla", schedule="steps: 2"), ["model.parameters.w=0,1"])
    results = blocks(spec, *group_trials(spec))
    assert all("compile: graph" in str(result.info) for result in results)


@pytest.mark.parametrize("kind", KERAS)
def test_every_number_of_keras_optimizers_is_a_tensor_of_one_program(kind):
    for setting in KERAS[kind].lane_settings():
        values = ",".join(map(str, VALUES[setting]))
        (group,) = group_trials(plan_trials(line(optimizer=kind), [f"optimizer.{setting}={values}"]))
        assert group.changes == ("optimizer",), setting


def test_each_value_that_switches_a_setting_off_is_a_program_of_its_own():
    """Keras decays by 0 where weight_decay is 0, and not at all where it is null."""
    spec = plan_trials(line(optimizer="adamw"), ["optimizer.weight_decay=null,0,0.1,0.2"])
    assert [group.trials.tolist() for group in group_trials(spec)] == [[0], [1], [2, 3]]
    spec = plan_trials(line(optimizer="adamw"), ["optimizer.beta_1=0,0.9"])
    assert [group.trials.tolist() for group in group_trials(spec)] == [[0, 1]]


def test_constants_penalties_and_the_losses_settings_may_differ_between_lanes():
    text = b"""
precision: float64
compile: graph
constants: {c: 2, shift: 0.5, both: c + shift}
data: {kind: formula, inputs: {x: "linspace(-1, 1, 30)"}, target: 3*x + shift, noise: "normal(0, 0.1)"}
model: {kind: formula, formula: w*x + b*c, parameters: {w: c, b: 0}}
loss: {kind: huber, delta: 0.5, factor: 2, penalty: {l2: 0.1}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 40}
"""
    axes = ["loss.penalty.l2=0,0.1,1", "loss.delta=0.2,1", "loss.factor=1,3"]
    spec, result = of(text, axes)
    assert_is_single(spec, result, [11])
    spec, result = of(text, ["constants.c=1,2,-1", "constants.shift=0,1"])
    assert_is_single(spec, result, [5])


def test_an_update_rules_settings_may_differ_between_lanes():
    text = b"""
precision: float64
compile: graph
model: {kind: formula, formula: "(w - 1)**2", parameters: {w: 0}}
optimizer:
  kind: formula
  learning_rate: 0.1
  settings: {gamma: 0.5, start: 2}
  state: {v: start}
  update: {v: gamma*v + learning_rate*gradient, parameter: parameter - v}
schedule: {steps: 30}
"""
    spec, result = of(text, ["gamma=0,0.5,0.9", "lr=0.1,0.3"])
    assert_is_single(spec, result, [5])
    # The start of a state variable is outside the program: such trials have one each.
    assert len(group_trials(plan_trials(text, ["start=1,2"]))) == 2


def test_a_lane_has_the_same_bits_however_many_there_are():
    """Under XLA; in a graph TensorFlow's own kernels divide their work by its size.

    Of a network, test_executors.py has the same.
    """
    spec = plan_trials(line(compile="xla", schedule="steps: 30, batch_size: 10"), ["lr=log:1e-4:1:61"])
    (group,) = group_trials(spec)
    every = one(spec, group)
    for trials in ([17], list(range(40, 61))):
        assert_same_bits(one(spec, group.subset(np.asarray(trials))), every, trials)


@pytest.fixture
def shared_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run all groups of a test in the program of the first, as batches of a search: compiling is most of the time."""
    programs: list[Any] = []

    def share(spec: SweepSpec, group: TrialGroup, inputs: Any, make: Any) -> Any:
        programs.append(programs[0] if programs else make())
        return programs[-1]

    monkeypatch.setattr(lanes, "_shared_program", share)


@pytest.mark.parametrize(("kind", "clip"), [("sgd", "clipnorm: 1"), ("adam", "global_clipnorm: 1")])
def test_a_lane_that_diverges_changes_no_bit_of_its_neighbours(kind, clip, shared_program):
    """Of every kind, tests/optimizers/test_optimizers_lanes.py has the update in lanes; this is the loop around it."""
    optimizer = f"{{kind: {kind}, learning_rate: 0.1, {clip}}}"
    text = line(optimizer=optimizer, schedule="steps: 12", precision="float32")
    spec = plan_trials(text, ["lr=0.01,1e38,0.05,3e38,0.02"])
    (group,) = group_trials(spec)
    mixed = one(spec, group)
    assert [status == "diverged" for status in mixed.status] == [False, True, False, True, False]
    assert all(np.isfinite(value).all() for value in mixed.parameters.values())
    assert_same_bits(one(spec, group.subset(np.asarray([0, 2, 4]))), mixed, [0, 2, 4])


def test_what_diverged_and_when_is_what_the_single_run_says():
    spec, result = of(line(schedule="steps: 400"), ["lr=log:0.5:1e30:8"])
    assert result.status.count("diverged") >= 5
    for trial in (2, 7):
        last, _ = single(spec, trial)
        quantity = last.reason.name.split("_")[0].lower()
        assert result.diverged[trial] == quantity
        assert result.diverged_at[trial] == last.step + (quantity == "parameters")
        assert result.stopped_by[trial] == "non_finite"


def test_early_stopping_is_each_lanes_own():
    stop = "stop: {loss_below: 0.2}"
    spec, result = of(line(schedule=f"steps: 200, {stop}"), ["lr=0.01,0.1,0.3"])
    assert result.status == ["completed" if step == 200 else "stopped" for step in result.steps]
    assert len(set(result.steps.tolist())) == 3
    assert_is_single(spec, result, [1])
    patience = "stop: {patience: {epochs: 2, metric: validation_loss, restore_best: true}}"
    spec, result = of(line(schedule=f"epochs: 30, batch_size: 8, {patience}"), ["lr=0.3,0.6,0.02", "seed=0,1"])
    patient = result.stopped_by.index("patience")
    assert_is_single(spec, result, sorted({patient, 5}))


def test_lanes_that_are_done_leave_the_program_and_the_others_keep_their_bits(monkeypatch, shared_program):
    """40 of 48 lanes diverge at once; compiling is made free, so that the rest is trained on in a program of 16."""
    from gdrun.engine import drive, lane_drive

    text = line(schedule="steps: 100", compile="xla")
    spec = plan_trials(text, ["lr=" + ",".join([*(f"{k}e20" for k in range(1, 41)), "0.1", "0.2"])])
    (group,) = group_trials(spec)
    calm = one(spec, group)
    sizes: list[int] = []
    compiled = lane_drive.LaneProgram.compiled

    def counted(self: Any, feed: Any, inputs: Any, window: Any) -> Any:
        sizes.append(inputs.count)
        return compiled(self, feed, inputs, window)

    monkeypatch.setattr(lane_drive.LaneProgram, "compiled", counted)
    monkeypatch.setattr(lane_drive, "_worth", lambda saved, compile_seconds: True)
    monkeypatch.setattr(drive, "CHUNK_SECONDS", 1e-3)
    compacted = one(spec, group)
    assert sizes == [48, 16]
    assert_same_bits(compacted, calm, range(len(spec)))


def test_convolutions_and_long_loops_run_one_after_the_other_with_the_reason():
    text = b"""
precision: float64
define: {y: {start: x, repeat: 0.5*y + 1, times: 12}}
model: {kind: formula, formula: (y - 1.9)**2, parameters: {x: 3}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 20}
"""
    spec = plan_trials(text, ["lr=0.1,0.2,1e200", "x=1,2"])
    (group,) = group_trials(spec)
    result = one(spec, group)
    assert result.info["strategy"] == "one after the other"
    assert "loop" in result.info["why"]
    assert_is_single(spec, result, [1, 3])


def test_the_best_trials_rows_are_those_of_its_run():
    spec, result = of(line(schedule="epochs: 4, batch_size: 10"), ["lr=0.01,0.1,1e5"])
    best = result.best_trial
    assert best is not None
    assert best.trial == 1
    last, _ = single(spec, 1)
    np.testing.assert_allclose(best.records["loss"][-1], last.records["loss"][-1], rtol=1e-9)
    assert best.records["step"][best.is_row].tolist() == list(range(17))


def test_curves_show_each_lane_up_to_its_end():
    spec, result = of(line(schedule="steps: 300"), ["lr=0.1,1e30"])
    steps = result.curve_steps
    assert steps[0] == 0
    assert steps[-1] == 300
    assert np.isfinite(result.curves["loss"][0]).all()
    after = result.curves["loss"][1][steps > result.steps[1]]
    assert np.isnan(after).all()
    # A start that all lanes share, by a loop of numpy's own.
    from gdrun.training.prepare import prepare

    data = prepare(spec.load(0)).built.data
    np.testing.assert_allclose(result.curves["loss"][:, 0], np.mean(data.target.numpy() ** 2), rtol=1e-12)


def test_recorded_gradients_states_and_formulas_are_curves_of_each_trial(lab):
    momentum = (
        "{kind: formula, state: {v: 0}, update: {v: 0.9 * v + gradient, parameter: parameter - learning_rate * v}}"
    )
    text = line(schedule="steps: 30", optimizer=momentum.replace("formula,", "formula, learning_rate: 0.1,"))
    text += b"record: {gradients: true, state: true, formulas: {gap: prediction - target}, after: {l: loss}}\n"
    _, result = of(text, ["lr=0.05,0.1"])
    run = lab.train(text.decode(), ["lr=0.1"])
    velocity = np.zeros(len(run.metrics["step"]))
    for step, gradient in enumerate(run.metrics["gradients.w"][:-1]):
        velocity[step + 1] = 0.9 * velocity[step] + gradient
    np.testing.assert_allclose(run.metrics["state.w/v"], velocity, rtol=1e-12)
    for name in ("gradients.w", "gradients.b", "state.w/v", "state.b/v", "gap", "l"):
        np.testing.assert_allclose(result.curves[name][1], run.metrics[name], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("schedule", ["epochs: 4, batch_size: 10", "steps: 30"])
def test_curves_have_values_at_the_steps_at_which_the_runs_rows_have(schedule, lab):
    text = line(schedule=schedule)
    _, result = of(text, ["lr=0.05,0.1"])
    run = lab.train(text.decode(), ["lr=0.05"])
    assert run.metrics["step"].tolist() == result.curve_steps.tolist()
    assert {"validation_loss", "validation_mae", "mae", "loss"} <= result.curves.keys() & run.metrics.keys()
    for name in result.curves.keys() & run.metrics.keys():
        np.testing.assert_allclose(result.curves[name][0], run.metrics[name], rtol=1e-9, err_msg=name)


def test_parameters_that_alone_are_not_finite_at_the_end_are_named_as_by_the_run(lab):
    """w' = w + rate * 2 exp(-w) is beyond float32 at once, where the loss 2 exp(-w) is 0."""
    text = """
precision: float32
compile: graph
model: {kind: formula, formula: 2*exp(-w), parameters: {w: 0}}
optimizer: {kind: sgd, learning_rate: 3e+38}
schedule: {steps: 3, stop: {non_finite: false}}
"""
    _, result = of(text.encode(), ["lr=0.1,3e+38"])
    diverged = {"step": 3, "quantity": "parameters"}
    assert lab.train(text).info.diverged == diverged
    assert result.status == ["completed", "diverged"]
    assert (result.diverged_at[1], result.diverged[1]) == tuple(diverged.values())
    assert result.values["loss"][1] == 0


FACTOR = """
precision: float64
compile: graph
constants: {{a: 0.1, decay: {decay}}}
model: {{kind: formula, formula: (w - 1)**2, parameters: {{w: 0}}}}
optimizer: {{kind: sgd, learning_rate: 0.1}}
schedule: {{steps: 20, learning_rate_factor: {{kind: formula, formula: exp(-decay*step)}}}}
"""


@pytest.mark.parametrize(("decay", "axis"), [("2*a", "constants.a=0.01,0.1,1"), ("normal(0.2, 0.1)", "seed=0,1,2")])
def test_a_factors_constants_are_each_trials_own(decay, axis):
    """Also where they follow from what is swept: w' = w - 0.1 * exp(-decay * step) * 2 (w - 1), by a loop."""
    spec = plan_trials(FACTOR.format(decay=f'"{decay}"').encode(), [axis, "lr=0.1,0.2"])
    results = [block for group in group_trials(spec) for block in blocks(spec, group)]
    assert sorted(int(trial) for block in results for trial in block.trials) == list(range(6))
    for block in results:
        assert_is_single(spec, block, block.trials.tolist()[-1:])
    if decay == "2*a":
        for trial, a in enumerate((0.01, 0.1, 1)):
            (block,) = (block for block in results if 2 * trial in block.trials)
            w = 0.0
            for step in range(20):
                w -= 0.1 * np.exp(-2 * a * step) * 2 * (w - 1)
            np.testing.assert_allclose(block.parameters["w"][block.trials == 2 * trial], w, rtol=1e-9)


def test_a_constant_that_has_to_be_known_before_the_run_gives_each_trial_a_program():
    text = b"""
precision: float64
compile: graph
constants: {n: 2}
model: {kind: formula, formula: "(w - sum(linspace(0, 1, n)))**2", parameters: {w: 0}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 20}
"""
    spec = plan_trials(text, ["constants.n=2,3,5"])
    (group,) = group_trials(spec)
    results = blocks(spec, group)
    assert [int(trial) for block in results for trial in block.trials] == [0, 1, 2]
    for block in results:
        assert block.status == ["completed"]
        assert_is_single(spec, block, block.trials.tolist())


STOPPED = "{{epochs: 40, {batch}, stop: {{loss_below: {below}}}}}\nrecord: {{every: {every}}}"


@pytest.mark.parametrize(("batch", "below", "every"), [("batch_size: 7", 0.3, "12"), ("order: sequential", 1, "16")])
def test_a_lane_that_stops_between_rows_shows_its_own_last_step(batch, below, every):
    """Its examples, and no others that went on saw; the best trial's last row is that of its run."""
    schedule = STOPPED.format(batch=batch, below=below, every=every)
    text = line().replace(b"schedule: {steps: 60}", b"schedule: " + schedule.encode())
    spec, result = of(text, ["lr=0.01,0.1,0.3"])
    assert "loss_below" in result.stopped_by
    from gdrun.training.prepare import prepare

    rows = prepare(spec.load(0)).built.rows
    every_row = {0, *rows.rows(0, rows.total_steps).tolist()}
    for place, steps in enumerate(result.steps.tolist()):
        shown = result.curve_steps[np.isfinite(result.curves["loss"][place])]
        assert set(shown.tolist()) - {steps} <= every_row
        assert shown[-1] <= steps
        assert result.values["best_step"][place] <= steps
        if not batch.startswith("batch_size"):
            # The rule looked at the loss over all examples, and nothing was below before.
            assert result.values["best_step"][place] == steps
    best = result.best_trial
    last, _ = single(spec, best.trial)
    for name in ("step", "loss", "gradient_norm", "learning_rate"):
        np.testing.assert_allclose(best.records[name][-1], last.records[name][-1], rtol=1e-9, err_msg=name)


def test_lanes_are_turned_off_or_limited_where_that_is_asked_for():
    texts = {most: line() + f"sweep: {{lanes: {most}}}\n".encode() for most in ("auto", "off", 5)}
    results = {}
    for most, text in texts.items():
        spec = plan_trials(text, ["lr=lin:0.01:0.2:18"])
        (group,) = group_trials(spec)
        results[most] = blocks(spec, group)
    assert [block.info["strategy"] for block in results["off"]] == ["one after the other"]
    assert results["off"][0].info["why"] == "lanes: off"
    assert [len(block.trials) for block in results["auto"]] == [18]
    assert [(len(block.trials), block.info["lanes"]) for block in results[5]] == [(16, 16), (2, 16)]
    for one in results["off"]:
        for name, values in results["auto"][0].parameters.items():
            np.testing.assert_allclose(one.parameters[name], values, rtol=1e-9)


@pytest.mark.parametrize(
    ("more", "axes", "strategy", "why"),
    [
        ("", ["lr=0.1,0.2"], "lanes", "a step has little arithmetic: 2 parameters times 40 examples"),
        ("sweep: {lanes: off}", ["lr=0.1,0.2"], "one after the other", "lanes: off"),
        ("sweep: {lanes: 16}", ["lr=0.1,0.2"], "lanes", "lanes: 16"),
        ("phases: [{schedule: {steps: 2}}, {schedule: {steps: 2}}]", ["lr=0.1,0.2"], "one after the other", "phases"),
        ("", ["schedule.steps=2,3"], "one after the other", "a single trial"),
    ],
)
def test_a_plan_says_how_trials_run(more, axes, strategy, why):
    spec = plan_trials(line(schedule="steps: 2") + f"{more}\n".encode(), axes)
    plan = execution_plan(spec)
    assert (plan["strategy"], plan["why"]) == (strategy, why)
    ran = blocks(spec, group_trials(spec)[0])[0].info
    assert (ran["strategy"], ran["compile"]) == (strategy, plan["compile"])
    assert ran.get("why", why) == why


def test_lanes_of_convolutions_are_counted_with_an_output_at_each_place_of_an_image(lab):
    np.savez(lab.folder / "images.npz", x=np.ones((5, 20, 30, 1), np.float32), y=np.zeros(5, np.int64))
    layers = "[{kind: conv2d, filters: 7, kernel_size: 3, padding: same}, flatten, {kind: dense, units: 3}]"
    built = lab.build(
        "data: {kind: npz, path: images.npz, inputs: [x], target: y}\n"
        f"model: {{kind: layers, layers: {layers}}}\n"
        "loss: {kind: sparse_categorical_crossentropy, from_logits: true}\noptimizer: sgd\nschedule: {steps: 1}\n"
    )
    outputs = 5 * 20 * 30 * 7
    assert activation_bytes(built, 5) >= 4 * outputs
