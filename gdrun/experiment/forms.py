"""The shape of the language as data: which sections, keys and kinds stand where. Read from the annotations."""

from __future__ import annotations

from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from gdrun.config.base import FormulaType, Section
from gdrun.config.source import Node
from gdrun.config.unions import ByForm, Kinds, Nested


@dataclass(frozen=True)
class Form:
    """What one place of a config may hold.

    `annotation` is the type without Annotated and None; `marks` are the annotations' metadata, outermost last;
    `optional` says whether null is a value of its own.
    """

    annotation: Any
    marks: tuple[Any, ...] = ()
    optional: bool = False

    def mark(self, of: type) -> Any:
        """Return the first mark of class `of`, or None."""
        return next((mark for mark in self.marks if isinstance(mark, of)), None)

    @property
    def section(self) -> type[Section] | None:
        """The section that must stand here, where it is one and always the same."""
        nested = self.mark(Nested)
        if nested is not None:
            return nested.section(self.annotation)
        return self.annotation if isinstance(self.annotation, type) and issubclass(self.annotation, Section) else None

    @property
    def short(self) -> str | None:
        """The key of the section that a bare value is short for."""
        nested = self.mark(Nested)
        return nested.short if nested is not None else None

    @property
    def kinds(self) -> Kinds | None:
        """The union that must stand here."""
        return self.mark(Kinds)

    @property
    def is_formula(self) -> bool:
        """Whether a formula must stand here."""
        return self.mark(FormulaType) is not None

    @property
    def values(self) -> Form | None:
        """The form of each value, for a mapping of free names."""
        return form(get_args(self.annotation)[1]) if get_origin(self.annotation) is dict else None

    @property
    def items(self) -> Form | None:
        """The form of each item, for a list."""
        return form(get_args(self.annotation)[0]) if get_origin(self.annotation) is tuple else None

    @property
    def literals(self) -> tuple[Any, ...]:
        """The words that are allowed here, where they can be counted."""
        return get_args(self.annotation) if get_origin(self.annotation) is Literal else ()


def form(annotation: Any, marks: tuple[Any, ...] = ()) -> Form:
    """Return the Form of an annotation."""
    optional = False
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            marks = (*more, *marks)
        elif get_origin(annotation) in (Union, UnionType):
            arms = [arm for arm in get_args(annotation) if arm is not type(None)]
            optional = optional or len(arms) < len(get_args(annotation))
            if len(arms) > 1:
                return Form(annotation, marks, optional)
            annotation = arms[0]
        else:
            return Form(annotation, marks, optional)


def fields(section: type[Section]) -> dict[str, Form]:
    """Return the form of every key that `section` knows, by the name that users write."""
    return {field.alias or name: form(field.whole) for name, field in section.model_fields.items()}


def kind_of(node: Node | None) -> str | None:
    """Return the kind that is written in `node`, as a bare string or after `kind:`."""
    written = node.value if node is not None else None
    if isinstance(written, dict):
        kind = written.get("kind")
        written = kind.value if kind is not None else None
    return written if isinstance(written, str) else None


def arm(of: Form, node: Node | None) -> Form:
    """Return the form that is meant where `of` leaves a choice by form and `node` is what was written."""
    union = of.mark(ByForm)
    if union is None or node is None:
        return of
    chosen = form(union.arms[union.form(node.value)[1:-1]])
    return arm(Form(chosen.annotation, chosen.marks, of.optional), node)


def section_of(of: Form, node: Node | None) -> type[Section] | None:
    """Return the section that `node` is, as far as its kind tells; None where it is no section."""
    of = arm(of, node)
    if of.kinds is None:
        return of.section
    kind = kind_of(node)
    if kind in of.kinds.short:
        kind = of.kinds.short[kind]["kind"]
    return of.kinds.variant(kind) if kind in of.kinds.variants else None


def below(of: Form, node: Node | None, step: str | int) -> Form | None:
    """Return the form of the entry `step` of `node`, or None where there can be no such entry."""
    of = arm(of, node)
    section = section_of(of, node)
    if section is not None:
        known = fields(section)
        if section.gathers is not None and step not in known:
            return known[section.gathers].values
        return known.get(str(step))
    if isinstance(step, int) and of.items is not None:
        return of.items
    return of.values


def at(root: Form, node: Node | None, path: tuple[str | int, ...]) -> Form | None:
    """Return the form at `path` of a config, or None where the language has nothing there."""
    current: Form | None = root
    for step in path:
        if current is None:
            return None
        current = below(current, node, step)
        node = node.child(step) if node is not None else None
    return current
