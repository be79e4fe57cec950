"""What each key means: the strings below the fields of the config's sections, read from their source text."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from gdrun.config.base import Bounds, FormulaType, Section
from gdrun.config.scalars import written
from gdrun.config.source import Node
from gdrun.config.unions import ByForm, Check
from gdrun.errors import ConfigPath

from .forms import Form, at, fields, form, section_of


@dataclass(frozen=True)
class Description:
    """One key of the language.

    Args:
        path: where it stands; a name in angle brackets stands for any.
        section: the class and, where it has one, the kind that knows the key: "Sgd", "sgd".
        meaning: what it does.
        type: what may be written there, in words.
        default: as it would be written; None: the key is required.
        allowed: the words or kinds that can be written, where they can be counted.
    """

    path: ConfigPath
    section: str
    kind: str | None
    meaning: str
    type: str
    default: str | None
    allowed: tuple[str, ...]


def describe(what: str | ConfigPath | type[Section], root: Node | None = None) -> list[Description]:
    """Return what the language says of a place.

    Args:
        what: a path, "optimizer.momentum", or a section, which gives all its keys.
        root: a config, whose kinds are the ones asked about. Without it, or where it has no such section, every kind
            that knows the key answers.
    Returns:
        One Description a section that knows the key; empty if none does.
    """
    if isinstance(what, type):
        return [_description((), what, key) for key in fields(what)]
    from .experiment import Experiment

    path = tuple(int(step) if step.isdigit() else step for step in what.split(".")) if isinstance(what, str) else what
    if not path:
        return []
    owners = dict.fromkeys(_owners(Form(Experiment), root, path))
    found = [_description(path, section, str(path[-1])) for section in owners]
    return found if found or root is None else _entry(path, root)


def _entry(path: ConfigPath, root: Node) -> list[Description]:
    """What a config's own name means, such as a parameter's: what the mapping or list that it stands in says."""
    from .experiment import Experiment

    inner = at(Form(Experiment), root, path)
    owners = describe(path[:-1], root) if inner is not None and _holds(root, path) else []
    # The place is the config's own, so nothing is taken where it is left out.
    return [replace(one, path=path, type=words(inner), default=NAMED_HERE, allowed=()) for one in owners if inner]


NAMED_HERE = "none, the config names it"


def _holds(root: Node, path: ConfigPath) -> bool:
    node: Node | None = root
    for step in path:
        node = node.child(step) if node is not None else None
    return node is not None


def _owners(of: Form, node: Node | None, path: ConfigPath) -> Iterator[type[Section]]:
    """Every section that can stand at path[:-1] and knows path[-1]."""
    for section in _sections(of, node):
        if len(path) == 1:
            if path[0] in fields(section):
                yield section
        elif path[0] in fields(section):
            inner = fields(section)[str(path[0])]
            yield from _owners_within(inner, node.child(path[0]) if node is not None else None, path[1:])


def _owners_within(of: Form, node: Node | None, path: ConfigPath) -> Iterator[type[Section]]:
    """The same below a list or a mapping of free names, which take a step of their own."""
    if _sections(of, node):
        yield from _owners(of, node, path)
        return
    for arm in _arms(of):
        inner = arm.items or arm.values
        if inner is not None and len(path) > 1:
            yield from _owners_within(inner, node.child(path[0]) if node is not None else None, path[1:])


def _arms(of: Form) -> list[Form]:
    union = of.mark(ByForm)
    return [form(arm) for arm in union.arms.values()] if union is not None else [of]


def _sections(of: Form, node: Node | None) -> list[type[Section]]:
    chosen = section_of(of, node) if node is not None else None
    if chosen is not None:
        return [chosen]
    found: list[type[Section]] = []
    for arm in _arms(of):
        if arm.kinds is not None:
            found += [arm.kinds.variant(kind) for kind in arm.kinds.variants]
        elif arm.section is not None:
            found.append(arm.section)
    return found


def _description(path: ConfigPath, section: type[Section], key: str) -> Description:
    of = fields(section)[key]
    field = next(field for name, field in section.model_fields.items() if (field.alias or name) == key)
    default = None if field.is_required() else _default(field.get_default(call_default_factory=True))
    return Description(
        path=path or (key,),
        section=section.__name__,
        kind=_kind(section),
        meaning=summary(section) if key == "kind" and _kind(section) else meaning(section, key) or "",
        type=words(of),
        default=default,
        allowed=allowed(of),
    )


def _kind(section: type[Section]) -> str | None:
    literals = fields(section)["kind"].literals if "kind" in section.model_fields else ()
    # More than one: a setting of that name, not the tag of a union.
    return literals[0] if len(literals) == 1 else None


def _default(value: Any) -> str:
    if isinstance(value, Section):
        return "its own defaults"
    if isinstance(value, tuple | list):
        return f"[{', '.join(_default(item) for item in value)}]"
    return "{}" if isinstance(value, dict) else written(value)


def allowed(of: Form) -> tuple[str, ...]:
    """Return the words or kinds that can stand at a place, where they can be counted."""
    found: list[str] = []
    for arm in _arms(of):
        if arm.kinds is not None:
            found += [*arm.kinds.variants, *arm.kinds.short]
        found += [str(word) for word in arm.literals]
        if arm.items is not None:
            found += allowed(arm.items)
    return tuple(found)


_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


def words(of: Form) -> str:
    """Return what may be written at a place: "a number > 0, or null"."""
    arms = list(dict.fromkeys(_words(arm) for arm in _arms(of)))
    return ", or ".join([*arms, *(["null"] if of.optional else [])])


def _words(of: Form) -> str:
    check = of.mark(Check)
    if check is not None:
        return check.words
    if of.mark(FormulaType) is not None:
        return "a formula"
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
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    bounds = [f"{signs[name]} {written(value)}" for name, value in limits(of).items() if name in signs]
    return " ".join([_WORDS.get(of.annotation, "a value"), " and ".join(bounds)]).strip()


def limits(of: Form) -> dict[str, Any]:
    """Return the bounds of a value: gt, ge, lt, le, min_length, max_length, pattern."""
    found: dict[str, Any] = {}
    for mark in of.marks:
        found.update(mark.limits if isinstance(mark, Bounds) else {})
    return found


def summary(section: type[Section]) -> str:
    """Return the docstring of a section, in one paragraph."""
    return " ".join((section.__doc__ or "").split())


def meaning(section: type[Section], name: str) -> str | None:
    """Return what the key `name` of `section` means, in one paragraph; None where it says nothing."""
    for owner in section.__mro__:
        if issubclass(owner, Section):
            text = _field_texts(owner.__module__).get(owner.__name__, {}).get(name)
            if text is not None:
                return text
    return None


@cache
def _field_texts(module: str) -> dict[str, dict[str, str]]:
    """For each class of a module, the string below each of its fields, by the name users write."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    texts: dict[str, dict[str, str]] = {}
    for owner in tree.body:
        if isinstance(owner, ast.ClassDef):
            texts[owner.name] = {}
            for field, below in zip(owner.body, owner.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_text(below):
                    text = " ".join(inspect.cleandoc(below.value.value).split())  # type: ignore[attr-defined]
                    texts[owner.name][field.target.id.rstrip("_")] = text
    return texts


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
