"""The shape of the language as data: the sections, keys and kinds of each place, read from the annotations."""

from __future__ import annotations

import ast
import inspect
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import Discriminator, Tag, ValidateAs, WithJsonSchema
from pydantic.fields import FieldInfo
from typing_extensions import TypeAliasType

from gdrun.errors import ConfigPath

from .scalars import written
from .section import LaterUnion, Section
from .source import Node


@dataclass(frozen=True)
class Kinds:
    """A union whose members are distinguished by `kind`.

    Args:
        variants: kind -> section.
        aliases: further words for a kind -> section.
    """

    variants: Mapping[str, type[Section]]
    aliases: Mapping[str, type[Section]]

    @property
    def names(self) -> list[str]:
        """Every word that can be written, kinds first."""
        return [*self.variants, *self.aliases]

    def section(self, kind: str | None) -> type[Section] | None:
        """Return the section that a word means; None where it means none."""
        return self.variants.get(kind) or self.aliases.get(kind) if kind is not None else None


@dataclass(frozen=True)
class Form:
    """The values that one place of a config may hold.

    `annotation` is the type without Annotated and None; `marks` are the annotations' metadata, outermost last;
    `optional` says whether null is a value of its own.
    """

    annotation: Any
    marks: tuple[Any, ...] = field(default=(), compare=False)
    optional: bool = False

    def mark(self, of: type) -> Any:
        """Return the first mark of class `of`, or None."""
        return next((mark for mark in self.marks if isinstance(mark, of)), None)

    @property
    def section(self) -> type[Section] | None:
        """The section that must stand here, where it is one and always the same."""
        return self.annotation if isinstance(self.annotation, type) and issubclass(self.annotation, Section) else None

    @cached_property
    def kinds(self) -> Kinds | None:
        """The union that must stand here, where `kind` chooses."""
        if not any(isinstance(mark, FieldInfo) and mark.discriminator == "kind" for mark in self.marks):
            return None
        return _kinds(self.annotation)

    @cached_property
    def arms(self) -> Mapping[str, Form]:
        """The forms among which the form of the value chooses, by their tags; {} where there is no choice."""
        if self.mark(Discriminator) is None:
            return {}
        arms = map(form, get_args(self.annotation))
        return {arm.mark(Tag).tag: Form(arm.annotation, arm.marks, self.optional) for arm in arms}

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

    @property
    def whole(self) -> Any:
        """The complete annotation, for pydantic."""
        # A field's FieldInfo holds its marks once more; a discriminator that is applied twice is an error.
        held = [mark for info in self.marks if isinstance(info, FieldInfo) for mark in info.metadata]
        marks = [mark for mark in self.marks if not any(mark is other for other in held)]
        annotation = Annotated[self.annotation, *marks] if marks else self.annotation  # type: ignore[valid-type]
        return annotation | None if self.optional else annotation


@cache
def _kinds(union: Any) -> Kinds:
    variants, aliases = {}, {}
    for section in get_args(union):
        kind, *others = get_args(section.model_fields["kind"].annotation)
        variants[kind] = section
        aliases.update(dict.fromkeys(others, section))
    return Kinds(variants, aliases)


def form(annotation: Any, marks: tuple[Any, ...] = ()) -> Form:
    """Return the Form of an annotation."""
    optional = False
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            later = next((mark for mark in more if isinstance(mark, LaterUnion)), None)
            written_as = next((mark for mark in more if isinstance(mark, ValidateAs)), None)
            annotation = annotation if later is None else later.union()
            annotation = annotation if written_as is None else written_as.from_type
            marks = (*more, *marks)
        elif isinstance(annotation, TypeAliasType):
            annotation = annotation.__value__
        elif get_origin(annotation) in (Union, UnionType):
            arms = [arm for arm in get_args(annotation) if arm is not type(None)]
            optional = optional or len(arms) < len(get_args(annotation))
            if len(arms) > 1:
                return Form(annotation, marks, optional)
            annotation = arms[0]
        else:
            return Form(annotation, marks, optional)


@cache
def fields(section: type[Section]) -> Mapping[str, Form]:
    """Return the form of every key of `section`, by the name that users write."""
    return {
        info.alias or name: form(info.annotation, (*info.metadata, info)) for name, info in section.model_fields.items()
    }


def kind_of(node: Node | None) -> str | None:
    """Return the kind that is written in `node`, as a bare string or after `kind:`."""
    written = node.value if node is not None else None
    if isinstance(written, dict):
        kind = written.get("kind")
        written = kind.value if kind is not None else None
    return written if isinstance(written, str) else None


_MAPPING = "<mapping>"


def takes_mapping(of: Form) -> bool:
    """Return whether a mapping is one of the forms that a place can have."""
    return _MAPPING in of.arms


def arm(of: Form, node: Node | None) -> Form:
    """Return the form that is meant where `of` leaves a choice by form and `node` is what was written."""
    while of.arms and node is not None:
        of = of.arms[of.mark(Discriminator).discriminator(node.value)]
    return of


def section_of(of: Form, node: Node | None) -> type[Section] | None:
    """Return the section that `node` is, as far as its kind tells; None where it is no section."""
    of = arm(of, node)
    return of.section if of.kinds is None else of.kinds.section(kind_of(node))


def below(of: Form, node: Node | None, step: str | int) -> Form | None:
    """Return the form of the entry `step` of `node`, or None where there can be no such entry."""
    of = arm(of, node)
    if node is None and takes_mapping(of):
        of = of.arms[_MAPPING]
    section = section_of(of, node)
    if section is not None:
        keys = fields(section)
        if section.gathers is not None and step not in keys:
            return keys[section.gathers].values
        return keys.get(str(step))
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


def expanded(node: Node, form: Form) -> Node:
    """Return the mapping that a short form stands for: `sgd` is `{kind: sgd}`, a parameter's `1` is `{value: 1}`."""
    if isinstance(node.value, dict) or node.value is None:
        return node
    form = arm(form, node)
    short = None if form.section is None else form.section.short
    if form.kinds is not None and isinstance(node.value, str):
        short = "kind"
    return node if short is None else Node({short: node}, node.span, {short: node.span})


_NOT_SEARCHED = frozenset({"expect", "gradients", "sweep"})
"""Sections of the top whose settings repeat those of others, or are names of the user's own."""


def places(root: Node, form: Form) -> Iterator[ConfigPath]:
    """Yield the path of every setting that `root` has or could have with the kinds it has chosen."""
    waiting: deque[tuple[ConfigPath, Form, Node | None]] = deque([((), form, root)])
    while waiting:
        path, current, node = waiting.popleft()
        node = expanded(node, current) if node is not None else None
        current = arm(current, node)
        section = section_of(current, node)
        names: list[Any] = []
        if section is not None and (node is not None or _has_default(current)):
            names = list(fields(section))
        elif node is not None and isinstance(node.value, dict):
            names = list(node.value)
        elif node is not None and isinstance(node.value, list) and current.items is not None:
            inner = current.items
            names = list(range(len(node.value))) if inner.kinds or inner.section else []
        for name in names:
            if path or name not in _NOT_SEARCHED:
                inner_form = below(current, node, name)
                if not isinstance(name, int):
                    yield (*path, name)
                if inner_form is not None:
                    waiting.append(((*path, name), inner_form, node.child(name) if node is not None else None))


def _has_default(form: Form) -> bool:
    """Return whether a section exists even if the config does not mention it, such as stop and record."""
    return form.section is not None and not form.optional


def choices(of: Form) -> list[Form]:
    """Return the forms that can stand at a place."""
    return list(of.arms.values()) or [of]


def allowed(of: Form) -> tuple[str, ...]:
    """Return the words or kinds that can stand at a place, where they can be counted."""
    names: list[str] = []
    for choice in choices(of):
        if choice.kinds is not None:
            names += choice.kinds.names
        names += [str(word) for word in choice.literals]
        if choice.items is not None:
            names += allowed(choice.items)
    return tuple(names)


_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}
_SIGNS = {annotated_types.Gt: ">", annotated_types.Ge: ">=", annotated_types.Lt: "<", annotated_types.Le: "<="}


def words(of: Form) -> str:
    """Return what may be written at a place: "a number > 0, or null"."""
    texts = list(dict.fromkeys(map(_words, choices(of))))
    return ", or ".join([*texts, *(["null"] if of.optional else [])])


def _words(of: Form) -> str:
    described = of.mark(WithJsonSchema)
    if described is not None:
        return described.json_schema["title"]
    if of.kinds is not None:
        return "a kind, or a mapping with one"
    if of.section is not None:
        return "a mapping"
    if of.literals:
        return f"one of {', '.join(map(str, of.literals))}" if len(of.literals) > 1 else str(of.literals[0])
    if of.items is not None:
        return f"a list, each {words(of.items)}"
    if of.values is not None:
        return f"a mapping from names, each {words(of.values)}"
    return f"{_WORDS.get(of.annotation, 'a value')} {' and '.join(_bounds(of.marks))}".strip()


def _bounds(marks: tuple[Any, ...]) -> list[str]:
    """Return the bounds of a number in words: "> 0", "<= 1"."""
    texts = []
    for mark in marks:
        inner = mark.metadata if isinstance(mark, FieldInfo) else [mark]
        for bound in inner:
            if type(bound) in _SIGNS:
                (limit,) = vars(bound).values() if hasattr(bound, "__dict__") else (bound.__getstate__()[0],)
                texts.append(f"{_SIGNS[type(bound)]} {written(limit)}")
    return list(dict.fromkeys(texts))


def summary(section: type[Section]) -> str:
    """Return the docstring of a section, in one paragraph."""
    return " ".join((section.__doc__ or "").split())


def meaning(section: type[Section], name: str) -> str | None:
    """Return what the key `name` of `section` means, in one paragraph; None where it says nothing."""
    for owner in section.__mro__:
        if issubclass(owner, Section) and (owner.__name__, name) in (texts := _texts(owner.__module__)):
            return texts[owner.__name__, name]
    return None


@cache
def _texts(module: str) -> dict[tuple[str, str], str]:
    """Return (class, key) -> the string below the field of that key.

    Not pydantic's use_attribute_docstrings, which reads the source of each section when it is imported: a fifth of the
    time of `gdrun validate`.
    """
    return {
        (owner.name, ast.unparse(field.target).rstrip("_")): " ".join(ast.literal_eval(below.value).split())
        for owner in ast.parse(inspect.getsource(sys.modules[module])).body
        if isinstance(owner, ast.ClassDef)
        for field, below in pairwise(owner.body)
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr)
    }
