"""Each kind is one class that knows itself: read off the source, no file outside its family asks which kind it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from gdrun.data.section import DataSection
from gdrun.losses.base import LossSection
from gdrun.models.base import ModelSection
from gdrun.models.layers.base import KerasLayer
from gdrun.optimizers.base import OptimizerSection
from tests.families import members
from tests.sources import nodes, nodes_of

FAMILIES: dict[str, tuple[str, type]] = {
    "data": ("data", DataSection),
    "losses": ("losses", LossSection),
    "models": ("models", ModelSection),
    "layers": ("models", KerasLayer),
    "optimizers": ("optimizers", OptimizerSection),
}
"""Family -> its package, and the base class of its kinds, which others may know."""
SHARED_WORDS = {"formula", "custom", "linear", "values", "reshape", "csv", "npz", "parquet", "keras", "output", "none"}
"""Kinds of several families, activations, functions, formats of files: comparing with one of these shows nothing."""


def others(family: str) -> tuple[str, ...]:
    """Return the top packages and modules that are not the family's."""
    return tuple({module.split(".")[0] for module in nodes()} - {FAMILIES[family][0]})


@pytest.mark.parametrize("family", FAMILIES)
def test_no_other_package_imports_a_kind(family: str) -> None:
    """Without the class there is no isinstance and no match on it."""
    base = FAMILIES[family][1]
    known = {part.__name__ for cls in members(family).values() for part in cls.__mro__ if issubclass(part, base)}
    imported = [
        f"{module}: {alias.name}"
        for module, node in nodes_of(ast.ImportFrom, packages=others(family))
        if (node.module or "").startswith(f"gdrun.{FAMILIES[family][0]}")
        for alias in node.names
        if alias.name in known - {base.__name__}
    ]
    assert not imported, "\n".join(imported)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_other_package_compares_with_the_word_for_a_kind(family: str) -> None:
    words = members(family).keys() - SHARED_WORDS
    compared = [
        f"{module}:{node.lineno}: {constant.value}"
        for module, node in nodes_of(ast.Compare, ast.MatchValue, packages=others(family))
        for constant in ast.walk(node)
        if isinstance(constant, ast.Constant) and constant.value in words
    ]
    assert not compared, "\n".join(compared)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_class_with_a_kind_is_in_its_union(family: str) -> None:
    def leaves(section: type) -> Iterator[type]:
        if "kind" in section.model_fields:  # type: ignore[attr-defined]
            yield section
        for sub in section.__subclasses__():
            yield from leaves(sub)

    own = {cls for cls in leaves(FAMILIES[family][1]) if cls.__module__.startswith("gdrun.")}
    assert own == set(members(family).values())
