"""NumPy loops, written without gdrun, that come to what the shipped configs expect."""

from . import curved, own, published
from .descent import ORACLES, Oracle, Values

__all__ = ["ORACLES", "Oracle", "Values", "curved", "own", "published"]
