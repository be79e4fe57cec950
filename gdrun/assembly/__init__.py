"""Assembly of a checked experiment into a program: data, objective, optimizer and schedule as tensors and functions."""

from .assemble import Built, assemble, build
from .initial_tensors import Parts, build_parts

__all__ = ["Built", "Parts", "assemble", "build", "build_parts"]
