"""What one run of a peer gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """One timed training.

    `seconds` is wall-clock time of `steps` updates; `loss` is of the end, to show that the peers do the same work;
    `chose` is how gdrun ran it.
    """

    seconds: float
    steps: int
    loss: float
    chose: str = ""
