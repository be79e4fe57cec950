"""Assembly of a program: the sections of an experiment built, put together, and tried once."""

from gdrun.engine.epochs import Begin

from .assemble import Built, assemble, build, start
from .parts import Parts, build_parts

__all__ = ["Begin", "Built", "Parts", "assemble", "build", "build_parts", "start"]
