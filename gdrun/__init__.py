"""gdrun: gradient-descent experiments from the command line."""

__version__ = "0.1.0"
