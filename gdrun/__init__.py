"""gdrun: gradient-descent experiments from the command line, and from Python.

    import gdrun

    run = gdrun.train("configs/pi.yaml", {"optimizer.learning_rate": 1e-5})
    run.parameters["a"], run.metrics["loss"], run.status

Everything is loaded when it is first used: `import gdrun` costs nothing, and TensorFlow is imported by what computes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .analysis.grad import grad as grad
    from .checking import check as check
    from .config.loading import LoadedConfig as LoadedConfig
    from .config.loading import load_config as load_config
    from .resuming import resume as resume
    from .rundir.run import Run as Run
    from .rundir.run import load_run as load_run
    from .rundir.run import runs as runs
    from .training import Listener as Listener
    from .training import execute as execute
    from .training import prepare as prepare
    from .training import train as train

__version__ = "0.1.0"

_PLACES = {
    "Listener": "training",
    "LoadedConfig": "config.loading",
    "Run": "rundir.run",
    "check": "checking",
    "execute": "training",
    "grad": "analysis.grad",
    "load_config": "config.loading",
    "load_run": "rundir.run",
    "prepare": "training",
    "resume": "resuming",
    "runs": "rundir.run",
    "train": "training",
}
__all__ = [
    "Listener",
    "LoadedConfig",
    "Run",
    "__version__",
    "check",
    "execute",
    "grad",
    "load_config",
    "load_run",
    "prepare",
    "resume",
    "runs",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
