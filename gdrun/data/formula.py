"""Examples by formula."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gdrun.config.name_scopes import ConfigNames, Use, in_order
from gdrun.config.section import Formula, Identifier
from gdrun.errors import ConfigPath, FormulaError, Problem
from gdrun.formula import numpy_ops
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.failures import inside
from gdrun.formula.nodes import Expression
from gdrun.formula.parse import parse
from gdrun.random_streams import RandomNumbers

from .dataset import Dataset, dataset
from .section import DataSection, LoadContext


class FormulaData(DataSection):
    """Inputs and target by formula."""

    kind: Literal["formula"]
    inputs: Annotated[dict[Identifier, Formula], Field(min_length=1)]
    """Each input by name; later ones may use earlier ones. The leading axis counts the examples."""
    target: Formula | None = None
    """The target, of inputs and constants."""
    noise: Formula | None = None
    """Added to the target, for example normal(0, 0.1); its shape is the target's."""

    @property
    def has_target(self) -> bool:
        return self.target is not None

    def input_names(self) -> tuple[str, ...]:
        return tuple(self.inputs)

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.noise is not None and self.target is None:
            yield Problem("noise is added to the target, but there is no target", ("data", "noise"), key=True)

    def examples(self, context: LoadContext) -> Dataset:
        """Evaluate inputs, target and noise, in this order, in float64.

        Raises:
            FormulaError: a formula that cannot be evaluated, inside ("inputs", name), ("target",) or ("noise",).
            DataError: noise of another shape, or a failed check of `dataset`.
        """
        ops = numpy_ops.table(context.generator())
        names: dict[str, np.ndarray] = dict(context.constants)
        arrays: dict[str, np.ndarray] = {}
        for name, formula in self.inputs.items():
            with inside("inputs", name):
                arrays[name] = names[name] = _value(parse(formula), Scope(names, ops=ops), f"data.inputs.{name}")
        if self.target is None:
            return dataset(arrays)
        with inside("target"):
            target = _value(parse(self.target), Scope(names, ops=ops), "data.target")
        if self.noise is not None:
            with inside("noise"):
                noise = _value(parse(self.noise), Scope(names, ops=ops, draw_shape=target.shape), "data.noise")
                if not _fits(noise.shape, target.shape):
                    raise FormulaError(
                        f"the noise has shape {noise.shape}, the target {target.shape}",
                        hint="a draw without a count, such as normal(0, 0.1), takes the target's shape",
                    )
            target = target + noise
        return dataset(arrays, target)

    def uses(self, path: ConfigPath, names: ConfigNames) -> Iterator[Use]:
        yield from in_order((*path, "inputs"), self.inputs, names.constants)
        for key, text in (("target", self.target), ("noise", self.noise)):
            yield Use((*path, key), text, (*names.constants, *self.inputs), phase="start")
        yield from super().uses(path, names)


def with_derived(
    data: Dataset,
    formulas: Mapping[str, Expression],
    *,
    constants: Mapping[str, np.ndarray] | None = None,
    random: RandomNumbers | None = None,
) -> Dataset:
    """Return the data set with further inputs, and with the target that the formula `target` computes, in float64.

    Args:
        formulas: each sees the constants, the inputs, the target and those before it.
        constants: values by name.
        random: where draws come from; None refuses them.
    Raises:
        FormulaError: a formula that cannot be evaluated, inside ("derived", name).
        DataError: a value with another number of examples, or one that is not finite.
    """
    target = {} if data.target is None else {"target": data.target}
    names = {**(constants or {}), **data.inputs, **target}
    inputs = dict(data.inputs)
    for name, expression in formulas.items():
        with inside("derived", name):
            scope = Scope(names, ops=numpy_ops.table(random), draw_shape=(data.num_examples,))
            value = names[name] = _value(expression, scope, f"data.derived.{name}")
            if not value.ndim or len(value) != data.num_examples:
                raise FormulaError(
                    f"'{name}' has shape {value.shape}, but there are {data.num_examples} examples",
                    hint="its leading axis counts the examples",
                )
            if not np.all(np.isfinite(value)):
                raise FormulaError(f"'{name}' has values that are not finite")
            inputs[name] = value
    if (computed := inputs.pop("target", None)) is not None:
        # Text that was numbered is not what the numbers stand for any more.
        data = replace(data, target=computed, labels=())
    return replace(data, inputs=inputs)


def _value(expression: Expression, scope: Scope, owner: str) -> np.ndarray:
    # A value that overflows or divides by zero is reported by `dataset`, with its place.
    with np.errstate(all="ignore"):
        return numpy_ops.number(evaluate(expression, scope, owner=owner))


def _fits(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Return whether an array of `shape` can be added to one of shape `target` and leave it that shape."""
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False
