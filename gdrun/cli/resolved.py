"""A config as it will run, and where each of its values came from; the places of the language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from gdrun.errors import ConfigPath

if TYPE_CHECKING:
    from gdrun.config.forms import Form
    from gdrun.experiment import LoadedConfig

DEFAULT = "default"

_ANY_NAME = "<name>"


@dataclass(frozen=True)
class Resolved:
    """A config with all defaults filled in, and the text that says so."""

    loaded: LoadedConfig
    text: str
    root: Any
    """The resolved text as a Node."""

    @classmethod
    def load(cls, config: str, overrides: Sequence[str], plugins: Any = ()) -> Resolved:
        from gdrun.config.document import read_document
        from gdrun.experiment import load_config

        loaded = load_config(config, overrides, plugins=plugins)
        text = loaded.resolved_text()
        return cls(loaded, text, read_document(text.encode(), "resolved"))

    def leaves(self) -> dict[ConfigPath, int]:
        """Path of each value that is no mapping or list -> its line, from 0."""
        found: dict[ConfigPath, int] = {}

        def walk(node: Any, path: ConfigPath) -> None:
            children = node.value
            if isinstance(children, dict) and children:
                for key, child in children.items():
                    walk(child, (*path, key))
            elif isinstance(children, list) and any(isinstance(child.value, dict) for child in children):
                for index, child in enumerate(children):
                    walk(child, (*path, index))
            else:
                found[path] = node.span.source.line_of(node.span.start)

        walk(self.root, ())
        return found

    def origin(self, path: ConfigPath) -> str:
        """Where the value at `path` was written: "configs/pi.yaml:12", "argument 1"; or "default"."""
        place = self.loaded.origin(path)
        if place is None and self._is_short_for(path):
            place = self.loaded.origin(path[:-1])
        if place is None:
            return DEFAULT
        return place.source if place.source.startswith("argument ") else f"{place.source}:{place.line}"

    def _is_short_for(self, path: ConfigPath) -> bool:
        """Whether the value at `path` was written by a bare word or value one level up: `sgd`, `mse`, a `scale`."""
        from gdrun.config.forms import arm, at
        from gdrun.experiment.loading import EXPERIMENT

        node = self.loaded.root
        for step in path[:-1]:
            child = node.child(step)
            if child is None:
                return False
            node = child
        of = at(EXPERIMENT, self.loaded.root, path[:-1])
        if of is None or node.is_mapping:
            return False
        of = arm(of, node)
        if of.kinds is not None and isinstance(node.value, str):
            section = of.kinds.section(node.value)
            return section is not None and path[-1] in {"kind", *section.aliases.get(node.value, ())}
        return of.section is not None and of.section.short == path[-1]

    def commented(self) -> list[str | Text]:
        """The resolved text, each line with the origins of what it says."""
        origins: dict[int, dict[str, None]] = {}
        for path, line in self.leaves().items():
            origins.setdefault(line, {})[self.origin(path)] = None
        lines = self.text.rstrip("\n").split("\n")
        width = min(60, max(len(line) for line in lines))
        shown: list[str | Text] = []
        for number, text in enumerate(lines):
            written = list(origins.get(number, {}))
            names = [name for name in written if name != DEFAULT] or written
            if names:
                shown.append(Text.assemble(f"{text.ljust(width)}  ", (f"# {', '.join(names)}", "dim")))
            else:
                shown.append(text)
        return shown


def language() -> Iterator[ConfigPath]:
    """Yield every place that some config can have: 0 stands for a list's entries, <name> for free names."""
    from gdrun.config.forms import Form, choices, fields
    from gdrun.experiment.experiment import Experiment

    seen = set()
    waiting: list[tuple[ConfigPath, Form]] = [((), Form(Experiment))]
    while waiting:
        path, form = waiting.pop(0)
        for arm in choices(form):
            inner = arm.items or arm.values
            if inner is not None:
                waiting.append(((*path, 0 if arm.items else _ANY_NAME), inner))
            union = arm.kinds
            sections = [*union.variants.values()] if union else [arm.section]
            for section in sections:
                # Sections can hold each other: validation data is data.
                if section is not None and (section, path[-1:]) not in seen:
                    seen.add((section, path[-1:]))
                    for key, below in fields(section).items():
                        yield (*path, key)
                        waiting.append(((*path, key), below))
