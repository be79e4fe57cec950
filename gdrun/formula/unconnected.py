"""Reasons why a target has no derivative by a name, from the formulas between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import nodes
from .nodes import Definition, Expression, FormulaNode, LoopDefinition, children
from .table import TABLE

NO_WAY = "the tape finds no way back to it"
"""Why a derivative is missing, where nothing better is known."""

_COMPARISONS = frozenset({"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"})
_STEPS = frozenset({"floor", "ceil", "round", "argmax", "argmin", "argsort", "one_hot", "length", "size"})
_TRUTHS = _COMPARISONS | {"logical_and", "logical_or", "logical_not", "isfinite", "isnan", "any", "all"}
_SHAPES = frozenset({"zeros_like", "ones_like"})
_WHOLE = frozenset({"integer", "number", "flag", "shape", "axis", "end"})


def counts(expressions: Mapping[str, Definition]) -> frozenset[str]:
    """Return the names that stand where a number must be known before the run: counts, shapes, axes, flags."""
    names = set()
    for expression in _expressions(expressions):
        for name, ways in _uses(expression.root, ()):
            if "count" in ways:
                names.add(name)
    return frozenset(names)


def reason(name: str, target: Expression, definitions: Mapping[str, Definition]) -> str:
    """Return why `target` has no derivative by `name`, in words.

    Args:
        definitions: what further names of the target stand for.
    """
    ways = _ways(name, target, definitions, frozenset())
    if not ways:
        return f"{_short(target.text)} does not depend on {name}"
    if any("count" in way for way in ways):
        return f"{name} is a count, a shape or an axis here: an integer, fixed before anything is computed"
    if all(way & {"stop_gradient"} for way in ways):
        return "stop_gradient ends every way back to it"
    if all(way & {"index"} for way in ways):
        return f"{name} is an index here: an integer"
    blocked = sorted({step for way in ways for step in way & (_STEPS | _TRUTHS | _SHAPES | {"stop_gradient", "index"})})
    if blocked and all(way & set(blocked) for way in ways):
        steps = dict.fromkeys("a comparison" if step in _COMPARISONS else step for step in blocked)
        return f"{', '.join(steps)} {'ends' if len(steps) == 1 else 'end'} the way back to it"
    return NO_WAY


def _ways(
    name: str, expression: Expression, definitions: Mapping[str, Definition], seen: frozenset[str]
) -> list[frozenset[str]]:
    """Return what stands on each way on which `expression` depends on `name`."""
    ways_found = []
    for used, ways in _uses(expression.root, ()):
        if used == name:
            ways_found.append(ways)
        elif used in definitions and used not in seen:
            for part in _parts(definitions[used]):
                ways_found += [ways | way for way in _ways(name, part, definitions, seen | {used})]
    return ways_found


def _uses(node: FormulaNode, around: tuple[str, ...]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each name below `node` with the functions around it."""
    match node:
        case nodes.NameNode():
            yield node.name, frozenset(around)
        case nodes.CallNode():
            row = TABLE[node.function]
            for key, argument in node.arguments:
                parameter = row.parameter(key)
                kind = parameter.kind if parameter else "value"
                if kind == "name":
                    continue
                more = ("count",) if kind in _WHOLE else ("index",) if key == "indices" else ()
                yield from _uses(argument, (*around, row.name, *more))
        case nodes.OperationNode():
            for operand in node.operands:
                yield from _uses(operand, (*around, node.function))
        case nodes.ComparisonNode():
            for operand in node.operands:
                yield from _uses(operand, (*around, *node.functions))
        case nodes.IndexNode():
            yield from _uses(node.value, around)
            for item in node.items:
                yield from _uses(item, (*around, "index"))
        case _:
            for child in children(node):
                yield from _uses(child, around)


def _parts(definition: Definition) -> tuple[Expression, ...]:
    return definition.parts if isinstance(definition, LoopDefinition) else (definition,)


def _expressions(definitions: Mapping[str, Definition]) -> Iterator[Expression]:
    for definition in definitions.values():
        yield from _parts(definition)


def _short(text: str) -> str:
    return text if len(text) <= 60 else "the target"
