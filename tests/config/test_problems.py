"""Every kind of mistake has its place, its words and its mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from gdrun.config.forms import Form, fields
from gdrun.errors import ConfigError
from gdrun.experiment.experiment import Experiment
from gdrun.experiment.loading import load_config
from tests.experiment.texts import LINE, at, line, marked, only, problems


def test_the_fixture_has_no_problems():
    assert problems(LINE) == []


def test_a_misspelt_key_names_section_kind_and_the_right_key():
    problem = only(line(optimizer="{kind: sgd, learning_rte: 0.2}"))
    assert problem.message == "unknown key 'learning_rte' in optimizer (kind: sgd)"
    assert problem.hint == "did you mean 'learning_rate'?"
    assert at(problem) == (4, 24, 12)


def test_the_two_halves_of_a_typo_are_one_problem():
    problem = only(LINE.replace("schedule:", "shedule:"))
    assert problem.message == "unknown key 'shedule'"
    assert problem.hint == "did you mean 'schedule'?"
    problem = only(line(model="{kind: polynomial, degre: 2}"))
    assert problem.hint == "did you mean 'degree'?"


def test_a_misspelt_kind_key_is_one_problem():
    problem = only(line(optimizer="{knd: sgd}"))
    assert marked(problem) == "knd"
    assert problem.hint == "did you mean 'kind'?"


def test_two_missing_halves_that_are_not_near_are_two_problems():
    found = problems(LINE.replace("schedule: {steps: 10}", "xyzzy: 1"))
    assert sorted(problem.message for problem in found) == ["'schedule' is missing", "unknown key 'xyzzy'"]


@pytest.mark.parametrize(
    ("sections", "place", "message", "hint"),
    [
        ({"seed": "x"}, "x", "expected an integer, got the text 'x'", "plain number"),
        ({"seed": "1.5"}, "1.5", "expected an integer, got 1.5", None),
        ({"seed": "-1"}, "-1", "must be at least 0, got -1", None),
        ({"seed": "'3'"}, "'3'", "expected an integer, got the text '3'", "without quotes"),
        ({"seed": "null"}, "null", "expected an integer, got null", None),
        ({"description": "3"}, "3", "expected a text, got 3", "quotes"),
        ({"name": "A b"}, "A b", "the text 'A b' does not fit: small letters, digits", None),
        ({"device": "tpu"}, "tpu", "auto, cpu, gpu or gpu:1", None),
        ({"precision": "float16"}, "float16", "expected float32 or float64", "did you mean 'float32'?"),
        ({"compile": "jit"}, "jit", "expected one of auto, xla, graph, eager", None),
        ({"schedule": "{steps: 1, batch_size: true}"}, "true", "expected an integer, got true", None),
        ({"schedule": "{steps: 1, drop_remainder: yes}"}, "yes", "expected true or false", "write true"),
        ({"schedule": "{steps: 1, drop_remainder: Off}"}, "Off", "expected true or false", "write false"),
        ({"optimizer": "{kind: sgd, momentum: 1}"}, "1", "must be less than 1, got 1", None),
        ({"optimizer": "{kind: sgd, momentum: [1]}"}, "[1]", "expected a number, got a list", None),
        ({"optimizer": "{kind: sgd, momentum: 1e-1x}"}, "1e-1x", "expected a number, got the text", None),
        ({"optimizer": "sdg"}, "sdg", "unknown kind 'sdg' of optimizer", "did you mean 'sgd'?"),
        ({"optimizer": "{kind: gd}"}, "gd", "unknown kind 'gd' of optimizer", "did you mean 'sgd'?"),
        ({"optimizer": "3"}, "3", "expected a kind or a mapping with a kind, got 3", "kinds: sgd"),
        ({"optimizer": "{learning_rate: 1}"}, "optimizer", "'kind' is missing in optimizer", "kinds: sgd"),
        ({"optimizer": "{kind: [1]}"}, "[1]", "expected a kind of optimizer, got a list", "kinds: sgd"),
        ({"loss": "mean_squared_error"}, "mean_squared_error", "unknown kind", "did you mean 'mse'?"),
        ({"loss": "{kind: huber, delta: 0}"}, "0", "must be greater than 0, got 0", None),
        ({"metrics": "[r3]"}, "r3", "'r3' is not known here", "did you mean 'r2'?"),
        ({"metrics": "mae"}, "mae", "expected a list, got the text 'mae'", "write [mae]"),
        ({"schedule": "{epochs: 1, steps: 1}"}, "schedule", "give epochs or steps, one of them", None),
        ({"schedule": "{}"}, "schedule", "give epochs or steps, one of them", None),
        ({"schedule": "{steps: 1, lr: 0.1}"}, "lr", "unknown key 'lr'", "'learning_rate' belongs to optimizer"),
        ({"batch_size": "3"}, "batch_size", "unknown key 'batch_size'", "belongs to schedule"),
        ({"record": "{every: 0}"}, "0", "every is auto, epoch", None),
        ({"record": "{every: [1, -1]}"}, "-1", "must be at least 0, got -1", None),
        ({"constants": "{step: 1}"}, "step", "'step' has a meaning of its own", None),
        ({"constants": "{2x: 1}"}, "2x", "is not a name", None),
        ({"constants": "{c: true}"}, "true", "not a formula", None),
        ({"data": "{kind: values, inputs: {x: [[1, 2], [3]]}}"}, "[[1, 2], [3]]", "different lengths", None),
        ({"data": "{kind: values, inputs: {x: [a]}}"}, "[a]", "expected a number or nested lists", None),
        ({"data": "{kind: values, inputs: {}}"}, "inputs", "needs at least 1 entry, got 0", None),
        ({"data": "{kind: csv, path: '', inputs: [x]}"}, "''", "needs at least 1 character, got 0", None),
        ({"data": "{kind: csv, path: f, inputs: [x], separator: ';;'}"}, "';;'", "at most 1 character", None),
        ({"data": "{kind: csv, path: f, inputs: [x], rows: 1-5}"}, "1-5", "range of rows", None),
        ({"data": "{kind: csv, path: f, inputs: [-1]}"}, "-1", "a column is a name or a position", None),
        ({"expect": "{status: done}"}, "done", "expected one of completed, stopped, diverged", None),
        ({"expect": "{loss: {belw: 3}}"}, "belw", "unknown key 'belw' in expect.loss", "did you mean 'below'?"),
        (
            {"expect": "{trace: [{step: 1, loss: {belw: 3}}]}"},
            "belw",
            "in expect.trace.0.loss",
            "did you mean 'below'?",
        ),
        ({"expect": "{trace: [{loss: 1}]}"}, "loss", "'step' is missing", None),
    ],
)
def test_mistakes_are_marked_and_worded(sections, place, message, hint):
    found = problems(line(**sections))
    matching = [problem for problem in found if message in problem.message]
    assert matching, [problem.message for problem in found]
    problem = matching[0]
    assert marked(problem) == place or (place == "loss" and problem.place.line > 0)
    if hint is not None:
        assert hint in (problem.hint or "")


def test_a_key_of_another_kind_is_told_as_that():
    problem = only(line(optimizer="{kind: adam, momentum: 0.9}"))
    assert problem.hint == "'momentum' belongs to sgd, rmsprop and muon"
    assert marked(problem) == "momentum"


@pytest.mark.parametrize(
    ("sections", "token"),
    [
        ({"model": "{kind: formula, formula: a * $ + x, parameters: {a: 1}}"}, "$"),
        ({"model": "{kind: formula, formula: 'a * ''$ + x', parameters: {a: 1}}"}, "'"),
        ({"model": '{kind: formula, formula: "a\\u0020* $ + x", parameters: {a: 1}}'}, "$"),
        ({"model": "\n  kind: formula\n  formula: |\n    a *\n    $ + x\n  parameters: {a: 1}"}, "$"),
        ({"model": "\n  kind: formula\n  formula: >\n    a *\n    $ + x\n  parameters: {a: 1}"}, "$"),
        ({"constants": "{c: [1, 2 + $, 3]}"}, "$"),
        ({"model": "{kind: formula, formula: a * xx, parameters: {a: 1}}"}, "xx"),
        ({"constants": "{c: [1, [2, qq + 1]]}"}, "qq"),
        ({"data": "{kind: formula, inputs: {x: 'linspace(0, 1, n)'}, target: x}"}, "n"),
    ],
)
def test_formula_mistakes_are_marked_at_the_token(sections, token):
    found = [problem for problem in problems(line(**sections)) if problem.offset is not None]
    assert found
    assert marked(found[0]).startswith(token)


def test_all_problems_come_in_the_order_of_the_file():
    text = line(seed="x", optimizer="{kind: sgd, momentum: 2}", loss="msee", schedule="{steps: -1}")
    places = [(problem.place.line, problem.place.column) for problem in problems(text)]
    assert len(places) == 4
    assert places == sorted(places)


def test_what_validation_data_inherits_is_told_once():
    data = "{kind: formula, inputs: {x: 'linspace(0, 1'}, target: x, validation: {target: 2 * x}}"
    assert len(problems(line(data=data))) == 1


@pytest.mark.parametrize("union", ["optimizer", "data", "model", "loss"])
def test_every_kind_refuses_an_unknown_key_with_the_allowed_ones(union):
    kinds = fields(Experiment)[union].kinds
    for kind in kinds.variants:
        found = problems(line(**{union: f"{{kind: {kind}, zzzzzzzzz: 1}}"}))
        matching = [problem for problem in found if "zzzzzzzzz" in problem.message]
        assert len(matching) == 1
        assert f"(kind: {kind})" in matching[0].message
        assert matching[0].hint


def test_tables_of_kinds_agree_with_the_sections():
    """The kind under which a union finds a section is the one that the section itself names."""
    waiting, seen = [Form(Experiment)], set()
    while waiting:
        form = waiting.pop()
        sections = [form.section] if form.section else []
        if form.kinds:
            for kind, section in form.kinds.variants.items():
                assert fields(section)["kind"].literals == (kind, *section.aliases)
                sections.append(section)
        for section in sections:
            if section not in seen:
                seen.add(section)
                waiting += fields(section).values()
    assert len(seen) > 40


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("metrics=accurracy", "expected a list, got the text 'accurracy'", "write [accuracy]"),
        ("metrics=[accurracy]", "'accurracy' is not known here", "did you mean 'accuracy'?"),
        ("epochs=many", "expected an integer, got the text 'many'", "this key takes a plain number, such as 100"),
        ("lr=fast", "expected a number, got the text 'fast'", "this key takes a plain number, such as 0.1"),
        (
            "lr=a/3",
            "expected a number, got the text 'a/3'",
            "this key takes a number, or a formula of numbers alone: 1 / 3",
        ),
    ],
)
def test_one_slip_of_a_command_line_is_one_problem_with_the_mend(override, message, hint):
    moons = Path(__file__).parents[2] / "configs" / "moons.yaml"
    with pytest.raises(ConfigError) as caught:
        load_config(moons, [override])
    (problem,) = caught.value.problems
    assert (problem.message, problem.hint) == (message, hint)
