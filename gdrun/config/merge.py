"""Merging of one config over another, for `extends:` and overrides."""

from __future__ import annotations

from dataclasses import replace

from gdrun.errors import ConfigPath

from .forms import Form, arm, below, expanded, kind_of, section_of
from .source import Node, Span


def merge(parent: Node, child: Node, form: Form) -> Node:
    """Return `parent` with what `child` says instead.

    Mappings merge key by key, new keys in the place that `child` gives them, unless `child` names another kind, which
    replaces the section; anything else replaces. A null deletes the parent's key, or is the value where the language
    gives null a meaning. Keys that exclude each other (epochs, steps) replace each other.

    Args:
        parent, child: values of the same place of a config; neither is changed.
        form: the form of that place.
    """
    parent, child = expanded(parent, form), expanded(child, form)
    if not isinstance(parent.value, dict) or not isinstance(child.value, dict):
        return child
    if kind_of(child) is not None and kind_of(child) != kind_of(parent):
        return child
    if arm(form, parent) != arm(form, child):
        return child
    merged = replace(parent, value=dict(parent.value), keys=dict(parent.keys or {}))
    for name, value in child.value.items():
        _put(merged, name, value, (child.keys or {}).get(name, child.span), form)
    assert isinstance(merged.value, dict)
    order = _order(list(parent.value), list(child.value))
    return replace(merged, value={name: merged.value[name] for name in order if name in merged.value})


def _order(parent: list[str], child: list[str]) -> list[str]:
    """Return the names of both in the order of a merged mapping, which decides what formulas see.

    Those of `parent` stay where they are; what is new in `child` stands before the name of `parent` that follows it.
    Names of both that the child has in another order take the child's.
    """
    shared = iter([name for name in child if name in parent])
    order = [next(shared) if name in child else name for name in parent]
    for index, name in enumerate(child):
        if name not in parent:
            following = next((later for later in child[index + 1 :] if later in parent), None)
            order.insert(len(order) if following is None else order.index(following), name)
    return order


def put(root: Node, path: ConfigPath, value: Node, key: Span, form: Form) -> Node:
    """Return `root` with `value` merged in at `path`; sections on the way are made where they are missing.

    Args:
        path: must fit the language; a list's index must exist.
        key: where the path is written.
    """
    if not path:
        return merge(root, value, form)
    step, below_step = path[0], path[1:]
    root = expanded(root, form)
    inner = below(form, root, step) or Form(object)
    if isinstance(root.value, list) and isinstance(step, int):
        items = list(root.value)
        items[step] = put(items[step], below_step, value, key, inner)
        return replace(root, value=items)
    made = Node({}, key, {})
    if isinstance(root.value, dict):
        made = replace(root, value=dict(root.value), keys=dict(root.keys or {}))
    if below_step:
        old = made.child(step)
        value = put(old if old is not None else Node({}, key, {}), below_step, value, key, inner)
        _set(made, str(step), value, key if old is None else (made.keys or {}).get(str(step), key))
    else:
        _put(made, str(step), value, key, form)
        if step == "kind" and form.kinds is not None:
            _keep_known(made, form)
    return made


def _keep_known(section: Node, form: Form) -> None:
    """Delete, in place, the keys that the new kind of a section does not have."""
    kind = section_of(form, section)
    assert isinstance(section.value, dict)
    for name in list(section.value) if kind is not None else ():
        if below(form, section, name) is None:
            del section.value[name]
            (section.keys or {}).pop(name, None)


def _put(into: Node, name: str, value: Node, key: Span, form: Form) -> None:
    """Merge `value` into the mapping `into` under `name`, in place."""
    assert isinstance(into.value, dict)
    inner = below(form, into, name) or Form(object)
    old = into.value.get(name)
    if value.value is None and old is not None and not inner.optional:
        del into.value[name]
        (into.keys or {}).pop(name, None)
        return
    section = section_of(form, into)
    for group in section.exclusive if section is not None else ():
        for other in group if name in group and value.value is not None else ():
            # Two overrides that exclude each other are a mistake of one command line; the section's check says so.
            rival = into.value.get(other)
            if other != name and rival is not None and not (key.source.is_override and rival.span.source.is_override):
                del into.value[other]
                (into.keys or {}).pop(other, None)
    _set(into, name, value if old is None else merge(old, value, inner), key)


def _set(into: Node, name: str, value: Node, key: Span) -> None:
    assert isinstance(into.value, dict)
    assert into.keys is not None
    into.value[name] = value
    into.keys[name] = key
