"""One hostile input: how it is made, how gdrun meets it, and what has to come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REFUSED = "refused"
"""It ends in one of gdrun's own errors, with exit code 2 or 5."""
ACCEPTED = "accepted"
"""It is taken; what it asks for is done."""
EITHER = "either"
"""Whether it is taken is nobody's business; that it ends soon, and well, is."""


@dataclass(frozen=True)
class Case:
    """A hostile input.

    Args:
        name: what it does.
        meet: called with an empty folder: makes the input there and hands it to gdrun.
        outcome: what has to come of it.
        says: a regular expression that the error's text has to match.
    """

    name: str
    meet: Callable[[Path], object]
    outcome: str = REFUSED
    says: str = ""
