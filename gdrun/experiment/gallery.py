"""Gallery of shipped configs, which are named `gallery:NAME` wherever a config can be named."""

from __future__ import annotations

from pathlib import Path

import yaml

from gdrun.errors import UsageError
from gdrun.suggest import did_you_mean

PREFIX = "gallery:"


def is_config_name(text: str) -> bool:
    """Return whether a text names a config by its form alone: - (stdin), *.yaml, *.yml, gallery:NAME."""
    return text == "-" or text.startswith(PREFIX) or text.endswith((".yaml", ".yml"))


def gallery_folder() -> Path:
    """Return the folder of the shipped configs: inside an installed package, beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "gallery"
    return installed if installed.is_dir() else package.parent / "configs"


def gallery() -> dict[str, Path]:
    """Return name -> file of the shipped configs, in alphabetical order."""
    return {path.stem: path for path in sorted(gallery_folder().glob("*.yaml"))}


def gallery_path(source: str) -> Path:
    """Return the file of the config that `source`, "gallery:NAME", names.

    Raises:
        UsageError: the gallery has no such config.
    """
    name, known = source.removeprefix(PREFIX).removesuffix(".yaml"), gallery()
    if name not in known:
        hint = did_you_mean(name, known) or "gdrun init --list shows the gallery"
        raise UsageError(f"the gallery has no config '{name[:80]}'", hint=hint)
    return known[name]


def descriptions() -> dict[str, str]:
    """Return name -> `description:` of the shipped configs."""
    return {name: _description(path) for name, path in gallery().items()}


def _description(path: Path) -> str:
    # Only the line itself: reading 40 whole configs takes a second.
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("description:"):
            return str(yaml.safe_load(line)["description"])
    return ""
