"""Settings of a project: the table `[tool.gdrun]` of the file pyproject.toml in the current directory."""

from __future__ import annotations

import tomllib
from pathlib import Path

from gdrun.errors import UsageError
from gdrun.suggest import did_you_mean
from gdrun.text import safe_text

PROJECT_FILE = "pyproject.toml"
_KEYS = ("plugins",)


def project_plugins() -> list[str]:
    """Return the plugins that the project of the current directory names; no other folder is looked into.

    Raises:
        UsageError: the file's table cannot be read.
    """
    try:
        text = Path(PROJECT_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    if "tool.gdrun" not in text:  # a mistake elsewhere in the file is no concern of gdrun's
        return []
    try:
        table = tomllib.loads(text).get("tool", {}).get("gdrun", {})
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"cannot read {PROJECT_FILE}: {safe_text(error, limit=200)}") from None
    for key in table:
        if key not in _KEYS:
            hint = did_you_mean(key, _KEYS, allowed="settings")
            raise UsageError(f"unknown key '{safe_text(key, limit=80)}' in [tool.gdrun] of {PROJECT_FILE}", hint=hint)
    plugins = table.get("plugins", [])
    if not isinstance(plugins, list) or not all(isinstance(plugin, str) and plugin for plugin in plugins):
        raise UsageError(
            f"plugins in [tool.gdrun] of {PROJECT_FILE} must be a list of texts",
            hint='plugins = ["losses.py", "my_package"]',
        )
    return plugins
