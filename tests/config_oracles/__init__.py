"""NumPy loops, written without gdrun, that come to what the shipped configs expect."""

from . import curved, models, own, published
from .descent import ORACLES, Oracle, Values

__all__ = ["ORACLES", "Oracle", "Values", "curved", "models", "own", "published"]
