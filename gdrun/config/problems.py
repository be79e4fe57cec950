"""Conversion of pydantic's errors into problems with places.

Paths are as the user wrote them, and a misspelt key, which pydantic reports as an unknown and a missing one, is one
problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from pydantic import ValidationError

from gdrun.errors import ConfigPath, Place, Problem
from gdrun.suggest import closest, did_you_mean, distance, listed

from .forms import Form, allowed, arm, at, below, fields, kind_of, meaning, places, section_of
from .messages import SYNONYMS, got, reword
from .source import Node, Span

_ALLOWED = "allowed"
MAX_FAULTS = 50
"""Only so many of pydantic's errors are put into words: suggestions take time, and no reader needs more at once."""


@dataclass(frozen=True)
class _Fault:
    """One of pydantic's errors, at the place it has in the config."""

    kind: str
    path: ConfigPath
    """The deepest place that was written."""
    missing: ConfigPath
    """The part of the error's path below that: a missing key."""
    key: bool
    value: Any
    context: Mapping[str, Any]
    message: str


def validation_problems(error: ValidationError, root: Node, form: Form) -> list[Problem]:
    """Return the problems that `error` reports in the config `root`, without places.

    Args:
        form: the form of the whole file.
    """
    faults: list[_Fault] = []
    details = error.errors(include_url=False)
    for detail in details[:MAX_FAULTS]:
        path, below_path, key = _written_path(root, form, detail["loc"])
        fault = _Fault(
            detail["type"], path, below_path, key, detail.get("input"), detail.get("ctx") or {}, detail["msg"]
        )
        faults.append(fault)
    faults = [fault for fault in faults if not _is_inherited(fault, faults)]
    problems: list[Problem] = []
    if len(details) > MAX_FAULTS:
        problems.append(Problem(f"there are {len(details)} mistakes of form; these are {MAX_FAULTS} of them"))
    missing = {
        fault.path: [str(f.missing[-1]) for f in faults if f.kind == "missing" and f.path == fault.path and f.missing]
        for fault in faults
    }
    misspelt: set[tuple[ConfigPath, str]] = set()
    for fault in faults:
        if fault.kind == "extra_forbidden":
            name, section = str(fault.path[-1]), fault.path[:-1]
            meant = _missing_key_meant(name, missing.get(section, []))
            if meant is not None:
                misspelt.add((section, meant))
            problems.append(_unknown(fault, root, form, meant))
    for fault in faults:
        if fault.kind == "missing" and fault.missing and (fault.path, str(fault.missing[-1])) in misspelt:
            continue
        if "problems" in fault.context:
            problems += [replace(inner, path=(*fault.path, *inner.path)) for inner in fault.context["problems"]]
        elif fault.kind != "extra_forbidden":
            problems.append(_problem(fault, root, form))
    return problems


def _written_path(root: Node, form: Form, loc: Sequence[str | int]) -> tuple[ConfigPath, ConfigPath, bool]:
    """Split an error's path into the written part and the part below it; also return whether it is about the last key.

    Tags of unions ("sgd", "<mapping>") and levels that a validator has put in (`values` of a trace's row) are left out.
    """
    node: Node | None = root
    path: list[str | int] = []
    current: Form | None = form
    for position, step in enumerate(loc):
        if step == "[key]":
            return tuple(path), (), True
        current = arm(current, node) if current is not None else None
        tagged = current.kinds.section(str(step)) if current is not None and current.kinds is not None else None
        if tagged is not None:
            current = Form(tagged)
            continue
        child = node.child(step) if node is not None else None
        if child is not None:
            current = below(current, node, step) if current is not None else None
            node = child
            path.append(step)
        elif isinstance(step, str) and step.startswith("<") and step.endswith(">"):
            continue
        elif node is None or all(node.child(later) is None for later in loc[position + 1 :]):
            below_path = [later for later in loc[position:] if not (isinstance(later, str) and later.startswith("<"))]
            return tuple(path), tuple(below_path), False
    return tuple(path), (), False


def _is_inherited(fault: _Fault, faults: Sequence[_Fault]) -> bool:
    """Return whether a fault of data.validation repeats one of data, from which it inherits the setting."""
    if fault.path != ("data", "validation") or not fault.missing:
        return False
    origin = ("data", *fault.missing)
    return any((*other.path, *other.missing) == origin and other.message == fault.message for other in faults)


def _missing_key_meant(name: str, missing: list[str]) -> str | None:
    if SYNONYMS.get(name) in missing:
        return SYNONYMS[name]
    return closest(name, missing)


def _unknown(fault: _Fault, root: Node, form: Form, meant: str | None) -> Problem:
    name, path = str(fault.path[-1]), fault.path[:-1]
    node = root.at(path)
    problem = unknown_key(name, path, at(form, root, path) or Form(None), node)
    if meant is not None:
        return replace(problem, hint=f"did you mean '{meant}'?")
    if problem.hint is None or problem.hint.startswith(_ALLOWED):
        elsewhere = _elsewhere(name, root, form)
        if elsewhere is not None:
            return replace(problem, hint=f"'{elsewhere[-1]}' belongs to {'.'.join(map(str, elsewhere[:-1]))}")
    return problem


def _elsewhere(name: str, root: Node, form: Form) -> ConfigPath | None:
    """Return the place in another section that has this key."""
    names = {name, SYNONYMS.get(name)}
    paths = [path for path in islice(places(root, form), 2000) if path[-1] in names and len(path) > 1]
    # `places` also yields free names, such as parameters, which belong to no section.
    of_sections = [
        path
        for path in paths
        if (owner := section_of(at(form, root, path[:-1]) or Form(None), root.at(path[:-1])))
        and path[-1] in fields(owner)
    ]
    return min(of_sections, key=len, default=None)


def unknown_key(name: str, path: ConfigPath, form: Form, node: Node | None) -> Problem:
    """Return the problem of the key `name` in the section at `path`, which has no such key."""
    form = arm(form, node)
    section = section_of(form, node)
    keys = list(fields(section)) if section is not None else []
    unused = [key for key in keys if node is None or node.child(key) is None]
    message = f"unknown key '{name[:64]}'{_where(path, node)}"
    others = _kinds_with(name, form, node)
    if section is not None and name in section.hints:
        hint: str | None = section.hints[name]
    elif SYNONYMS.get(name) in keys:
        hint = f"did you mean '{SYNONYMS[name]}'?"
    elif others and all(distance(name, key) > 2 for key in keys):
        hint = f"'{name}' belongs to {_and(others)}"
    elif closest(name, unused) is None and closest(name, keys) is not None:
        hint = did_you_mean(name, keys)
    else:
        hint = did_you_mean(name, unused) or f"{_ALLOWED}: {listed(keys)}" if keys else None
    return Problem(message, (*path, name), hint, key=True)


def _kinds_with(name: str, form: Form, node: Node | None) -> list[str]:
    """Return the kinds beside the chosen one that have a key `name`."""
    union = form.kinds
    if union is None:
        return []
    return [kind for kind, section in union.variants.items() if kind != kind_of(node) and name in fields(section)]


def _and(names: list[str]) -> str:
    if len(names) > 6:
        return f"other kinds: {listed(names, 6)}"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _where(path: ConfigPath, node: Node | None) -> str:
    """Return " in optimizer (kind: sgd)"; nothing at the top of the file."""
    if not path:
        return ""
    kind = kind_of(node) if node is not None and node.is_mapping else None
    return f" in {'.'.join(map(str, path))}" + (f" (kind: {kind})" if kind else "")


def _problem(fault: _Fault, root: Node, form: Form) -> Problem:
    node = root.at(fault.path)
    if fault.kind == "missing":
        name = str(fault.missing[-1]) if fault.missing else "?"
        return Problem(
            f"'{name}' is missing{_where(fault.path, node)}", (*fault.path, name), _meaning(fault, form, root)
        )
    place = at(form, root, fault.path)
    kinds = arm(place, node).kinds if place is not None else None
    if fault.kind == "union_tag_invalid" and kinds is not None:
        return _unknown_kind(fault, node, kinds.names)
    if fault.kind == "model_attributes_type" and kinds is not None:
        message = f"expected a kind or a mapping with a kind, got {got(fault.value)}"
        return Problem(message, fault.path, f"kinds: {', '.join(kinds.names)}")
    if fault.kind == "union_tag_not_found" and kinds is not None:
        near = closest("kind", (node.value if node is not None and isinstance(node.value, dict) else {}))
        if near is not None:
            return Problem(
                f"unknown key '{near}'{_where(fault.path, node)}", (*fault.path, near), "did you mean 'kind'?", key=True
            )
        return Problem(f"'kind' is missing{_where(fault.path, node)}", fault.path, f"kinds: {listed(kinds.names, 20)}")
    message, hint = reword(fault.kind, fault.context, fault.value, fault.message)
    items = arm(place, node).items if place is not None and fault.kind == "tuple_type" else None
    if items is not None and items.section is not None:
        hint = "write a list of mappings: [{...}, {...}]"
    elif items is not None and isinstance(fault.value, str):
        hint = _as_list(fault.value, items) or hint
    return Problem(message, fault.path, hint, key=fault.key)


def _as_list(word: str, items: Form) -> str | None:
    """Return the hint that writes a word as a list, its spelling mended."""
    near = closest(word, allowed(items))
    return f"write [{near}]" if near else None


def _meaning(fault: _Fault, form: Form, root: Node) -> str | None:
    """Return the hint that explains a missing key."""
    owner = at(form, root, fault.path)
    node = root.at(fault.path)
    section = section_of(owner, node) if owner is not None else None
    text = meaning(section, str(fault.missing[-1])) if section is not None and fault.missing else None
    return f"{fault.missing[-1]}: {text}" if text else None


def _unknown_kind(fault: _Fault, node: Node | None, allowed: list[str]) -> Problem:
    kind = fault.value["kind"]
    kind = kind[:64] if isinstance(kind, str) else kind
    written = (*fault.path, "kind") if node is not None and node.is_mapping else fault.path
    what = str(fault.path[-1]) if fault.path and isinstance(fault.path[-1], str) else "this"
    if len(fault.path) > 1 and isinstance(fault.path[-1], int):
        what = f"an entry of {fault.path[-2]}"
    if not isinstance(kind, str):
        return Problem(f"expected a kind of {what}, got {got(kind)}", written, f"kinds: {listed(allowed, 20)}")
    if SYNONYMS.get(kind) in allowed:
        return Problem(f"unknown kind '{kind}' of {what}", written, f"did you mean '{SYNONYMS[kind]}'?")
    near = closest(kind, allowed)
    kinds = f"kinds: {listed(allowed, 20)}"
    return Problem(f"unknown kind '{kind}' of {what}", written, f"did you mean '{near}'? {kinds}" if near else kinds)


def locate(problem: Problem, root: Node) -> Problem:
    """Return `problem` with the place that its path, offset and length have in `root`; a given place stays."""
    if problem.place is not None:
        return problem
    node, key, depth = root, None, 0
    for step in problem.path:
        child = node.child(step)
        if child is None and isinstance(step, str) and not node.is_mapping:
            # Written in short: `loss: mse` for {kind: mse}, `a: 1.0` for {value: 1.0}.
            depth += 1
            continue
        if child is None:
            break
        key = (node.keys or {}).get(str(step)) if node.is_mapping else None
        node, depth = child, depth + 1
    return replace(problem, place=_span(problem, node, key, depth).place())


def _span(problem: Problem, node: Node, key: Span | None, depth: int) -> Span:
    whole = depth == len(problem.path)
    if whole and not problem.key and problem.offset is not None:
        return node.part(problem.offset, problem.length or 1)
    if key is not None and (problem.key or not whole or node.is_mapping or _begins_below(node, key)):
        return key
    if not problem.path or depth == 0:
        return Span(node.span.source, node.span.start, node.span.start + 1) if node.is_mapping else node.span
    return node.span


def _begins_below(node: Node, key: Span) -> bool:
    """Return whether a list's items stand in the lines below its key."""
    source = node.span.source
    return isinstance(node.value, list) and source.line_of(node.span.start) > key.source.line_of(key.start)


def in_order(problems: Iterable[Problem], names: Sequence[str]) -> tuple[Problem, ...]:
    """Return problems without repetitions, sorted by source (in the order of `names`), line and column."""
    rank = {name: number for number, name in enumerate(names)}
    unique: dict[tuple[Place | None, str], Problem] = {}
    for problem in problems:
        unique.setdefault((problem.place, problem.message), problem)

    def order(problem: Problem) -> tuple[int, int, int]:
        place = problem.place
        return (rank.get(place.source, len(rank)), place.line, place.column) if place is not None else (-1, 0, 0)

    return tuple(sorted(unique.values(), key=order))
