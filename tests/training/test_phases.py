"""Phases: partial configs that are trained one after the other in one run."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from gdrun.analysis.evaluation_point import at_step
from gdrun.errors import ConfigError, UsageError
from gdrun.experiment.loading import load_config
from gdrun.plots.columns import places_of
from gdrun.plots.run_pictures import loss_figure, parameters_figure
from gdrun.reporting.sections import overview
from gdrun.rundir.describing import describe_run
from gdrun.rundir.run import Run
from gdrun.rundir.verifying import verify
from gdrun.training.predict import load_trained, predict
from gdrun.training.resume import prepare_again

FIT = """
data: {kind: formula, inputs: {x: "linspace(-1, 1, 20)"}, target: x**2}
model: {kind: mlp, hidden: [4], activation: tanh, outputs: 1}
precision: float64
compile: graph
record: {every: 1}
"""
ADAM = "optimizer: {kind: adam, learning_rate: 0.03}\nschedule: {steps: 12}\n"
LBFGS = "optimizer: lbfgs\nschedule: {steps: 8}\n"

PAIR = """
data: {kind: formula, inputs: {x: "linspace(-1, 2, 7)"}, target: 3*x + 2}
model: {kind: formula, formula: w*x + b, parameters: {w: 0.5, b: 0}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 5}
precision: float64
record: {every: 1, parameters: true}
compile: graph
"""
SWAP = """
phases:
- model: {parameters: {b: {value: 0, trainable: false}}}
- model: {parameters: {w: {value: 0.5, trainable: false}}}
  schedule: {steps: 3}
- optimizer: {learning_rate: 0.05}
"""

BATCHES = """
data:
  {kind: formula, inputs: {x: "linspace(-1, 1, 13)"}, target: x - x**3, noise: "normal(0, 0.1)", validation: {last: 3}}
model: {kind: formula, formula: "a*x + b*x**2 + normal(0, 0.1)*step/10", parameters: {a: 0.1, b: 0}}
metrics: [mae]
optimizer: {kind: sgd, learning_rate: 0.05}
schedule: {epochs: 7, batch_size: 4}
record: {every: 1, parameters: true}
compile: eager
"""


def begins(run: Run) -> list[tuple[Any, ...]]:
    return [(phase["begins"], phase["epoch"], phase["ended"]) for phase in run.info.phases]


@pytest.fixture(scope="module")
def adam_then_lbfgs(shared_lab: Any) -> Run:
    first, second = (text.replace("\n", "\n  ").rstrip() for text in (ADAM, LBFGS))
    run: Run = shared_lab.train(f"{FIT}\nphases:\n- {first}\n- {second}\n")
    return run


@pytest.fixture(scope="module")
def swapped(shared_lab: Any) -> Run:
    run: Run = shared_lab.train(PAIR + SWAP)
    return run


def swapped_by_hand() -> tuple[list[tuple[float, float]], list[float]]:
    """Return w and b after each step, and the losses there."""
    x = np.linspace(-1, 2, 7)
    w, b, rows = 0.5, 0.0, [(0.5, 0.0)]
    for steps, rate, trains_w, trains_b in ((5, 0.1, 1, 0), (3, 0.1, 0, 1), (5, 0.05, 1, 1)):
        for _ in range(steps):
            error = w * x + b - (3 * x + 2)
            w, b = w - trains_w * rate * 2 * np.mean(error * x), b - trains_b * rate * 2 * np.mean(error)
            rows.append((w, b))
    return rows, [float(np.mean((w * x + b - 3 * x - 2) ** 2)) for w, b in rows]


def test_two_optimizers_end_where_two_runs_end_of_which_one_starts_from_the_other(
    adam_then_lbfgs: Run, shared_lab: Any
) -> None:
    adam = shared_lab.train(FIT + ADAM)
    lbfgs = shared_lab.train(FIT + LBFGS, [f"model.from={adam.directory}"])
    assert adam_then_lbfgs.parameters.keys() == lbfgs.parameters.keys()
    for name, value in lbfgs.parameters.items():
        np.testing.assert_array_equal(adam_then_lbfgs.parameters[name], value)
    assert "phases begin" not in dict(overview(describe_run(lbfgs)))
    apart = np.concatenate([adam.metrics["loss"], lbfgs.metrics["loss"][1:]])
    np.testing.assert_array_equal(adam_then_lbfgs.metrics["loss"], apart)


def test_a_run_has_one_record_in_which_steps_count_on_and_phases_meet_in_one_row(adam_then_lbfgs: Run) -> None:
    assert list(adam_then_lbfgs.metrics["step"]) == list(range(21))
    assert begins(adam_then_lbfgs) == [(0, 0, "steps"), (12, 12, "steps")]
    assert adam_then_lbfgs.info.steps == 20
    assert ("phases begin", "step 0, step 12") in overview(describe_run(adam_then_lbfgs))
    assert verify(adam_then_lbfgs).ok


@pytest.mark.parametrize("compile", ["graph", "eager"])
def test_parameters_freeze_and_thaw_as_in_a_loop_by_hand(swapped: Run, lab: Any, compile: str) -> None:
    run = swapped if compile == "graph" else lab.train(PAIR + SWAP, [f"compile={compile}"])
    rows, losses = swapped_by_hand()
    np.testing.assert_allclose(run.metrics["loss"], losses)
    np.testing.assert_allclose([run.parameters["w"], run.parameters["b"]], rows[-1])


def test_its_config_trains_the_same_run_again(swapped: Run, shared_lab: Any) -> None:
    again = shared_lab.train((swapped.directory / "config.yaml").read_text())
    for name in ("metrics.jsonl", "parameters.npz"):
        assert (again.directory / name).read_bytes() == (swapped.directory / name).read_bytes()
    assert again.info.phases == swapped.info.phases


def test_predictions_are_those_of_the_last_phase(swapped: Run) -> None:
    x = np.asarray([0.0, 2.0])
    expected = swapped.parameters["w"] * x + swapped.parameters["b"]
    np.testing.assert_allclose(predict(load_trained(swapped), swapped, {"x": x}), expected)


def test_orders_draws_and_epochs_of_phases_are_those_of_one_run_of_their_length(shared_lab: Any) -> None:
    whole = shared_lab.train(BATCHES)
    parts = shared_lab.train(BATCHES + "phases: [{schedule: {epochs: 3}}, {schedule: {epochs: 4}}]")
    assert (parts.directory / "metrics.jsonl").read_bytes() == (whole.directory / "metrics.jsonl").read_bytes()
    assert (parts.directory / "parameters.npz").read_bytes() == (whole.directory / "parameters.npz").read_bytes()
    assert begins(parts) == [(0, 0, "epochs"), (9, 3, "epochs")]


def test_a_phase_with_other_batches_begins_an_epoch(lab: Any) -> None:
    phases = "phases: [{schedule: {epochs: null, steps: 4}}, {schedule: {epochs: 3, batch_size: 2}}]"
    run = lab.train(BATCHES, [phases.replace(": ", "=", 1), "record.every=auto"])
    # 10 examples: epochs of 3 steps, of which the second is begun, then of 5.
    assert begins(run) == [(0, 0, "steps"), (4, 2, "epochs")]
    columns = run.metrics
    epochs = dict(zip(columns["step"], columns["epoch"], strict=True))
    assert [epochs[step] for step in (3, 4, 8, 9, 14, 19)] == [1, 1, 2, 3, 4, 5]
    figure = loss_figure(run, x="epoch")
    places = dict(zip(columns["step"], places_of(run, "epoch"), strict=True))
    np.testing.assert_allclose([places[step] for step in (3, 4, 5, 9, 19)], [1, 4 / 3, 2.2, 3, 5])
    assert [rule.x for rule in figure.rules] == [places[4]]
    prepared = load_trained(run)
    for step in (3, 8, 14, 19):
        assert int(at_step(prepared, run, step).moment.epoch) == epochs[step]
    known = np.asarray(columns["step"])[np.isfinite(np.asarray(columns["mae"], float))]
    assert set(known) == {0, 3, 9, 14, 19}
    assert run.info.epochs == 5


def test_a_rule_ends_a_phase_and_factors_count_from_its_beginning(lab: Any) -> None:
    phases = """
phases:
- schedule: {steps: 50, stop: {formula: "step >= 7"}}
- schedule: {steps: 4, learning_rate_factor: {kind: formula, formula: "1/(1 + step)"}}
"""
    run = lab.train(PAIR + phases)
    assert begins(run) == [(0, 0, "formula"), (7, 7, "steps")]
    rates = np.asarray(run.metrics["learning_rate"])
    np.testing.assert_allclose(rates[8:], 0.1 / (1 + np.arange(1, 5)))
    assert run.info.status == "completed"


def test_divergence_ends_the_run(lab: Any) -> None:
    run = lab.train(PAIR + "phases: [{optimizer: {learning_rate: 1e+200}}, {schedule: {steps: 2}}]")
    assert run.info.status == "diverged"
    assert begins(run) == [(0, 0, "non_finite")]


@pytest.mark.parametrize(
    ("phases", "message", "mend"),
    [
        ("phases: []", "has no phase", "leave it out"),
        ("phases: [3]", "mapping", None),
        ("phases: {schedule: {steps: 3}}", "expected a list", "a list of mappings: [{...}"),
        ("phases: [{seed: 3}]", "a phase cannot have its own 'seed'", "write it above phases"),
        ("phases: [{optimiser: sgd}]", "a phase cannot have its own 'optimiser'", "optimizer"),
        ("phases: [{}, {optimizer: {rate: 3}}]", "rate", "learning_rate"),
        ("phases: [{}, {model: {formula: b*x + w}}]", "all phases have one model", "trainable"),
        ("phases: [{model: {formula: b*x + w}}, {}]", "all phases have one model", "trainable"),
    ],
)
def test_what_cannot_be_a_phase_is_refused_at_its_place(phases: str, message: str, mend: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config((PAIR + phases).encode())
    problem = caught.value.problems[0]
    assert message in problem.message + str(problem.hint)
    assert problem.place is not None
    assert problem.place.line > PAIR.count("\n")
    if mend is not None:
        assert mend in str(problem.hint)


NOTHING = {
    "parameters": ("model: {parameters: {w: {trainable: false}, b: {trainable: false}}}", "has no parameter to train"),
    "groups": ("optimizer: {groups: [{parameters: [w, b], frozen: true}]}", "there is no trainable parameter"),
}


@pytest.mark.parametrize("frozen", NOTHING)
def test_a_phase_that_trains_nothing_is_refused_until_its_mend_is_followed(lab: Any, frozen: str) -> None:
    text, message = NOTHING[frozen]
    problem = lab.refused(PAIR + f"phases:\n- {{}}\n- {text}\n")
    assert problem.message.startswith("in phases.1: ")
    assert message in problem.message
    assert str(problem.hint).endswith("optimizer: none")
    one = text.replace("[w, b]", "[w]").replace("b: {trainable: false}", "b: {trainable: true}")
    for mended in (one, "optimizer: none\n  " + text * (frozen == "parameters")):
        lab.prepare(PAIR + f"phases:\n- {{}}\n- {mended}\n")


def test_overrides_reach_into_phases_by_paths_and_by_names() -> None:
    loaded = load_config((PAIR + SWAP).encode(), ["phases.2.optimizer.kind=adam", "phases.1.steps=4", "phases.2.lr=1"])
    assert [phase.experiment.optimizer.kind for phase in loaded.phases] == ["sgd", "adam"]
    assert [phase.experiment.optimizer.learning_rate for phase in loaded.phases] == [0.1, 1]
    assert loaded.phases[0].experiment.schedule.steps == 4


def test_a_value_that_every_phase_has_of_its_own_cannot_be_changed_above_them() -> None:
    rates = "phases: [{optimizer: {learning_rate: 0.2}}, {optimizer: {learning_rate: 0.3}}]"
    with pytest.raises(ConfigError, match="each phase has its own 'lr'") as caught:
        load_config((PAIR + rates).encode(), ["lr=0.5"])
    (problem,) = caught.value.problems
    assert problem.place is not None
    assert problem.place.source == "argument 1"
    mend = str(problem.hint).rpartition(" ")[2]
    assert load_config((PAIR + rates).encode(), [f"{mend}=0.5"]).experiment.optimizer.learning_rate == 0.5
    assert load_config((PAIR + SWAP).encode(), ["lr=0.5"]).experiment.optimizer.learning_rate == 0.5


FROZEN = {
    "mlp": ("{kind: mlp, hidden: [3]}", "optimizer: {groups: [{parameters: [dense1], frozen: true}]}"),
    "linear": ("linear", "optimizer: {groups: [{parameters: [bias], frozen: true}]}"),
    "formula": (
        "{kind: formula, formula: a*x + b, parameters: {a: 1, b: 0}}",
        "model: {parameters: {b: {trainable: false}}}",
    ),
}


@pytest.mark.parametrize("kind", FROZEN)
def test_what_freezes_a_part_of_a_model_is_named_and_freezes_it(kind: str) -> None:
    model, mend = FROZEN[kind]
    text = FIT.replace("{kind: mlp, hidden: [4], activation: tanh, outputs: 1}", model) + ADAM
    phases = "phases: [{}, {schedule: {steps: 3}}]"
    for extra, overrides in (
        (phases[:-1] + ", {model: {trainable: false}}]", []),
        (phases, ["phases.1.model.trainable=false"]),
    ):
        with pytest.raises(ConfigError, match="unknown key 'trainable' in model") as caught:
            load_config((text + extra).encode(), overrides)
        (problem,) = caught.value.problems
        assert problem.hint is not None
        named = re.sub("NAME", re.search(r"(\w+)(\]|: {tr)", mend)[1], problem.hint)  # type: ignore[index]
        assert named.endswith(mend.removeprefix("model: {").removesuffix("}" * kind.startswith("form")))
    loaded = load_config((text + phases[:-1] + f", {{{mend}}}]").encode())
    assert loaded.last.experiment != loaded.experiment


def test_a_list_that_a_phase_inherits_is_changed_as_a_whole_by_the_mend() -> None:
    text = FIT.replace("mlp, hidden: [4], activation: tanh, outputs: 1", "layers, layers: [{kind: dense, units: 1}]")
    text += ADAM + "phases: [{}, {}]"
    with pytest.raises(ConfigError, match=r"has no model\.layers of its own") as caught:
        load_config(text.encode(), ["phases.1.model.layers.0.trainable=false"])
    mend = str(caught.value.problems[0].hint).removeprefix("write ")
    first, second = ([layer.trainable for layer in phase.experiment.model.layers] for phase in both(text, mend))
    assert (first, second) == ([True], [False])


def both(text: str, override: str) -> tuple[Any, Any]:
    loaded = load_config(text.encode(), [override])
    return loaded, loaded.last


AVERAGED = (
    PAIR
    + """
define: {total: {start: 0, next: total + loss}, w2: {start: 2*w, next: w2}}
phases:
- {}
- define:
    mean_w: {start: w, next: mean_w + (w - mean_w)/(step - 4), final: true}
    w2: {start: 3*w, next: w2}
  record: {formulas: {total: total, w2: w2}}
- define: {total: {start: 0, next: total + 1}}
  schedule: {steps: 2}
  record: {formulas: {total: total, w2: w2}}
"""
)


def test_kept_values_stay_from_phase_to_phase_or_start_from_the_parameters_there(lab: Any) -> None:
    """The second phase averages its own weights alone, as stochastic weight averaging does."""
    run = lab.train(AVERAGED)
    x, w, b, total = np.linspace(-1, 2, 7), 0.5, 0.0, 0.0
    weights, totals = [], []
    for step in range(12):
        if step == 10:
            w = np.mean(weights[5:10])
        weights.append(w)
        totals.append(total)
        error = w * x + b - (3 * x + 2)
        total += np.mean(error**2) if step < 10 else 1
        w, b = w - 0.2 * np.mean(error * x), b - 0.2 * np.mean(error)
    np.testing.assert_allclose(run.metrics["parameters.w"][:10], weights[:10])
    np.testing.assert_allclose(run.metrics["total"][6:10], totals[6:10])
    np.testing.assert_allclose(run.metrics["total"][11:], [*totals[11:], total])
    np.testing.assert_allclose(run.metrics["w2"][6:10], 3 * weights[5])
    np.testing.assert_allclose(run.metrics["w2"][11:], 2 * weights[10])
    np.testing.assert_allclose([run.parameters["w"], run.parameters["b"]], [w, b])


def test_curves_have_a_line_where_a_phase_begins(swapped: Run, adam_then_lbfgs: Run) -> None:
    for figure in (loss_figure, parameters_figure):
        rules = figure(swapped).rules
        assert [(rule.x, rule.label) for rule in rules] == [(5, "phases.1"), (8, "phases.2")]
    assert loss_figure([swapped, adam_then_lbfgs]).rules == ()


def test_it_is_not_resumed_with_another_length(swapped: Run) -> None:
    with pytest.raises(UsageError, match="lengths that it has"):
        prepare_again(swapped.directory, ["steps=100"])


TIMED = """
phases:
- {}
- optimizer: {groups: [{parameters: [b], when: step >= 5}]}
"""


def test_a_condition_of_a_group_is_looked_at_in_the_steps_of_its_phase(lab: Any) -> None:
    problem = lab.refused(PAIR + TIMED.replace(">=", "<"))
    assert problem.message == "in phases.1: this is true at no step"
    assert str(problem.hint).startswith("step goes from 5 to 9")
    run = lab.train(PAIR + TIMED)
    assert run.info.steps == 10


def test_a_condition_that_a_rule_has_left_without_a_step_is_no_mistake(lab: Any) -> None:
    run = lab.train(
        PAIR + TIMED.replace("{}", "schedule: {steps: 500, stop: {formula: step >= 3}}").replace("5}", "502}")
    )
    assert begins(run)[1][0] == 3
    frozen = run.metrics["parameters.b"][3:]
    assert (frozen == frozen[0]).all()
