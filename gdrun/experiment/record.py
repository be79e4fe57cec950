"""`record:` what is written while training."""

from typing import Annotated, Any

from pydantic_core import PydanticCustomError

from gdrun.config.base import Check, Count, Formula, Identifier, Section, check_integer, default
from gdrun.config.unions import ByForm, from_elsewhere


def _interval(value: Any) -> Any:
    value = check_integer(value)
    if value in ("auto", "epoch") or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise PydanticCustomError("every", "every is auto, epoch, a number of steps, or a list of steps")


Interval = Annotated[
    Any,
    Check(
        _interval,
        "auto, epoch or a number of steps",
        {"anyOf": [{"enum": ["auto", "epoch"]}, {"type": "integer", "minimum": 1}]},
    ),
]


class Record(Section):
    """Rows of metrics.jsonl. Row `step: k` is the state after k updates and what update k + 1 sees."""

    every: Annotated[str | int | tuple[int, ...], ByForm({"scalar": Interval, "sequence": tuple[Count, ...]})] = "auto"
    """auto: every step up to 512, then 128 an octave; a number of steps; epoch; or a list of steps. The first and the
    last state always have a row."""
    parameters: bool | None = None
    """Write the parameters into each row; null: while they are ten numbers or fewer."""
    gradients: bool = False
    """Write the gradients into each row."""
    formulas: dict[Identifier, Formula] = default(dict)
    """Further values, seen before update k + 1: of parameters, prediction, target, loss, ..."""
    after: dict[Identifier, Formula] = default(dict)
    """Further values at the new parameters, on the batch that update k saw."""


_ELSEWHERE = dict.fromkeys(("Bound", "Expected", "TraceRow", "Predictions", "Expect"), "gdrun.experiment.expect")


def __getattr__(name: str) -> object:
    return from_elsewhere(__name__, _ELSEWHERE, name)
