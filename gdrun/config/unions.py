"""Values that can be one of several things. Which one is decided first; only that one's validator is ever built.

A section is named by the class itself or, so that it is imported only when a config uses it, by its place:
"gdrun.schedules.factors:CosineFactor" is the class CosineFactor of gdrun.schedules.factors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Annotated, Any, TypeVar

from pydantic_core import PydanticCustomError, core_schema

from .section import Section

Reference = Any
"""A section class, or its place as text."""


def load(reference: Reference) -> type[Section]:
    """Return the class that `reference` names."""
    if isinstance(reference, str):
        module, _, name = reference.partition(":")
        return getattr(import_module(module), name)
    return reference


def from_elsewhere(module: str, elsewhere: Mapping[str, str], name: str) -> Any:
    """Return what `name` means in `module`, for names that another module defines; for a module's `__getattr__`."""
    if name in elsewhere:
        return load(f"{elsewhere[name]}:{name}")
    raise AttributeError(f"module {module!r} has no attribute {name!r}")


class Check:
    """Marks a value that `check` accepts, raises for, or replaces; `words` and `json_schema` say what it accepts."""

    def __init__(self, check: Callable[[Any], Any], words: str, json_schema: Mapping[str, Any]) -> None:
        self.check = check
        self.words = words
        self.json_schema = dict(json_schema)

    def schema(self, annotation: Any) -> core_schema.CoreSchema:
        """Return how the value is validated."""
        return core_schema.no_info_plain_validator_function(self.check)


class Before:
    """Marks a value that `change` is applied to before it is validated."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self.change = change

    def around(self, schema: core_schema.CoreSchema) -> core_schema.CoreSchema:
        """Return how the value is validated, given how the changed one is."""
        return core_schema.no_info_before_validator_function(self.change, schema)


class Nested:
    """Marks a section whose validator is built when the first value for it comes.

    `of` is the section where the annotation itself does not name it; anything but a mapping is short for
    `{short: ...}`.
    """

    def __init__(self, of: Reference = None, *, short: str | None = None) -> None:
        self.of = of
        self.short = short

    def section(self, source: Any = None) -> type[Section]:
        """Return the class; `source` is the annotation that carries this mark."""
        return load(self.of or source)

    def expand(self, value: Any) -> Any:
        """Return the mapping that `value` stands for."""
        if self.short is None or _is_section(value):
            return value
        return {self.short: value}

    def schema(self, annotation: Any) -> core_schema.CoreSchema:
        """Return how the value is validated."""

        def validate(value: Any) -> Any:
            return self.section(annotation).model_validate(self.expand(value))

        return core_schema.no_info_plain_validator_function(validate)


_T = TypeVar("_T")
Lazy = Annotated[_T, Nested()]
"""Lazy[Patience]: a section whose validator is built when a config has one."""


def _is_section(value: Any) -> bool:
    return isinstance(value, Mapping | Section)


class ByForm:
    """Marks a union whose member is chosen by the form of the value: `mapping`, `sequence` or `scalar`.

    A form that has no member is validated as the first one. Error paths hold the form as "<mapping>" and so on;
    `problems` removes it.
    """

    def __init__(self, arms: Mapping[str, Any], choose: Callable[[Any], str] | None = None) -> None:
        self.arms = dict(arms)
        self.choose = choose

    def form(self, value: Any) -> str:
        """Return the form of `value`, in angle brackets."""
        if self.choose is not None:
            return f"<{self.choose(value)}>"
        name = "mapping" if _is_section(value) else "sequence" if isinstance(value, tuple | list) else "scalar"
        return f"<{name if name in self.arms else next(iter(self.arms))}>"

    def schema(self, annotation: Any) -> core_schema.CoreSchema:
        """Return how the value is validated."""
        from .validators import core

        choices = {f"<{name}>": core(arm) for name, arm in self.arms.items()}
        return core_schema.tagged_union_schema(choices, self.form)


class Kinds:
    """Marks a union whose members are told apart by `kind`; a bare string is short for `{kind: ...}`.

    `variants` maps each kind to its section; `short` maps further bare strings to the mapping they stand for.
    """

    def __init__(self, variants: Mapping[str, Reference], short: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.variants = dict(variants)
        self.short = dict(short or {})

    def variant(self, kind: str) -> type[Section]:
        """Return the section of `kind`, which must be one of `variants`."""
        return load(self.variants[kind])

    def expand(self, value: Any) -> Any:
        """Return the mapping that `value` stands for; anything that is no short form comes back as it is."""
        if isinstance(value, str):
            return dict(self.short.get(value, {"kind": value}))
        if isinstance(value, Mapping) and isinstance(value.get("kind"), str) and value["kind"] in self.short:
            return {**self.short[value["kind"]], **{key: item for key, item in value.items() if key != "kind"}}
        return value

    def validate(self, value: Any) -> Section:
        """Return the section that `value` describes."""
        if isinstance(value, Section):
            return self.variant(value.kind).model_validate(value)  # type: ignore[attr-defined]
        value = self.expand(value)
        allowed = {"allowed": [*self.variants, *self.short]}
        if not isinstance(value, Mapping):
            raise PydanticCustomError("kind_form", "expected a mapping with a kind, or a kind", allowed)
        if "kind" not in value:
            raise PydanticCustomError("kind_missing", "kind is missing", allowed)
        kind = value["kind"]
        if not isinstance(kind, str) or kind not in self.variants:
            raise PydanticCustomError("kind_unknown", "unknown kind", {"kind": kind, **allowed})
        return self.variant(kind).model_validate(value)

    def schema(self, annotation: Any) -> core_schema.CoreSchema:
        """Return how the value is validated."""
        return core_schema.no_info_plain_validator_function(self.validate)


def kinds(variants: Mapping[str, Reference], *, short: Mapping[str, Mapping[str, Any]] | None = None) -> Any:
    """Return the annotation of a section that `kind` chooses from `variants`."""
    return Annotated[Any, Kinds(variants, short)]
