"""gdrun: gradient-descent experiments from the command line, and from Python.

    import gdrun

    run = gdrun.train("gallery:pi", {"optimizer.learning_rate": 1e-5})
    run.parameters["a"], run.metrics["loss"], run.status

Names are loaded when they are first used, so `import gdrun` costs nothing; TensorFlow is imported by what computes. The
names are listed in `__init__.pyi`, which type checkers and lazy_loader read.
"""

import lazy_loader

from gdrun.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
