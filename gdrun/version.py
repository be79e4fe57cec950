"""The version of gdrun."""

__version__ = "0.1.0"
