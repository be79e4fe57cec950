"""The engine is chosen by rules of the config, says why, and can be overridden."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gdrun.assembly.assemble import lanes_pay
from gdrun.cli import dry_run
from gdrun.schedules.batches import Batches

END = "compile: auto\noptimizer: {kind: sgd, learning_rate: 0.1}\n"
BOWL = "model: {kind: formula, formula: (w - 1)**2, parameters: {w: 3}}\nschedule: {steps: 4}\n" + END
MATRIX = BOWL.replace("(w - 1)**2", "FUNCTION")
DEEP = (
    "data: {kind: formula, inputs: {x: 'linspace(-1, 1, 9)'}, target: x}\n"
    "model: {kind: mlp, hidden: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}\nloss: mse\nschedule: {steps: STEPS}\n" + END
)


@pytest.mark.parametrize(
    ("text", "compile", "reason"),
    [
        (BOWL, "xla", "the fastest for this config"),
        (BOWL.replace("auto", "graph"), "graph", "compile says so"),
        (
            MATRIX.replace("FUNCTION", '"sum(cholesky([[w, 1], [1, 2]]))"'),
            "graph",
            "XLA is slower at cholesky on a CPU",
        ),
        (MATRIX.replace("FUNCTION", '"sum(inverse([[w, 1], [1, 2]]))"'), "graph", "XLA is slower at inverse on a CPU"),
        (
            MATRIX.replace("FUNCTION", '"sum(inverse([[w, 1], [1, 2]]))"').replace("auto", "xla"),
            "xla",
            "compile says so",
        ),
        (MATRIX.replace("FUNCTION", '"det([[w, 1], [1, 2]])"'), "graph", "XLA cannot compile det"),
        (DEEP.replace("STEPS", "999"), "graph", "compiling 26 trained tensors by XLA takes longer than 999 steps"),
        (DEEP.replace("STEPS", "1000"), "xla", "the fastest for this config"),
    ],
)
def test_a_rule_chooses_and_says_why(shared_lab, text, compile, reason):
    prepared = shared_lab.prepare(text)
    assert (prepared.built.compile, prepared.built.engine.reason) == (compile, reason)
    assert dry_run.describe(prepared)["why"] == reason
    assert bool(prepared.built.warnings) == ("det" in text)


@pytest.mark.parametrize(("every", "rows"), [("auto", 5), ("3", 3), ("[1, 2]", 4)])
def test_a_plan_counts_the_rows_of_the_run(shared_lab, every, rows):
    text = f"record: {{every: {every}}}\n{BOWL}"
    assert dry_run.describe(shared_lab.prepare(text))["rows"] == rows
    assert len(shared_lab.train(text).metrics["step"]) == rows


def test_run_json_says_what_was_chosen_and_why(shared_lab):
    run = shared_lab.train(MATRIX.replace("FUNCTION", '"sum(inverse([[w, 1], [1, 2]]))"'))
    info = json.loads((run.directory / "run.json").read_text())
    assert (info["compile"], info["compile_why"]) == ("graph", "XLA is slower at inverse on a CPU")


def test_lanes_are_for_steps_of_little_arithmetic(shared_lab):
    """The network has 26 numbers; the bound is 150,000 of them times examples."""
    built = shared_lab.build(DEEP.replace("STEPS", "4"))
    assert lanes_pay(built) == (True, "a step has little arithmetic: 26 parameters times 9 examples")
    built.program.feed = replace(built.program.feed, batches=Batches(6000, 5770))
    assert lanes_pay(built) == (False, "a step has much arithmetic: 26 parameters times 5,770 examples")
    built.program.feed = replace(built.program.feed, batches=Batches(6000, 5769))
    assert lanes_pay(built)[0]
