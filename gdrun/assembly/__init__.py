"""The one place that knows both sides: config sections in, components out, a `match` per union."""

from .assemble import Built, assemble, build
from .parts import Parts, build_parts

__all__ = ["Built", "Parts", "assemble", "build", "build_parts"]
