"""Overrides `KEY=VALUE` of the command line: reading them, finding the place that KEY means, merging VALUE in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from gdrun.errors import ConfigError, ConfigPath, Problem
from gdrun.suggest import ALIASES, closest, listed

from .document import is_forbidden, read_text
from .forms import Form, arm, at, below, expanded, places, section_of, takes_mapping
from .merge import merge, put
from .problems import unknown_key
from .scalars import in_flow
from .section import PartOf
from .source import Node, Source, Span


@dataclass(frozen=True)
class Override:
    """One `KEY=VALUE`: the key as written, its value, and where the key stands."""

    key: str
    value: Node
    span: Span
    within: str = ""
    """The part of a config that `key` counts from, with a point, as in "phases.1."; "": the whole."""

    @property
    def text(self) -> str:
        """KEY=VALUE."""
        return f"{self.key}={in_flow(self.value.plain())}"


def parse_overrides(overrides: Sequence[str | Override] | Mapping[str, Any]) -> tuple[list[Override], list[Problem]]:
    """Read overrides; also return the problems of those that cannot be read, placed in "argument N", counted from 1.

    Args:
        overrides: texts `KEY=VALUE`, the value YAML; or a mapping from KEY to a value: numbers, texts, lists, mappings,
            numpy scalars and arrays. An Override is taken as it is.
    """
    parsed: list[Override] = []
    problems: list[Problem] = []
    written = overrides.items() if isinstance(overrides, Mapping) else enumerate(overrides, 1)
    for name, given in written:
        try:
            if isinstance(given, Override):
                parsed.append(given)
            elif isinstance(overrides, Mapping):
                parsed.append(_from_python(str(name), given))
            else:
                parsed.append(_from_text(str(given), f"argument {name}"))
        except ConfigError as error:
            problems.extend(error.problems)
    return parsed, problems


def _from_text(text: str, name: str) -> Override:
    source = Source(name, text, is_override=True)
    key, equals, _ = text.partition("=")
    if not equals or not key.strip():
        hint = "for example optimizer.learning_rate=0.1"
        raise Span(source, 0, len(text)).refused("an override is KEY=VALUE", hint)
    start = len(key) + 1
    if "\n" in text or "\r" in text:
        raise Span(source, 0, len(key)).refused("an override is one line")
    return Override(key.strip(), read_text(source, start), Span(source, 0, len(key)))


def _from_python(key: str, value: Any) -> Override:
    source = Source(f"override of {key}", f"{key}={value!r}"[:200], is_override=True)
    return Override(key, node_of(value, Span(source, len(key) + 1, len(source.text))), Span(source, 0, len(key)))


def node_of(value: Any, span: Span) -> Node:
    """Return a Python value as a Node; anything that is no YAML value is refused."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if hasattr(value, "__fspath__"):
        value = str(value)
    if isinstance(value, Mapping):
        return Node({str(k): node_of(item, span) for k, item in value.items()}, span, {str(k): span for k in value})
    if isinstance(value, list | tuple):
        return Node([node_of(item, span) for item in value], span)
    if isinstance(value, float) and not isfinite(value):
        raise span.refused("a number must be finite")
    if isinstance(value, str) and is_forbidden(value):
        raise span.refused("control characters are not allowed in a config")
    if value is None or isinstance(value, bool | int | float | str):
        return Node(value, span)
    raise span.refused(f"a config cannot hold a {type(value).__name__}")


def apply_overrides(root: Node, overrides: Sequence[Override], form: Form) -> tuple[Node, list[Problem]]:
    """Return `root` with `overrides` merged in, whole sections before their parts, whatever their order.

    Also returns the problems of overrides whose key means nothing or more than one thing; those are left out.
    """
    problems: list[Problem] = []
    given: dict[ConfigPath, Override] = {}
    # An override of a kind decides which keys exist below it: outer keys come first, keys that are looked up last.
    for override in sorted(overrides, key=lambda override: rank(override.key)):
        try:
            path = find(override, root, form)
            if path in given:
                first, second = sorted((given[path], override), key=overrides.index)
                raise _refused(second, f"{dotted(path)} is given twice; first in {first.span.source.name}")
            given[path] = override
            root = put(root, path, override.value, override.span, form)
        except ConfigError as error:
            problems.extend(error.problems)
    return root, problems


def rank(key: str) -> tuple[bool, int, bool]:
    """Return the sorting key by which each override comes after those that decide what it means."""
    steps = key.split(".")
    named = steps[0] in ALIASES or (len(steps) == 1 and steps[0] not in _TOP_LEVEL)
    return named, len(steps), steps[-1] != "kind"


_TOP_LEVEL = frozenset({"data", "model", "loss", "optimizer", "schedule", "record", "constants", "define", "metrics"})


def find(override: Override, root: Node, form: Form) -> ConfigPath:
    """Return the path that an override's key means in the config `root`.

    Raises:
        ConfigError: where it means nothing, or more than one thing.
    """
    steps = override.key.split(".")
    if override.key in ALIASES:
        return tuple(ALIASES[override.key].split("."))
    if len(steps) == 1 and below(form, root, steps[0]) is None:
        return _by_name(override, root, form)
    return _by_path(override, root, form)


def _by_name(override: Override, root: Node, form: Form) -> ConfigPath:
    name = override.key
    paths = [path for path in places(root, form) if path[-1] == name]
    nearest = [path for path in paths if len(path) == min(map(len, paths))]
    if len(nearest) == 1:
        return nearest[0]
    if nearest:
        written = ", ".join(override.within + dotted(path) for path in nearest[:8])
        raise _refused(override, f"'{name}' could be {len(nearest)} settings of this config", f"write one of {written}")
    raise _unknown(override, name, root, form)


def _by_path(override: Override, root: Node, form: Form) -> ConfigPath:
    steps = override.key.split(".")
    path: ConfigPath = ()
    node: Node | None = root
    current = form
    while steps:
        node = expanded(node, current) if node is not None else None
        step, taken = _next_step(steps, node)
        inner = below(current, node, step)
        if inner is None:
            raise _wrong_step(override, path, step, current, node, root, form)
        if isinstance(step, int) and (node is None or node.child(step) is None):
            size = len(node.value) if node is not None and isinstance(node.value, list) else 0
            name = override.within + dotted(path)
            raise _refused(override, f"{name} has {size} entries; there is no {step}", "they count from 0")
        path, current = (*path, step), inner
        node = node.child(step) if node is not None else None
        steps = steps[taken:]
        if steps and node is not None and inner.mark(PartOf):
            return (*path, *_in_part(override, path, ".".join(steps), node, root, inner))
    return path


def _in_part(override: Override, path: ConfigPath, key: str, part: Node, root: Node, form: Form) -> ConfigPath:
    """Return the path that `key` means in a part of the config at `path`, which is merged over all of it."""
    assert isinstance(root.value, dict)
    whole = merge(replace(root, value={name: item for name, item in root.value.items() if name != path[0]}), part, form)
    span = replace(override.span, start=override.span.end - len(key))
    inner = replace(override, key=key, span=span, within=f"{override.within}{dotted(path)}.")
    place = find(inner, whole, form)
    for depth, step in enumerate(place):
        if isinstance(step, int) and part.at(place[:depth]) is None:
            name, items = dotted(place[:depth]), whole.at(place[:depth])
            assert items is not None
            changed = put(items, place[depth:], override.value, span, at(form, whole, place[:depth]) or Form(object))
            message = f"{dotted(path)} has no {name} of its own, and a list is replaced as a whole"
            raise _refused(inner, message, f"write {inner.within}{name}={in_flow(changed.plain())}")
    return place


def _next_step(steps: list[str], node: Node | None) -> tuple[str | int, int]:
    """Return the next key and the number of dotted steps it takes: parameters have names such as dense1.kernel."""
    if node is not None and isinstance(node.value, list):
        return (int(steps[0]), 1) if steps[0].isascii() and steps[0].isdigit() and len(steps[0]) < 9 else (steps[0], 1)
    if node is not None and isinstance(node.value, dict):
        for size in range(len(steps), 1, -1):
            if ".".join(steps[:size]) in node.value:
                return ".".join(steps[:size]), size
    return steps[0], 1


def _wrong_step(
    override: Override, path: ConfigPath, step: str | int, current: Form, node: Node | None, root: Node, form: Form
) -> ConfigError:
    key = override.within + dotted(path)
    if takes_mapping(current) and node is not None and not isinstance(node.value, dict):
        return _refused(
            override, f"{key} is {in_flow(node.plain())} here, no mapping", f"write {key}={{{step}: ...}} in its place"
        )
    current = arm(current, node)
    if current.items is not None and node is None:
        hint = f"give it as a whole: {key}=[...]"
        entry = f"{dotted((*path, step))}."
        if current.items.mark(PartOf) and override.key.startswith(entry):
            hint = f"write {replace(override, key=override.key.removeprefix(entry)).text}"
        return _refused(override, f"this config has no {key}", hint)
    section = section_of(current, node)
    if section is not None:
        problem = unknown_key(str(step), path, current, node)
        start = len(".".join(map(str, path))) + bool(path)
        return _refused(override, problem.message, problem.hint, start, len(str(step)))
    if current.kinds is not None:
        return _refused(override, f"{key} has no kind yet", f"give {key}.kind too")
    if node is not None and isinstance(node.value, list):
        return _refused(override, f"{key} is a list; '{step}' is no position in it", "they count from 0")
    return _unknown(override, str(step), root, form)


def _unknown(override: Override, name: str, root: Node, form: Form) -> ConfigError:
    settings = {dotted(path): path for path in places(root, form)}
    near = closest(override.key, [*settings, *ALIASES])
    if near is None:
        named = closest(name, [str(path[-1]) for path in settings.values()])
        near = next((text for text, path in settings.items() if path[-1] == named), None)
    within = override.within
    inner = [within + text for text in settings if "." in text]
    hint = f"did you mean '{within}{near}'?" if near else f"settings: {listed(inner, 8)}"
    return _refused(override, f"there is no setting '{within}{override.key}' in this config", hint)


def _refused(
    override: Override, message: str, hint: str | None = None, start: int = 0, length: int | None = None
) -> ConfigError:
    span = override.span
    end = span.end if length is None else span.start + start + length
    return Span(span.source, span.start + start, end).refused(message, hint)


def dotted(path: ConfigPath) -> str:
    """Return `path` as users write it: optimizer.learning_rate, model.layers.0.units."""
    return ".".join(map(str, path))
