"""Sections of a config, as pydantic models, and the types of their values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, get_args

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from gdrun.errors import FormulaError, Problem
from gdrun.formula import numpy_ops
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.parse import check_name, parse

from .scalars import reads_as_number

STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, loc_by_alias=True, defer_build=True)


class Section(BaseModel):
    """A part of a config: no unknown key, no coercion, no NaN or infinity, immutable.

    The string below a field is its description for users, in `gdrun explain`, the JSON Schema and the docs.
    """

    model_config = STRICT

    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of keys of which one may be given: in `extends` and overrides, one takes the place of the others."""
    gathers: ClassVar[str | None] = None
    """The field, a mapping, that takes every key which is no field."""
    short: ClassVar[str | None] = None
    """The field that a bare value is short for."""
    written_short: ClassVar[bool] = False
    """True where `dump` writes the bare value, if all other settings have their defaults."""
    left_out: ClassVar[bool] = False
    """True where `dump` leaves the section out, if all settings have their defaults."""
    inherits: ClassVar[str | None] = None
    """The field that may hold a section of the same kind, which inherits the settings that it leaves out."""
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Further words for `kind`, each with the settings it stands for; the annotation of `kind` lists them, too."""
    hints: ClassVar[Mapping[str, str]] = {}
    """Keys that it does not have -> the hint of what is written in their place."""


class ShortSection(Section):
    """A section with short forms: `short`, `aliases` or `gathers`."""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        """Write out short forms."""
        if cls.short is not None and not isinstance(value, Mapping | Section):
            return {cls.short: value}
        if not isinstance(value, Mapping):
            return value
        if cls.aliases and value.get("kind") in cls.aliases:
            (kind, *_) = cls.model_fields["kind"].annotation.__args__  # type: ignore[union-attr]
            value = {**cls.aliases[value["kind"]], **value, "kind": kind}
        if cls.gathers is not None and cls.gathers not in value:
            own = {name: item for name, item in value.items() if name in cls.model_fields}
            value = {**own, cls.gathers: {name: item for name, item in value.items() if name not in own}}
        return value


def _kind_alone(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


BareKind = BeforeValidator(_kind_alone)
"""In a union of kinds: a bare string is short for `{kind: ...}`."""


LATER_MEMBERS = "x-members"
"""In the JSON Schema of a LaterUnion: the names of its sections, which are definitions of the whole schema."""


@dataclass(frozen=True)
class LaterUnion:
    """Mark of a value of a union that a section of the union itself refers to, so that it is complete only later."""

    union: Callable[[], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        # Not the union's own schema: pydantic would generate each member's within that of the one before, 50 frames of
        # Python's stack a member, and a union of 19 kinds would exceed the stack.
        return handler.generate_schema(Annotated[Any, PlainValidator(self._validate)])

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        union, *_ = get_args(self.union())
        members = get_args(union) or (union,)
        return {LATER_MEMBERS: [member.__name__ for member in members]}

    def _validate(self, value: Any, info: ValidationInfo) -> Any:
        return self._adapter.validate_python(value, context=info.context)

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.union())


class PartOf(LaterUnion):
    """Mark of a mapping with some of the keys of a section, which is checked once it is merged over others."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return handler(source)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "object"}


def by_form(*forms: str) -> Discriminator:
    """Return the discriminator that chooses a member of a union by the value's form: "mapping", "sequence" or "scalar".

    The members have the Tags "<mapping>" and so on; error paths hold these, and `problems` removes them. A form that
    has no member is validated as the first one.
    """

    def form(value: Any) -> str:
        name = "mapping" if isinstance(value, Mapping | Section) else "scalar"
        name = "sequence" if isinstance(value, tuple | list) else name
        return f"<{name if name in forms else forms[0]}>"

    return Discriminator(form)


def check_number(value: Any) -> Any:
    """Return the value of a constant formula, 1 / 3 or 2 * pi, and anything else as it is."""
    if not isinstance(value, str) or reads_as_number(value):
        return value
    try:
        expression = parse(value)
        if expression.names - {"pi"} or expression.draws:
            return value
        result = evaluate(expression, Scope({}, ops=numpy_ops.table()))
    except FormulaError:
        return value
    return float(result) if np.ndim(result) == 0 and np.isrealobj(result) and np.isfinite(result) else value


def check_integer(value: Any) -> Any:
    """Return a float without a fraction as an integer, anything else as it is: YAML reads 1e4 as a float."""
    value = check_number(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return value


class _ConstantFormula:
    """The JSON Schema of a number that may be written as a constant formula."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        written: dict[str, Any] = handler(schema)
        return {**written, "type": [written["type"], "string"]}


Computed = BeforeValidator(check_number)
"""A number may be a constant formula. Comes after the bounds, as `Whole`."""
Whole = BeforeValidator(check_integer)
"""Comes after the bounds of an integer, which are then part of the JSON Schema."""
Integer = Annotated[int, Whole, _ConstantFormula()]
PositiveInteger = Annotated[int, Field(ge=1), Whole, _ConstantFormula()]
Count = Annotated[int, Field(ge=0), Whole, _ConstantFormula()]
Number = Annotated[float, Computed, _ConstantFormula()]
PositiveNumber = Annotated[float, Field(gt=0), Computed, _ConstantFormula()]
NonNegative = Annotated[float, Field(ge=0), Computed, _ConstantFormula()]
Share = Annotated[float, Field(gt=0, lt=1), Computed, _ConstantFormula()]
UnitInterval = Annotated[float, Field(ge=0, le=1), Computed, _ConstantFormula()]


def refusal(*problems: Problem) -> PydanticCustomError:
    """Return the error by which a check refuses a value, with all that is to be said; paths count from the value."""
    message = "; ".join(problem.message for problem in problems)
    return PydanticCustomError(
        "problems", "{message}", {"message": message, "hint": problems[0].hint, "problems": problems}
    )


def _network_name(value: Any) -> str:
    """Return a name that formulas can call, an identifier that is no function's; refuse any other."""
    return _identifier(value, called=True)


def _identifier(value: Any, *, called: bool = False) -> str:
    """Return a name that formulas can use: ASCII letters, digits, underscores; refuse names of the language itself."""
    problem = check_name(str(value), called=called)
    if problem is not None:
        raise refusal(Problem(problem.message, hint=problem.hint, key=True))
    return value


_NAME_SCHEMA = WithJsonSchema({"title": "a name", "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,63}$"})
Identifier = Annotated[str, AfterValidator(_identifier), _NAME_SCHEMA]
DerivedName = Annotated[str, AfterValidator(lambda name: name if name == "target" else _identifier(name)), _NAME_SCHEMA]
"""An identifier, or `target`, which a formula of derived data may replace."""
NetworkName = Annotated[str, AfterValidator(_network_name), _NAME_SCHEMA]


MAX_LISTED_FORMULAS = 1000


def num_texts(value: Any) -> int:
    """Count the texts in nested lists, or in a text itself."""
    return sum(map(num_texts, value)) if isinstance(value, tuple | list) else isinstance(value, str)


def check_formula(value: Any) -> Any:
    """Return `value` if it is a formula; else refuse it at the token's place."""
    if isinstance(value, tuple | list) and num_texts(value) > MAX_LISTED_FORMULAS:
        raise ValueError(f"more than {MAX_LISTED_FORMULAS} formulas in one list")
    try:
        parse(value)
    except FormulaError as error:
        raise refusal(error.problem(())) from None
    return value


FORMULA = AfterValidator(check_formula)
Formula = Annotated[Any, FORMULA, WithJsonSchema({"title": "a formula", "type": ["string", "number", "array"]})]
"""A formula: text, a number, or a nested list of them; kept as it was written, with tuples for lists."""


def check_array(value: Any) -> Any:
    """Return `value` if it is a number or numbers nested to a rectangle; every entry of a dimension counts alike."""

    def shape(item: Any) -> tuple[int, ...]:
        if isinstance(item, bool) or not isinstance(item, int | float | tuple | list):
            raise ValueError("expected a number or nested lists of numbers")
        if not isinstance(item, tuple | list):
            return ()
        shapes = {shape(child) for child in item}
        if len(shapes) > 1:
            raise ValueError("the rows of this array have different lengths")
        return (len(item), *(shapes.pop() if shapes else ()))

    shape(value)
    return value


Array = Annotated[
    Any,
    AfterValidator(check_array),
    WithJsonSchema({"title": "a number or nested lists of numbers", "type": ["number", "array"]}),
]
"""A number or a rectangular nest of lists of numbers."""
