"""Section `checkpoint:`, the intervals at which a run saves the state that `gdrun resume` needs."""

from typing import Annotated

from pydantic import Field

from gdrun.config.section import PositiveInteger, PositiveNumber, Section, Whole


class CheckpointSettings(Section):
    """Checkpoints during a run. Its end, an interruption and `schedule.stop.seconds` save one in any case."""

    every_seconds: PositiveNumber | None = 60.0
    """Seconds between two checkpoints; null: none by time. A run that ends sooner writes only the one at its end."""
    every_steps: PositiveInteger | None = None
    """Save at each multiple of this number of steps, too; null: none by step."""
    keep: Annotated[int, Field(ge=2, le=1000), Whole] = 2
    """Number of newest checkpoints that are kept: with two, a damaged file costs only computing time."""
