"""Writer of a checked experiment as YAML that reads back to the same experiment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gdrun.config.inherit import file_places
from gdrun.config.scalars import written
from gdrun.config.section import Section

from .experiment import Experiment

_WIDTH = 100


def dump(experiment: Experiment, directory: Path | None = None, *, phases: Sequence[Experiment] = ()) -> str:
    """Return `experiment` as YAML: every setting that has a value, defaults included.

    Floats have the digits that give the same bits. Settings that are null, and empty mappings and lists that are so by
    default, are left out.

    Args:
        directory: what relative paths of files count from; they are made absolute. None leaves them.
        phases: those that are trained after it. What one of them has of its own is written in each of them, whole, and
            not above them, where phases would inherit from each other.
    """
    whole = _plain(experiment)
    if not experiment.phases:
        return dump_values(whole, directory)
    own = {key for phase in experiment.phases for key in phase}
    parts = [{key: value for key, value in _plain(phase).items() if key in own} for phase in (experiment, *phases)]
    base = {key: value for key, value in whole.items() if key not in own}
    return dump_values(base | {"phases": parts}, directory)


def dump_values(values: Mapping[str, Any], directory: Path | None = None) -> str:
    """Return a config's values as YAML: sections with their defaults, plain values, as `LoadedConfig.whole` has them.

    Args:
        directory: as in `dump`.
    """
    return "\n".join(_mapping_lines(_absolute(_plain(values), directory), 0)) + "\n"


def _absolute(plain: dict[str, Any], directory: Path | None) -> dict[str, Any]:
    """Return plain values whose paths of files are absolute, changed in place."""
    for *above, key in file_places(plain) if directory is not None else ():
        block: Any = plain
        for step in above:
            block = block[step]
        absolute = os.path.realpath if key == "from" else os.path.abspath  # runs/latest is another run tomorrow
        block[key] = absolute(os.path.join(directory or "", block[key]))
    return plain


def plain(experiment: Experiment) -> dict[str, Any]:
    """Return the content of `dump` as dicts, lists and scalars; paths of data files are as they were written."""
    tree: dict[str, Any] = _plain(experiment)
    return tree


def _plain(value: Any, *, all_keys: bool = False) -> Any:
    """Return sections as dicts, or as the bare values that they are short for."""
    if isinstance(value, Section):
        if (bare := _bare(value)) is not None:
            return _plain(bare)
        return dict(_settings(value, all_keys))
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _bare(section: Section) -> Any:
    """Return the value that the section is written as, where that is its short form; else None."""
    short = section.short
    if not section.written_short or short is None:
        return None
    fields = type(section).model_fields.items()
    is_alone = all(name == short or getattr(section, name) == field.get_default() for name, field in fields)
    return getattr(section, short) if is_alone else None


def _settings(section: Section, all_keys: bool) -> Iterator[tuple[str, Any]]:
    fields = type(section).model_fields
    for name in sorted(fields, key=lambda name: _rank(type(section), name)):
        field, value = fields[name], getattr(section, name)
        default = field.get_default(call_default_factory=True)
        if value is None and default is None and not all_keys:
            continue
        if value == default and value in ({}, (), ""):
            continue
        if isinstance(value, Section) and value.left_out and value == default:
            continue
        if name == type(section).gathers and not fields.keys() & value.keys():
            yield from _plain(value).items()
            continue
        # A section that inherits the settings it leaves out has to be written with those that are null.
        is_heir = name == section.inherits and isinstance(value, Section) and value.inherits == name
        yield field.alias or name, _plain(value, all_keys=is_heir)


def _rank(section: type[Section], name: str) -> int:
    """Return the position of a key: the kind first, then the section's own keys, then those of its base classes."""
    if name == "kind":
        return -1
    return next(
        (place for place, owner in enumerate(section.__mro__) if name in vars(owner).get("__annotations__", {})), 0
    )


def _mapping_lines(mapping: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key, value in mapping.items():
        yield from _entry(f"{' ' * indent}{written(str(key))}:", value, indent)


def _entry(head: str, value: Any, indent: int) -> Iterator[str]:
    flow = _flow(value, _WIDTH - len(head))
    if flow is not None:
        yield f"{head} {flow}"
    elif isinstance(value, dict):
        yield head
        yield from _mapping_lines(value, indent + 2)
    else:
        yield head
        for item in value:
            yield from _item(item, indent)


def _item(item: Any, indent: int) -> Iterator[str]:
    lead = " " * indent + "-"
    flow = _flow(item, _WIDTH - len(lead))
    if flow is not None:
        yield f"{lead} {flow}"
    elif isinstance(item, dict):
        lines = list(_mapping_lines(item, indent + 2))
        yield f"{lead} {lines[0][indent + 2 :]}"
        yield from lines[1:]
    else:
        yield lead
        for inner in item:
            yield from _item(inner, indent + 2)


def _flow(value: Any, width: int) -> str | None:
    """Return `value` on one line, or None where that is hard to read: long ones, and mappings of mappings."""
    if isinstance(value, dict):
        if any(isinstance(item, dict) and item for item in value.values()) or len(value) > 4 or "kind" in value:
            return None if value else "{}"
        parts = [(written(str(key)), _flow(item, width)) for key, item in value.items()]
        text = "{" + ", ".join(f"{key}: {item}" for key, item in parts) + "}"
        return text if all(item is not None for _, item in parts) and len(text) <= width else None
    if isinstance(value, list):
        items = [_flow(item, width) for item in value]
        if any(item is None for item in items):
            return None
        text = f"[{', '.join(str(item) for item in items)}]"
        # A row of numbers stays on one line, however long: a column of single numbers is harder to read.
        numbers = all(isinstance(item, int | float) for item in value)
        return text if len(text) <= width or numbers else None
    return written(value)
