"""What one run of a peer gives."""

from __future__ import annotations

import time
from dataclasses import dataclass


def now() -> tuple[float, float]:
    """Return the wall clock and the processor time of this process, in seconds."""
    return time.perf_counter(), time.process_time()


@dataclass(frozen=True)
class Sample:
    """One timed training.

    `seconds` is wall-clock time of `steps` updates, `processor` the processor time of all threads; `loss` is of the
    end, to show that the peers do the same work; `chose` is how gdrun ran it, `held_bytes` the size of data and state.
    """

    seconds: float
    steps: int
    loss: float
    chose: str = ""
    processor: float = 0.0
    held_bytes: int = 0

    @classmethod
    def since(cls, began: tuple[float, float], steps: int, loss: float, chose: str = "") -> Sample:
        """Return what was done since `began`, a value of `now`."""
        wall, processor = now()
        return cls(wall - began[0], steps, loss, chose, processor - began[1])
