"""Annotation -> what pydantic's core needs to know to check a value of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic_core import core_schema
from pydantic_core.core_schema import CoreSchema

from .section import Alias, Bounds, Section

_SIMPLE: Mapping[Any, Any] = {
    int: core_schema.int_schema,
    float: core_schema.float_schema,
    str: core_schema.str_schema,
    bool: core_schema.bool_schema,
    Any: core_schema.any_schema,
}


def core(annotation: Any) -> CoreSchema:
    """Return the schema of an annotation.

    Known are int, float, str, bool, Any, Literal, `tuple[X, ...]`, `dict[K, V]`, sections, `X | None`, and Annotated
    with Bounds or with marks that have a `schema(annotation)` or an `around(schema)` of their own.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _marked(arguments[0], arguments[1:])
    if origin in (Union, UnionType):
        (inner,) = (arm for arm in arguments if arm is not NoneType)
        return core_schema.nullable_schema(core(inner))
    if origin is Literal:
        return core_schema.literal_schema(list(arguments))
    if origin is tuple:
        assert arguments[1] is ...
        return core_schema.tuple_schema([core(arguments[0])], variadic_item_index=0)
    if origin is dict:
        return core_schema.dict_schema(core(arguments[0]), core(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return core_schema.no_info_plain_validator_function(annotation.model_validate)
    return _SIMPLE[annotation]()


def _marked(annotation: Any, marks: tuple[Any, ...]) -> CoreSchema:
    own = next((mark for mark in marks if hasattr(mark, "schema")), None)
    schema = own.schema(annotation) if own is not None else core(annotation)
    for mark in marks:
        if isinstance(mark, Bounds):
            _bound(schema, mark.limits)
        elif hasattr(mark, "around"):
            schema = mark.around(schema)
        else:
            assert mark is own or isinstance(mark, Alias)
    return schema


def _bound(schema: Any, limits: Mapping[str, Any]) -> None:
    """Put bounds into a schema, below what is wrapped around the value."""
    while "schema" in schema:
        schema = schema["schema"]
    schema.update(limits)
