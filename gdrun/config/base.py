"""The ground that every section of a config stands on: strictness, numbers, names, formulas, tagged unions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Union

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
)
from pydantic_core import PydanticCustomError, core_schema

from gdrun.errors import FormulaError
from gdrun.formula.parse import RESERVED, parse


class Section(BaseModel):
    """A part of a config: no unknown key, no coercion, no NaN or infinity, immutable.

    The string below a field says what it means; `gdrun explain`, the JSON Schema and the docs show it.
    """

    # defer_build: only the root builds a validator, which contains all others; building each costs start-up time.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


def _integral(value: Any) -> Any:
    """YAML reads 1e4 as a float; where an integer is meant, a float without a fraction is one."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return value


Integer = Annotated[int, BeforeValidator(_integral)]
PositiveInteger = Annotated[Integer, Field(ge=1)]
Count = Annotated[Integer, Field(ge=0)]
Number = float
PositiveNumber = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
UnitInterval = Annotated[float, Field(ge=0, le=1)]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")


def _identifier(value: Any) -> str:
    """A name that formulas can use: ASCII letters, digits, underscores; not a name of the language itself."""
    if not isinstance(value, str) or not _IDENTIFIER.match(value):
        raise PydanticCustomError(
            "identifier", "a name is letters, digits and underscores and does not begin with a digit"
        )
    if value in RESERVED:
        raise PydanticCustomError(
            "reserved_name", "'{name}' belongs to the formula language; choose another name", {"name": value}
        )
    return value


Identifier = Annotated[str, BeforeValidator(_identifier)]


class _FormulaType:
    """Validates a formula by parsing it; keeps what was written (str, number or nested tuple of them)."""

    def __init__(self, *, text_only: bool = False) -> None:
        self.text_only = text_only

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        if self.text_only:
            return {"type": ["string", "number"]}
        return {"type": ["string", "number", "array"]}

    def _check(self, value: Any) -> Any:
        try:
            parse(value)
        except FormulaError as error:
            context = {
                "reason": error.message,
                "offset": error.offset,
                "length": error.length,
                "hint": error.hint,
            }
            raise PydanticCustomError("formula", "{reason}", context) from None
        return value


Formula = Annotated[Any, _FormulaType()]
"""A formula: text, a number, or a nested list of them."""


def _array(value: Any) -> Any:
    """Numbers, nested to a rectangle."""

    def shape(item: Any) -> tuple[int, ...]:
        if isinstance(item, bool) or not isinstance(item, (int, float, tuple, list)):
            raise PydanticCustomError("array", "expected a number or nested lists of numbers")
        if not isinstance(item, (tuple, list)):
            return ()
        shapes = {shape(child) for child in item}
        if len(shapes) > 1:
            raise PydanticCustomError("ragged_array", "the rows of this array have different lengths")
        return (len(item), *(shapes.pop() if shapes else ()))

    shape(value)
    return value


class _ArrayType:
    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(_array)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": ["number", "array"]}


Array = Annotated[Any, _ArrayType()]
"""A number or a rectangular nest of lists of numbers."""


def by_form(**arms: Any) -> Any:
    """Return a union whose member is chosen by the form of the value: `mapping`, `sequence` or `scalar`.

    Error paths contain the chosen arm as "<mapping>" and so on; `problems` removes it.
    """

    def form(value: Any) -> str:
        name = "mapping" if isinstance(value, (Mapping, BaseModel)) else "scalar"
        name = "sequence" if isinstance(value, (tuple, list)) else name
        return f"<{name if name in arms else next(iter(arms))}>"

    tagged = tuple(Annotated[arm, Tag(f"<{name}>")] for name, arm in arms.items())
    return Annotated[Union[tagged], Discriminator(form)]  # noqa: UP007 - the members are computed


class Kinds:
    """Marks a union whose members are told apart by `kind`; a bare string is short for `{kind: ...}`.

    `variants` maps each kind to its section class; `short` maps further bare strings to the mapping they stand for;
    `implied` is the kind of a mapping that names none (None: the kind is required).
    """

    def __init__(
        self,
        variants: Mapping[str, type[Section]],
        short: Mapping[str, Mapping[str, Any]] | None = None,
        implied: str | None = None,
    ) -> None:
        self.variants = dict(variants)
        self.short = dict(short or {})
        self.implied = implied

    def expand(self, value: Any) -> Any:
        """Return the mapping that `value` stands for; anything that is no short form comes back as it is."""
        if isinstance(value, str):
            return dict(self.short.get(value, {"kind": value}))
        if isinstance(value, Mapping):
            if isinstance(value.get("kind"), str) and value["kind"] in self.short:
                return {**self.short[value["kind"]], **{k: v for k, v in value.items() if k != "kind"}}
            if self.implied is not None and "kind" not in value:
                return {"kind": self.implied, **value}
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"enum": [*self.variants, *self.short]}, handler(schema)]}


def kinds(
    *variants: type[Section],
    short: Mapping[str, Mapping[str, Any]] | None = None,
    implied: str | None = None,
) -> Any:
    """Return the annotated union of `variants`, tagged by their `kind` literal."""
    table = {kind: variant for variant in variants for kind in variant_kinds(variant)}
    if len(variants) == 1:
        return Annotated[variants[0], Kinds(table, short, implied)]
    return Annotated[Union[variants], Field(discriminator="kind"), Kinds(table, short, implied)]  # noqa: UP007


def variant_kinds(variant: type[Section]) -> tuple[str, ...]:
    """Return the values of `kind` that choose `variant`."""
    annotation = next(base.__annotations__["kind"] for base in variant.__mro__ if "kind" in base.__annotations__)
    if isinstance(annotation, str):
        return tuple(re.findall(r'"([^"]+)"', annotation))
    return tuple(annotation.__args__)
