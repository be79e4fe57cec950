"""The one place that knows both sides: config sections in, components out, a `match` per union."""

from .experiment import Built, build

__all__ = ["Built", "build"]
