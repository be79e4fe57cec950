#!/usr/bin/env python3
"""Write docs/reference.md and docs/formulas.md from the config's sections and the function table.

    python scripts/reference.py            write them
    python scripts/reference.py --check    exit 1 if they are not up to date

The texts are the docstrings and the strings below the fields in gdrun/config, and the rows of gdrun/formula/table.py.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gdrun.config.forms import Form, Kinds, choices, fields, summary
from gdrun.config.scalars import written
from gdrun.config.section import Section
from gdrun.experiment.experiment import Experiment
from gdrun.experiment.reference import describe
from gdrun.formula.table import describe_functions
from gdrun.metrics import MetricName
from gdrun.models.initial import Initializer
from gdrun.models.layers.base import Activation

DOCS = Path(__file__).resolve().parents[1] / "docs"

_WORD_LISTS = {
    "Activations": ("an activation", Activation),
    "Initializers": ("an initializer", Initializer),
    "Metrics": ("a metric's name", MetricName),
}
"""Heading -> (what a place that takes one of them says, the words); too long to be repeated in every row."""

_HEAD = """\
<!-- Written by scripts/reference.py from the sources; change those. -->

# {title}

{text}
"""
_REFERENCE = """\
Every kind and every setting of a config, from the same text that `gdrun explain KEY` and the JSON Schema
(`gdrun schema`) show. [config.md](config.md) is the tour; [formulas.md](formulas.md) lists the functions.

A default of `null` means "not set". Where a kind is asked for, its bare name is short for `{kind: name}`.
`NAME` stands for a name of your choice, `N` for a position in a list, counted from 0.
"""
_FORMULAS = """\
What a formula may call. Names, arguments and defaults are numpy's and TensorFlow's own; where the two disagree on a
default, numpy's holds. `gdrun explain --formulas` prints this table, and `gdrun explain --formulas norm` the part of it
that has `norm` in a name. How formulas are written, and which names they see, is in [config.md](config.md#formulas).

Beside calls a formula has numbers (`2`, `1e-3`, `0.1j`), names, `+ - * / ** @`, comparisons, `and or not`, indexing and
slices (`x[:, 0]`), and lists.
"""


def anchor(heading: str) -> str:
    """Return the name by which GitHub links to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def formulas() -> str:
    """Return the text of docs/formulas.md."""
    lines = [_HEAD.format(title="Functions of formulas", text=_FORMULAS)]
    group = None
    for heading, signature, meaning in describe_functions():
        if heading != group:
            group = heading
            lines += ["", f"## {heading.capitalize()}", "", "| function | value |", "|---|---|"]
        lines.append(f"| `{signature}` | {_cell(meaning)} |")
    return "\n".join(lines) + "\n"


def reference() -> str:
    """Return the text of docs/reference.md."""
    writer = _Writer()
    writer.whole()
    lists = [
        f"## {heading}\n\n{', '.join(f'`{word}`' for word in words.__args__)}"
        for heading, (_, words) in _WORD_LISTS.items()
    ]
    return "\n\n".join([_HEAD.format(title="Reference", text=_REFERENCE).rstrip(), *writer.blocks, *lists]) + "\n"


@dataclass
class _Writer:
    """Collects blocks of Markdown; each section and union of kinds is written once, and linked to afterwards."""

    blocks: list[str] = field(default_factory=list)
    anchors: dict[object, str] = field(default_factory=dict)
    """Section or union -> anchor."""
    written: set[object] = field(default_factory=set)
    """The same, those that have their block."""
    kinds: dict[type[Section], str] = field(default_factory=dict)
    """Section of a kind that has its block -> anchor."""

    def whole(self) -> None:
        """Write the file itself, then each of its parts."""
        self.anchors[Experiment] = anchor("The whole file")
        self.written.add(Experiment)
        for key, of in fields(Experiment).items():
            self._announce((key,), of)
        extends = "| `extends` | a file's path | `null` | A config that this one extends: beside it or below. |"
        self.blocks.append(f"## The whole file\n\n{_summary(Experiment)}\n\n{self._table(Experiment)}\n{extends}")
        for key, of in fields(Experiment).items():
            self._place((key,), of)

    def _announce(self, path: tuple[str, ...], of: Form) -> None:
        """Fix the anchors of what stands at `path`, so that tables above it can link to it."""
        for place, arm in _arms(path, of):
            thing = _identity(arm)
            if thing is not None and thing not in self.anchors:
                self.anchors[thing] = anchor(_title(place))

    def _place(self, path: tuple[str, ...], of: Form) -> None:
        """Write what stands at `path`, and below it, unless it was written elsewhere."""
        for place, arm in _arms(path, of):
            thing = _identity(arm)
            if thing is None or thing in self.written or self.anchors[thing] != anchor(_title(place)):
                continue
            self.written.add(thing)
            sections = [arm.section] if arm.kinds is None else list(_variants(arm.kinds).values())
            for section in sections:
                for key, below in fields(section).items():
                    self._announce((*place, key), below)
            if arm.kinds is not None:
                self._union(place, arm.kinds)
            else:
                text = _summary(arm.section) + _short(arm)
                self.blocks.append(f"{_heading(place)}\n\n{text}\n\n{self._table(arm.section)}")
            for section in sections:
                for key, below in fields(section).items():
                    self._place((*place, key), below)

    def _union(self, path: tuple[str, ...], union: Kinds) -> None:
        variants = {kind: of for kind, of in _variants(union).items() if of not in self.kinds}
        self.kinds |= {of: _kind_anchor(path, kind) for kind, of in variants.items()}
        rows = [f"| [`{kind}`](#{self.kinds[of]}) | {_cell(summary(of))} |" for kind, of in _variants(union).items()]
        text = "\n".join([f"{_heading(path)}\n", "| kind | |", "|---|---|", *rows])
        short = [
            f"`{word}` for `{_flow({'kind': kind, **settings})}`"
            for kind, of in _variants(union).items()
            for word, settings in of.aliases.items()
        ]
        self.blocks.append(text + (f"\n\nShort words: {'; '.join(short)}." if short else ""))
        level, bases = "#" * min(len(path) + 2, 4), _bases(variants)
        headings = {base: f"{_title(path)}: {_whose(kinds, list(variants))}" for base, kinds in bases.items()}
        for base, heading in headings.items():
            self.blocks.append(f"{level} {heading}\n\n{self._table(base, own=True)}")
        for kind, of in variants.items():
            shared = [base for base, kinds in bases.items() if kind in kinds]
            links = " and ".join(f"[{_label(bases[base], kind)}](#{anchor(headings[base])})" for base in shared)
            table = self._table(of, without={key for base in shared for key in _own(base)} - _own(of))
            parts = (
                f"{level} {_title(path)}: `{kind}`",
                _summary(of),
                table,
                f"Also the keys {links}." if links else "",
            )
            self.blocks.append("\n\n".join(part for part in parts if part))

    def _table(self, section: type[Section], *, own: bool = False, without: set[str] | None = None) -> str:
        """The keys of `section` as a table: all, or those that it defines itself, or all but some."""
        rows = []
        for one in describe(section):
            key = str(one.path[-1])
            if (key == "kind" and one.kind) or (own and key not in _own(section)) or (without and key in without):
                continue
            what = self._type(one.type, fields(section)[key])
            default = "required" if one.default is None else f"`{one.default}`"
            if one.default == "its own defaults":
                default = one.default
            elif key == section.gathers:
                key, default = "...", "any number of keys"
            rows.append(f"| `{key}` | {what} | {default} | {_cell(one.meaning)} |")
        return "\n".join(["| key | what | default | meaning |", "|---|---|---|---|", *rows]) if rows else ""

    def _type(self, words: str, of: Form) -> str:
        words = words.removesuffix(", or null")
        for heading, (what, literal) in _WORD_LISTS.items():
            words = words.replace(f"one of {', '.join(literal.__args__)}", f"[{what}](#{anchor(heading)})")
        words = words.replace("the name of an initializer", "[an initializer](#initializers)")
        for _, arm in _arms((), of):
            link = self.anchors.get(_identity(arm))
            if link is not None and arm.kinds is not None:
                words = words.replace("a kind, or a mapping with one", f"[a kind](#{link}), or a mapping with one")
            elif link is not None:
                words = re.sub(r"(?<!\[)a mapping(?! from| with)", f"[a mapping](#{link})", words, count=1)
        return _cell(words)


def _arms(path: tuple[str, ...], of: Form) -> Iterator[tuple[tuple[str, ...], Form]]:
    """Each form that can stand at a place, those inside lists and mappings of free names included."""
    for arm in choices(of):
        if arm.items is not None:
            yield from _arms((*path, "N"), arm.items)
        elif arm.values is not None:
            yield from _arms((*path, "NAME"), arm.values)
        elif arm.section is not None and len(choices(of)) > 1 and "kind" in fields(arm.section):
            # Beside a section without a kind: a metric by formula, or one of a plugin.
            yield (*path[:-1], f"{path[-1]}: {fields(arm.section)['kind'].literals[0]}"), arm
        else:
            yield path, arm


def _identity(of: Form) -> object:
    """What tells whether two places hold the same: the section, or the kinds; None where it is neither."""
    return of.section if of.kinds is None else tuple(of.kinds.variants.items())


def _variants(union: Kinds) -> dict[str, type[Section]]:
    return dict(union.variants)


def _own(section: type[Section]) -> set[str]:
    return {name for name in vars(section).get("__annotations__", {}) if name in section.model_fields}


def _bases(variants: dict[str, type[Section]]) -> dict[type[Section], list[str]]:
    """Classes with settings that several kinds share -> those kinds."""
    shared: dict[type[Section], list[str]] = {}
    for kind, of in variants.items():
        for base in reversed(of.__mro__[1:]):
            if issubclass(base, Section) and _own(base):
                shared.setdefault(base, []).append(kind)
    return {base: kinds for base, kinds in shared.items() if len(kinds) > 1}


def _whose(kinds: Sequence[str], everyone: Sequence[str]) -> str:
    rest = [f"`{kind}`" for kind in everyone if kind not in kinds]
    if len(rest) <= 3:
        return "every kind" + (f" but {', '.join(rest)}" if rest else "")
    return ", ".join(f"`{kind}`" for kind in kinds)


def _label(kinds: Sequence[str], kind: str) -> str:
    others = [other for other in kinds if other != kind]
    return f"shared with {', '.join(others) if len(others) <= 3 else 'other kinds'}"


def _title(path: Sequence[str]) -> str:
    return ".".join(path)


def _heading(path: Sequence[str]) -> str:
    return f"{'#' * min(len(path) + 1, 4)} {_title(path)}"


def _kind_anchor(path: Sequence[str], kind: str) -> str:
    return anchor(f"{_title(path)}: {kind}")


def _short(of: Form) -> str:
    short = of.section.short if of.section is not None else None
    return f" Anything but a mapping is short for `{{{short}: ...}}`." if short else ""


def _summary(section: type[Section]) -> str:
    return _cell(summary(section)).replace("\\|", "|")


def _flow(mapping: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {written(value)}" for key, value in mapping.items()) + "}"


def _cell(text: str) -> str:
    """Text as a table's cell shows it: what Markdown would take for itself is escaped, but for code."""
    parts = text.replace("|", "\\|").split("`")
    parts[::2] = [part.replace("*", "\\*").replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


PAGES = {"reference.md": reference, "formulas.md": formulas}
"""File in docs/ -> what writes its text."""


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is not up to date")
    check = parser.parse_args().check
    stale = [name for name, write in PAGES.items() if not _is_current(name, write())]
    for name in stale:
        print(f"docs/{name} {'is not up to date: python scripts/reference.py' if check else 'written'}")
        if not check:
            (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
    return int(check and bool(stale))


def _is_current(name: str, text: str) -> bool:
    path = DOCS / name
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
