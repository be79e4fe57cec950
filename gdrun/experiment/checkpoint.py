"""Section `checkpoint:`, the intervals at which a run saves the state that `gdrun resume` needs."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from gdrun.config.section import PositiveInteger, PositiveNumber, Section, Whole


class CheckpointSettings(Section):
    """Checkpoints during a run. Its end, an interruption and `schedule.stop.seconds` save one in any case."""

    every_seconds: PositiveNumber | None = 60.0
    """Seconds between two checkpoints; null: none by time. A run that ends sooner writes only the one at its end."""
    every_steps: PositiveInteger | None = None
    """Save at each multiple of this number of steps, too; null: none by step."""
    keep: Annotated[int, Field(ge=2, le=1000), Whole] = 2
    """Number of newest checkpoints that are kept: with two, a damaged file costs only computing time."""
    best: Annotated[PositiveInteger, Field(le=1000)] | None = None
    """Keep the parameters of so many of the best states, of those at multiples of `every_steps`, too; null: none."""
    metric: str | None = None
    """Recorded metric that ranks them; null: loss."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.best is not None and self.every_steps is None:
            raise ValueError("best chooses among the states at each multiple of every_steps: give it")
        if self.best is None and self.metric is not None:
            raise ValueError("metric chooses the best states: give best, their number")
        return self
