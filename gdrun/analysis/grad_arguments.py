"""Arguments of `gdrun grad`: formulas, values, configs or runs. No TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gdrun.errors import UsageError
from gdrun.experiment.gallery import is_config_name
from gdrun.text import safe_text

NAMED = re.compile(r"\s*([A-Za-z][A-Za-z0-9_.]*)\s*=(?!=)(.*)", re.DOTALL)
"""NAME=TEXT, and not NAME==TEXT, which is a comparison."""


def is_source(target: str | Path) -> bool:
    """Return whether `target` means a config or a run and not a formula.

    It does if it is - (stdin) or gallery:NAME, ends in .yaml or .yml, exists, or begins like a run's id or with
    "latest".
    """
    text = str(target)
    if isinstance(target, Path) or is_config_name(text):
        return True
    if re.match(r"latest(~\d+)?\Z|\d{4}-\d\d-\d\dT\d", text):
        return True
    try:
        path = Path(text)
        return (("/" in text or "." in text) and path.exists()) or (path / "run.json").is_file()
    except (OSError, ValueError):
        return False


def assignments(texts: Sequence[str], what: str) -> dict[str, Any]:
    """Return {"x": "1"} for ["x=1"]; a name alone has the value None.

    Raises:
        UsageError: a text that is neither, a name that is given twice.
    """
    named: dict[str, Any] = {}
    for text in texts:
        matched = NAMED.fullmatch(text)
        name, value = (matched[1], matched[2].strip()) if matched else (text.strip(), None)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.]*", name) or value == "":
            raise UsageError(f"{what} is NAME=VALUE, not {safe_text(text, limit=80)}")
        if name in named:
            raise UsageError(f"{safe_text(name)} is given twice")
        named[name] = value
    return named
