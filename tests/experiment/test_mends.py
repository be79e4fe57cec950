"""Mends that errors name: followed, they give a config that is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from gdrun.errors import ConfigError, Problem
from gdrun.experiment.loading import load_config

REST = "optimizer: sgd\nschedule: {steps: 3}\n"


def refused(folder: Path, text: str, **parents: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        accepted(folder, text, **parents)
    return list(caught.value.problems)


def accepted(folder: Path, text: str, **parents: str) -> None:
    for name, content in parents.items():
        (folder / f"{name}.yaml").write_text(content)
    (folder / "child.yaml").write_text(text)
    load_config(folder / "child.yaml")


@pytest.mark.parametrize("written", ["exp(s[0] / 2)", "a - s[0] * s[1]", "maximum(a, s[1])"])
def test_an_unquoted_formula_is_quoted_as_a_whole(tmp_path, written):
    text = "model: {{kind: formula, parameters: {{s: [1, 2], a: {{value: 1, trainable: false}}}}, formula: {}}}\n"
    (problem,) = refused(tmp_path, text.format(written) + REST)
    assert problem.hint == f'write "{written}"'
    accepted(tmp_path, text.format(problem.hint.removeprefix("write ")) + REST)


@pytest.mark.parametrize("shape", ["[]", "[3, 1]"])
def test_a_drawn_parameter_takes_the_shapes_that_its_error_names(tmp_path, shape):
    text = "model: {{kind: formula, formula: sum(s**2), parameters: {{s: {{init: 'normal(0, 1)'{}}}}}}}\n"
    (problem,) = refused(tmp_path, text.format("") + REST)
    assert f"shape: {shape}" in problem.message or f"{shape} for" in problem.message
    accepted(tmp_path, text.format(f", shape: {shape}") + REST)


@pytest.mark.parametrize("key", ["phases.0.lr", "phases.1.schedule.steps"])
def test_a_setting_of_a_phase_is_one_of_the_whole_config_where_it_has_no_phases(tmp_path, key):
    (tmp_path / "config.yaml").write_text("model: {kind: formula, formula: s**2, parameters: {s: 1}}\n" + REST)
    with pytest.raises(ConfigError, match="this config has no phases") as caught:
        load_config(tmp_path, [f"{key}=1"])
    (problem,) = caught.value.problems
    assert problem.hint == f"write {key.split('.', 2)[2]}=1"
    load_config(tmp_path, [problem.hint.removeprefix("write ")])


def test_the_allowed_keys_are_all_of_them(tmp_path):
    text = "model: {kind: formula, formula: s, parameters: {s: 1}}\noptimizer: sgd\nschedule: {steps: 3, fiddle: 2}\n"
    (problem,) = refused(tmp_path, text)
    assert "steps" in (problem.hint or "")


def test_a_parameter_with_a_gradient_by_hand_needs_no_way_to_the_loss(tmp_path):
    text = """
data: {kind: values, inputs: {x: [1, 2, 3]}}
model: {kind: formula, formula: mean(x**2), parameters: {average: 0}}
loss: output
"""
    (problem,) = refused(tmp_path, text + REST)
    assert "'average' gets no gradient" in problem.message
    accepted(tmp_path, text + REST + "gradients: {of: {average: mean(average - x)}, use: true}\n")
    refused(tmp_path, text + REST + "gradients: {of: {average: mean(average - x)}}\n")  # which is only checked


def test_a_misspelt_name_is_the_only_problem_of_a_loss(tmp_path):
    text = "model: {kind: formula, formula: a - b, parameters: {a: 1, b: 2}}\nloss: {kind: formula, formula: FORMULA}\n"
    (problem,) = refused(tmp_path, (text + REST).replace("FORMULA", "foo**2"))
    assert "unknown name 'foo'" in problem.message


RULE = """
model: {kind: formula, formula: (x - 3)**2, parameters: {x: 0}}
optimizer:
  kind: formula
  settings: {b: 0.9}
  state: {m: 0}
  update:
    m: b * m + (1 - b) * gradient
    parameter: parameter - learning_rate * LAST
schedule: {steps: 3}
"""
CHILD = "extends: parent.yaml\noptimizer: {update: {UPDATE}}\n"


def test_a_rule_has_the_rate_that_the_reference_gives_it(tmp_path):
    """The default is 1; a sweep may supply another."""
    accepted(tmp_path, RULE.replace("LAST", "m"))


def test_a_new_line_stands_before_the_one_that_follows_it_in_the_child(tmp_path):
    lines = "late: m / (1 - b**(step + 1)), parameter: parameter - learning_rate * late"
    accepted(tmp_path, CHILD.replace("UPDATE", lines), parent=RULE.replace("LAST", "m"))
    order = list(load_config(tmp_path / "child.yaml").experiment.optimizer.update)
    assert order == ["m", "late", "parameter"]


def test_an_inherited_line_is_named_with_its_file_and_the_mend(tmp_path):
    late = "late: m / (1 - b**(step + 1))"
    problems = refused(tmp_path, CHILD.replace("UPDATE", late), parent=RULE.replace("LAST", "late"))
    problem = next(problem for problem in problems if "not known yet" in problem.message)
    assert problem.place is not None
    assert problem.place.source.endswith("parent.yaml")
    assert "this line is inherited; in " in (problem.hint or "")
    assert (problem.hint or "").endswith("child.yaml write 'late' and below it 'parameter'")
    lines = f"{late}, parameter: parameter - learning_rate * late"
    accepted(tmp_path, CHILD.replace("UPDATE", lines), parent=RULE.replace("LAST", "late"))


@pytest.mark.parametrize("section", ["constants", "define"])
def test_a_child_changes_one_line_and_the_others_stay_in_order(tmp_path, section):
    parent = (
        f"{section}: {{a: 1, b: a + 1, c: a + b}}\nmodel: {{kind: formula, formula: c * x, parameters: {{x: 1}}}}\n"
    )
    child = f"extends: parent.yaml\n{section}: {{z: 5, b: a + z}}\n"
    accepted(tmp_path, child, parent=parent + REST)
    values = getattr(load_config(tmp_path / "child.yaml").experiment, section)
    assert list(values) == ["a", "z", "b", "c"]


@pytest.mark.parametrize(
    ("define", "target", "mended"), [('{"line(p)": 2*p}', "line(x)", "2*x"), ("{line: 2*pi}", "x + line", "x + 2*pi")]
)
def test_data_that_use_a_line_of_define_are_to_have_its_formula_written_out(tmp_path, define, target, mended):
    text = f"""
define: {define}
data: {{kind: formula, inputs: {{x: "range(4)"}}, target: TARGET}}
model: {{kind: formula, formula: a*x, parameters: {{a: 1}}}}
"""
    (problem,) = refused(tmp_path, text.replace("TARGET", target) + REST)
    assert problem.message == "'line' is a line of define, which data cannot use"
    assert (problem.hint or "").endswith("write the formula itself here")
    accepted(tmp_path, text.replace("TARGET", mended) + REST)


@pytest.mark.parametrize(
    ("define", "formula", "message"),
    [
        ('{"f(p)": p**2}', "f(x, 2)", "f takes at most 1 arguments"),
        ('{"f(p)": p**2}', "f + x", "'f' is a function"),
        ('{"f(p)": p**2 + q}', "f(x)", "unknown name 'q'"),
        ('{"f(p)": g(p), "g(p)": p}', "f(x)", "'g' is not known yet"),
        ('{"f(p)": f(p - 1)}', "f(x)", "'f' is defined by itself"),
        ('{"f(p, q=r)": p}', "f(x)", "unknown name 'r'"),
        ('{"f(p": p}', "f(x)", "is not the head of a function"),
        ('{"f(p)": {start: 1, repeat: p, times: 3}}', "f(x)", "is one formula, not a loop"),
        ('{"x(p)": p}', "x(x)", "the name 'x' is taken by define.x"),
    ],
)
def test_functions_that_cannot_be_called_are_refused(tmp_path, define, formula, message):
    text = f"define: {define}\nmodel: {{kind: formula, formula: '{formula}', parameters: {{x: 1}}}}\n" + REST
    assert any(message in problem.message for problem in refused(tmp_path, text))


def test_functions_are_seen_by_all_formulas_of_the_step(tmp_path):
    text = """
define: {"f(p, q=2)": p**q, "g(p)": f(p) + 1, h: g(x)}
data: {kind: values, inputs: {x: [1, 2]}, target: [1, 2]}
model: {kind: formula, formula: f(a) * x + h, parameters: {a: 1}}
loss: {kind: formula, formula: mean(f(prediction - target))}
metrics: [{name: m, formula: mean(g(prediction))}]
record: {formulas: {r: f(a)}, after: {s: f(a)}}
gradients: {of: {a: "2 * f(a, 1)"}}
optimizer: sgd
schedule: {steps: 3, stop: {formula: f(a) > 100}}
"""
    accepted(tmp_path, text)


def test_a_metric_is_no_attribute_of_the_prediction(tmp_path):
    text = """
data: {kind: values, inputs: {x: [1, 2]}, target: [0, 1]}
model: {kind: formula, formula: {p: a * x, q: a + x}, parameters: {a: 1}}
loss: {kind: formula, formula: mean((FORMULA - target)**2)}
"""
    (problem,) = refused(tmp_path, text.replace("FORMULA", "prediction.p") + REST)
    assert problem.hint == "write p"
    accepted(tmp_path, text.replace("FORMULA", "p") + REST)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("a[0]", None),
        ("norm(a)", None),
        ("b[0]", "there is no parameter 'b'"),
        ("a[0", "never closed"),
        ("a b", "missing"),
    ],
)
def test_the_parts_that_are_expected_are_of_parameters(tmp_path, key, message):
    text = "model: {kind: formula, formula: sum(a), parameters: {a: [1, 2]}}\n"
    text += f"expect: {{parameters: {{'{key}': 1}}}}\n"
    if message is None:
        accepted(tmp_path, text + REST)
    else:
        (problem,) = refused(tmp_path, text + REST)
        assert message in problem.message
