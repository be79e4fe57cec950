"""`checkpoint:` how often a run that goes on saves what `gdrun resume` needs."""

from typing import Annotated

from gdrun.config.base import Bounds, Integer, PositiveInteger, PositiveNumber, Section


class Checkpoint(Section):
    """What is saved while a run goes on. Its end, an interruption and `schedule.stop.seconds` save in any case."""

    every_seconds: PositiveNumber | None = 60.0
    """Seconds between two checkpoints; null: none by time. A run that ends sooner writes only the one at its end."""
    every_steps: PositiveInteger | None = None
    """Save at each multiple of this number of steps, too; null: none by step."""
    keep: Annotated[Integer, Bounds(ge=2, le=1000)] = 2
    """How many of the newest stay: with two, a damaged file costs time and nothing else."""
