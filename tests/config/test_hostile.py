"""Configs that are good YAML and meant to take long: each is refused, or accepted, within two seconds."""

from __future__ import annotations

import pytest

from gdrun.config.rendering import render
from gdrun.errors import ConfigError
from gdrun.experiment.loading import load_config
from tests.experiment.texts import LINE, line
from tests.hang import no_hang

N = 30_000
MANY = range(250)


def listed(item: str, count: int = N) -> str:
    return "[" + ", ".join([item] * count) + "]"


def named(pattern: str, numbers=MANY) -> str:
    return "{" + ", ".join(pattern.format(number) for number in numbers) + "}"


def model(parameters: str = "{a: 1}", formula: str = "a * x", more: str = "") -> str:
    return f"{{kind: formula, formula: '{formula}', parameters: {parameters}{more}}}"


ATTACKS = {
    "many constants": line(constants=named("a{0}: 1", range(N))),
    "many formulas": line(constants=named("a{0}: 2 * 3 + 4 * 5")),
    "many unknown names": line(constants=named("a{0}: b{0} + c{0} * d{0}")),
    "unknown names in one formula": line(model=model(formula=" + ".join(f"n{i}" for i in range(600)))),
    "unknown calls in one formula": line(model=model(formula=" + ".join(f"n{i}(x)" for i in range(500)))),
    "names that are nearly right": line(
        constants=named("abcdefghijklmnop{0}: 1"),
        model=model(formula=" + ".join(f"abcdefghijklmnoq{i}" for i in range(190))),
    ),
    "the longest formulas": line(constants=named("a{0}: " + " + ".join(["1"] * 1000), range(9))),
    "many parameters": line(model=model(parameters=named("a{0}: 1"))),
    "many networks": line(model=model(more=", networks: " + named("n{0}: mlp"))),
    "many unknown keys": LINE + "".join(f"zlearning_rate{i}: 1\n" for i in MANY),
    "many unknown keys in many sections": line(
        model="{kind: layers, layers: " + listed("{kind: dense, unis: 1, actvation: relu}", 15_000) + "}"
    ),
    "many layers": line(model=f"{{kind: layers, layers: {listed('relu')}}}"),
    "many wrong layers": line(model=f"{{kind: layers, layers: {listed('rleu')}}}"),
    "many metrics": line(metrics=listed("mae")),
    "many metric formulas": line(metrics=listed("{name: a, formula: sum(prediction)}", 15_000)),
    "many rows": line(expect=f"{{trace: {listed('{step: 1, b: 2}', 20_000)}}}"),
    "many numbers": line(data=f"{{kind: values, inputs: {{x: {listed('1', 90_000)}}}, target: [1]}}"),
    "many formulas in a list": line(model=model(parameters=f"{{a: {listed('x+1', 90_000)}}}")),
    "deep lists": line(data="{kind: values, inputs: {x: " + "[" * 60 + "1" + "]" * 60 + "}, target: [1]}"),
    "a long kind": line(optimizer="{kind: " + "x" * 900_000 + "}"),
    "a long text": line(description="x" * 1_000_000),
    "a long range": line(data="{kind: csv, path: f, inputs: [x], rows: '" + "1" * 30_000 + "'}"),
    "a tower of powers": line(model=model(formula="2**" * 90 + "x")),
    "a formula of brackets": line(model=model(formula="(" * 4000)),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_ends_soon_with_a_bounded_text(attack):
    with no_hang():
        try:
            load_config(ATTACKS[attack].encode())
            shown = ""
        except ConfigError as error:
            shown = render(error.problems, error.source)
    assert len(shown) < 50_000
