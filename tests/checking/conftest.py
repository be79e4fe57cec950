"""Sweeps' directories as they are on disk, made without running anything."""

from ..sweeping.conftest import RATE as RATE
from ..sweeping.conftest import sweep_of as sweep_of
