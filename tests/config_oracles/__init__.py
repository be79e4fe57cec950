"""NumPy loops, written without gdrun, that come to what the shipped configs expect."""

from . import classics, curved, models, own, published, recipes
from .descent import ORACLES, Oracle, Values

__all__ = ["ORACLES", "Oracle", "Values", "classics", "curved", "models", "own", "published", "recipes"]
