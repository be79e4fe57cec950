"""Obstacles to running a program's trials, or points of its loss, as lanes."""

from __future__ import annotations

from gdrun.experiment.experiment import Loop
from gdrun.formula.parse import parse
from gdrun.formula.table import functions_without_lanes

from .assemble import Built, evaluated_formulas


def lanes_obstacle(built: Built) -> str | None:
    """Return why trials of this program do not run as lanes, in words; None where they do."""
    if built.objective.model.convolutional:
        return "convolutions do not pay in lanes"
    if built.windows.stream is not None:
        return "the data is read from disk while training"
    if built.compile == "eager":
        return "compile: eager"
    loops = [name for name, value in built.objective.definitions.items() if not getattr(value, "fits_lanes", True)]
    if loops:
        return f"the loop {loops[0]} is too long for lanes"
    texts = [text for text in evaluated_formulas(built.experiment) if not isinstance(text, Loop)]
    functions = frozenset().union(*(parse(text).functions for text in texts))
    missing = sorted(functions_without_lanes(functions))
    return f"{missing[0]} does not work in lanes" if missing else None
