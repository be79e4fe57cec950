"""`checkpoint:` how often a run that goes on saves what `gdrun resume` needs."""

from typing import Annotated

from pydantic import Field

from gdrun.config.section import PositiveInteger, PositiveNumber, Section, Whole


class CheckpointSettings(Section):
    """What is saved while a run goes on. Its end, an interruption and `schedule.stop.seconds` save in any case."""

    every_seconds: PositiveNumber | None = 60.0
    """Seconds between two checkpoints; null: none by time. A run that ends sooner writes only the one at its end."""
    every_steps: PositiveInteger | None = None
    """Save at each multiple of this number of steps, too; null: none by step."""
    keep: Annotated[int, Field(ge=2, le=1000), Whole] = 2
    """How many of the newest stay: with two, a damaged file costs time and nothing else."""
