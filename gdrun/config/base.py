"""The ground that every section of a config stands on: strictness, numbers, names, formulas, arrays."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

from pydantic_core import PydanticCustomError, core_schema

from gdrun.errors import FormulaError
from gdrun.formula.parse import Expression, check_name, parse

from .section import Bounds, Section, default
from .unions import Before, Check, Nested, kinds

__all__ = [
    "Array",
    "Bounds",
    "Check",
    "Count",
    "Formula",
    "Identifier",
    "Integer",
    "Nested",
    "NetworkName",
    "NonNegative",
    "Number",
    "PositiveInteger",
    "PositiveNumber",
    "Section",
    "Share",
    "UnitInterval",
    "check_array",
    "check_integer",
    "default",
    "kinds",
]


def check_integer(value: Any) -> Any:
    """YAML reads 1e4 as a float; where an integer is meant, a float without a fraction is one."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return value


Integer = Annotated[int, Before(check_integer)]
PositiveInteger = Annotated[Integer, Bounds(ge=1)]
Count = Annotated[Integer, Bounds(ge=0)]
Number = float
PositiveNumber = Annotated[float, Bounds(gt=0)]
NonNegative = Annotated[float, Bounds(ge=0)]
Share = Annotated[float, Bounds(gt=0, lt=1)]
UnitInterval = Annotated[float, Bounds(ge=0, le=1)]


def _network_name(value: Any) -> str:
    """A name that formulas can call: an identifier that is no function's."""
    return _identifier(value, called=True)


def _identifier(value: Any, *, called: bool = False) -> str:
    """A name that formulas can use: ASCII letters, digits, underscores; not a name of the language itself."""
    problem = check_name(str(value), called=called)
    if problem is not None:
        raise PydanticCustomError("identifier", "{reason}", {"reason": problem.message, "hint": problem.hint})
    return value


_PATTERN = {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,63}$"}
Identifier = Annotated[str, Check(_identifier, "a name", _PATTERN)]
NetworkName = Annotated[str, Check(_network_name, "a name", _PATTERN)]


MAX_LISTED_FORMULAS = 1000


def num_texts(value: Any) -> int:
    """Count the texts in nested lists, or in a text itself."""
    return sum(map(num_texts, value)) if isinstance(value, tuple | list) else isinstance(value, str)


_parse_text = lru_cache(maxsize=4096)(parse)


def read_formula(value: Any) -> Expression:
    """Parse a formula; the same text only once, for a config is looked at more than once.

    Raises:
        FormulaError: if it cannot be read.
    """
    return _parse_text(value) if isinstance(value, str) else parse(value)


class FormulaType:
    """Validates a formula by parsing it; keeps what was written (str, number or nested tuple of them)."""

    def schema(self, annotation: Any) -> core_schema.CoreSchema:
        """Return how the value is validated."""
        return core_schema.no_info_plain_validator_function(self.check)

    def check(self, value: Any) -> Any:
        """Return `value` if it is a formula; else raise an error of type "formula" that knows the token's place."""
        if isinstance(value, tuple | list) and num_texts(value) > MAX_LISTED_FORMULAS:
            raise PydanticCustomError("formula_list", f"more than {MAX_LISTED_FORMULAS} formulas in one list")
        try:
            read_formula(value)
        except FormulaError as error:
            context = {
                "reason": error.message,
                "offset": error.offset,
                "length": error.length,
                "hint": error.hint,
                "inside": getattr(error, "inside", ()),
            }
            raise PydanticCustomError("formula", "{reason}", context) from None
        return value


Formula = Annotated[Any, FormulaType()]
"""A formula: text, a number, or a nested list of them."""


def check_array(value: Any) -> Any:
    """Return `value` if it is a number or numbers nested to a rectangle; every entry of a dimension counts alike."""

    def shape(item: Any) -> tuple[int, ...]:
        if isinstance(item, bool) or not isinstance(item, int | float | tuple | list):
            raise PydanticCustomError("array", "expected a number or nested lists of numbers")
        if not isinstance(item, tuple | list):
            return ()
        shapes = {shape(child) for child in item}
        if len(shapes) > 1:
            raise PydanticCustomError("ragged_array", "the rows of this array have different lengths")
        return (len(item), *(shapes.pop() if shapes else ()))

    shape(value)
    return value


Array = Annotated[Any, Check(check_array, "a number or nested lists of numbers", {"type": ["number", "array"]})]
"""A number or a rectangular nest of lists of numbers."""
