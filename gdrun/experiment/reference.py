"""Descriptions of the keys of the language, for `gdrun explain` and the docs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from gdrun.config.forms import Form, allowed, at, choices, fields, meaning, section_of, summary, words
from gdrun.config.scalars import written
from gdrun.config.section import Section
from gdrun.config.source import Node
from gdrun.errors import ConfigPath

from .experiment import Experiment


@dataclass(frozen=True)
class Description:
    """One key of the language.

    Args:
        path: where it stands; a name in angle brackets stands for any.
        section: the class and, where it has one, the kind that has the key: "Sgd", "sgd".
        meaning: its description.
        type: the values that may be written there, in words.
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
    """Return the descriptions of a place of the language.

    Args:
        what: a path, "optimizer.momentum", or a section, which gives all its keys.
        root: a config, whose kinds are the ones asked about. Without it, or where it has no such section, every kind
            that has the key is described.
    Returns:
        One Description a section that has the key; empty if none has.
    """
    if isinstance(what, type):
        return [_description((), what, key) for key in fields(what)]
    path = tuple(int(step) if step.isdigit() else step for step in what.split(".")) if isinstance(what, str) else what
    if not path:
        return []
    owners = dict.fromkeys(_owners(root, path))
    descriptions = [_description(path, section, str(path[-1])) for section in owners]
    return descriptions if descriptions or root is None else _entry(path, root)


def _entry(path: ConfigPath, root: Node) -> list[Description]:
    """Return the descriptions of a config's own name, such as a parameter's: those of the mapping or list around it."""
    inner = at(Form(Experiment), root, path)
    owners = describe(path[:-1], root) if inner is not None and root.at(path) is not None else []
    # The name is the config's own, so it has no default.
    return [replace(owner, path=path, type=words(inner), default=NAMED_HERE, allowed=()) for owner in owners if inner]


NAMED_HERE = "none, the config names it"


def _owners(root: Node | None, path: ConfigPath) -> Iterator[type[Section]]:
    """Yield every section that can stand at path[:-1] and has the key path[-1]."""
    places: list[tuple[Form, Node | None]] = [(Form(Experiment), root)]
    for step in path[:-1]:
        places = [
            (inner, None if node is None else node.child(step))
            for of, node in places
            for inner in _entries(of, node, step)
        ]
    for of, node in places:
        yield from (section for section in _sections(of, node) if path[-1] in fields(section))


def _entries(of: Form, node: Node | None, step: str | int) -> list[Form]:
    """Return the forms that the entry `step` can have: a key of a section, or what a list or free names hold."""
    if sections := _sections(of, node):
        return [fields(section)[str(step)] for section in sections if step in fields(section)]
    return [inner for arm in choices(of) if (inner := arm.items or arm.values) is not None]


def _sections(of: Form, node: Node | None) -> list[type[Section]]:
    chosen = section_of(of, node) if node is not None else None
    if chosen is not None:
        return [chosen]
    sections: list[type[Section]] = []
    for arm in choices(of):
        if arm.kinds is not None:
            sections += arm.kinds.variants.values()
        elif arm.section is not None:
            sections.append(arm.section)
    return sections


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
    return literals[0] if len(literals) == 1 + len(section.aliases) else None


def _default(value: Any) -> str:
    if isinstance(value, Section):
        return "its own defaults"
    if isinstance(value, tuple | list):
        return f"[{', '.join(_default(item) for item in value)}]"
    return "{}" if isinstance(value, dict) else written(value)
