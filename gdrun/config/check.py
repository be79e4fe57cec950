"""What the text of a config shows beyond each value's own form: names in formulas, settings that do not go together."""

from __future__ import annotations

from gdrun.errors import Problem

from .source import Node


def check(root: Node) -> list[Problem]:
    """Return the problems of the config `root`, without places. Works on configs that are wrong elsewhere, too."""
    return []
