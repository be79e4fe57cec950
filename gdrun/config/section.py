"""A section of a config: a pydantic model in miniature.

pydantic's core validates, strictly; of pydantic itself nothing is imported. Importing `pydantic.BaseModel` takes half
as long as Python, typer, pydantic-core and yaml together, creating its classes and building their validators as long
again, and its first validator looks through all installed packages for plugins. `gdrun validate` would spend more than
half of its time on that. Here a class costs nothing until a config has such a section.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform, get_args, get_origin

from pydantic_core import SchemaValidator, core_schema

_T = TypeVar("_T")
_REQUIRED: Any = ...


class Bounds:
    """Marks what a value, or the length of one, may be."""

    NAMES = ("gt", "ge", "lt", "le", "min_length", "max_length", "pattern")

    def __init__(self, **limits: Any) -> None:
        assert limits.keys() <= set(self.NAMES)
        self.limits = limits


class Alias:
    """Marks a field that users know by another name, one that Python does not allow."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Default:
    """A default that is made anew for each section."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory


def default(factory: Callable[[], _T]) -> _T:
    """Return the default value of a field: `factory()` for each section."""
    return _Default(factory)  # type: ignore[return-value]


class FieldInfo:
    """One field: its annotation without Annotated, the annotation's marks, its default and what users call it."""

    __slots__ = ("_default", "alias", "annotation", "metadata", "whole")

    def __init__(self, annotation: Any, default: Any) -> None:
        self.whole = annotation
        self.metadata: tuple[Any, ...] = getattr(annotation, "__metadata__", ())
        self.annotation = get_args(annotation)[0] if self.metadata else annotation
        self.alias = next((mark.name for mark in self.metadata if isinstance(mark, Alias)), None)
        self._default = default

    @property
    def default(self) -> Any:
        """The default value; `...` where the field is required."""
        return self.get_default()

    def is_required(self) -> bool:
        """Return whether a section must give this field."""
        return self._default is _REQUIRED

    def get_default(self, *, call_default_factory: bool = True) -> Any:
        """Return the default value, made anew where it is made."""
        return self._default.factory() if isinstance(self._default, _Default) else self._default

    def schema(self) -> core_schema.ModelField:
        """Return how the field is validated."""
        from .validators import core

        inner = core(self.whole)
        if isinstance(self._default, _Default):
            inner = core_schema.with_default_schema(inner, default_factory=self._default.factory)
        elif self._default is not _REQUIRED:
            inner = core_schema.with_default_schema(inner, default=self._default)
        return core_schema.model_field(inner, validation_alias=self.alias)


class _Fields:
    """`Section.model_fields`: every field by its name in Python, inherited ones first."""

    def __get__(self, instance: Any, owner: type[Section]) -> dict[str, FieldInfo]:
        known = vars(owner).get("_own_fields")
        if known is None:
            known = {}
            for base in reversed(owner.__mro__):
                for name, annotation in vars(base).get("__annotations__", {}).items():
                    if not _is_private(name, annotation):
                        if isinstance(annotation, str):
                            # `from __future__ import annotations` in the section's module.
                            annotation = eval(annotation, vars(sys.modules[base.__module__]))
                        known[name] = FieldInfo(annotation, getattr(owner, name, _REQUIRED))
            owner._own_fields = known
        return known


def _is_private(name: str, annotation: Any) -> bool:
    is_class_variable = get_origin(annotation) is ClassVar or str(annotation).startswith("ClassVar")
    return name.startswith("_") or is_class_variable


STRICT = core_schema.CoreConfig(strict=True, allow_inf_nan=False, extra_fields_behavior="forbid", loc_by_alias=True)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Section:
    """A part of a config: no unknown key, no coercion, no NaN or infinity, immutable.

    Fields are annotated class attributes, as in pydantic. The string below a field says what it means; `gdrun explain`,
    the JSON Schema and the docs show it.
    """

    # What pydantic's core sets on the instances that it makes.
    __slots__ = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")

    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of keys of which one may be given: in `extends` and overrides, one takes the place of the others."""
    gathers: ClassVar[str | None] = None
    """The field, a mapping, that takes every key which is no field."""
    model_fields: ClassVar[Mapping[str, FieldInfo]] = _Fields()  # type: ignore[assignment]
    """Every field by its name in Python."""
    _own_fields: ClassVar[dict[str, FieldInfo]]
    _validator: ClassVar[SchemaValidator | None] = None

    def __init__(self, **values: Any) -> None:
        """Check `values` and take them.

        Raises:
            pydantic_core.ValidationError: with every mistake.
        """
        type(self).validator().validate_python(values, self_instance=self)

    @classmethod
    def rewrite(cls, value: Any) -> Any:
        """Return what is checked in place of `value`: a hook for short forms."""
        if cls.gathers is None or not isinstance(value, Mapping) or cls.gathers in value:
            return value
        own = {name: item for name, item in value.items() if name in cls.model_fields}
        return {**own, cls.gathers: {name: item for name, item in value.items() if name not in own}}

    def together(self) -> None:
        """Raise PydanticCustomError where fields do not go together: a hook, called once each of them is right."""

    @classmethod
    def validator(cls) -> SchemaValidator:
        """Return what checks this section, built when it is first asked for."""
        validator = vars(cls).get("_validator")
        if validator is None:
            schema: core_schema.CoreSchema = core_schema.model_schema(
                cls,
                core_schema.model_fields_schema({name: field.schema() for name, field in cls.model_fields.items()}),
                custom_init=False,
                frozen=True,
                config=STRICT,
            )
            if cls.together is not Section.together:
                schema = core_schema.no_info_after_validator_function(_completed, schema)
            if cls.gathers is not None or cls.rewrite.__func__ is not Section.rewrite.__func__:  # type: ignore[attr-defined]
                schema = core_schema.no_info_before_validator_function(cls.rewrite, schema)
            validator = cls._validator = SchemaValidator(schema, STRICT)
        return validator

    @classmethod
    def model_validate(cls, value: Any) -> Self:
        """Return the section that `value`, a mapping or such a section, describes.

        Raises:
            pydantic_core.ValidationError: with every mistake.
        """
        return cls.validator().validate_python(value)

    @classmethod
    def model_construct(cls, **values: Any) -> Self:
        """Return a section with `values` as they are and defaults for the rest; nothing is checked."""
        section = cls.__new__(cls)
        filled = {name: values.get(name, field.default) for name, field in cls.model_fields.items()}
        _restore(section, filled, set(values))
        return section

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """Return a copy with some values replaced; nothing is checked."""
        update = update or {}
        section = type(self).__new__(type(self))
        _restore(section, {**vars(self), **update}, {*self.model_fields_set, *update})
        return section

    @property
    def model_fields_set(self) -> set[str]:
        """The names of the fields that were given."""
        return self.__pydantic_fields_set__  # type: ignore[attr-defined]

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        yield from vars(self).items()

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), repr(self)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self)})"

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a {type(self).__name__} does not change; model_copy(update=...) makes another")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {type(self).__name__} does not change")

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), dict(vars(self)), set(self.model_fields_set))


def _completed(section: Section) -> Section:
    section.together()
    return section


def _restore(section: Section, values: dict[str, Any], given: set[str]) -> None:
    object.__setattr__(section, "__dict__", values)
    object.__setattr__(section, "__pydantic_fields_set__", given)
    object.__setattr__(section, "__pydantic_extra__", None)
    object.__setattr__(section, "__pydantic_private__", None)


def _remade(cls: type[Section], values: dict[str, Any], given: set[str]) -> Section:
    section = cls.__new__(cls)
    _restore(section, values, given)
    return section
