"""Assembly of a program: the sections of an experiment built, put together, and tried once."""

from .assemble import Built, assemble, build
from .parts import Parts, build_parts

__all__ = ["Built", "Parts", "assemble", "build", "build_parts"]
