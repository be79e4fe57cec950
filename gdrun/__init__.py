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
    from .analysis.checks import check_grad as check_grad
    from .analysis.grad import grad as grad
    from .analysis.learning_rate import find_learning_rate as find_learning_rate
    from .analysis.stable import stability as stability
    from .checking import check as check
    from .config.loading import LoadedConfig as LoadedConfig
    from .config.loading import load_config as load_config
    from .exports.data import export as export
    from .exports.live import TensorBoardListener as TensorBoardListener
    from .plots.choose import plot as plot
    from .reporting.make import report as report
    from .resuming import resume as resume
    from .rundir.comparing import compare as compare
    from .rundir.comparing import diff as diff
    from .rundir.describing import describe_run as describe_run
    from .rundir.pruning import prune as prune
    from .rundir.run import Run as Run
    from .rundir.run import load_run as load_run
    from .rundir.run import runs as runs
    from .rundir.tables import table as table
    from .rundir.tail import follow as follow
    from .rundir.trash import empty_trash as empty_trash
    from .rundir.trash import remove as remove
    from .rundir.trash import removed as removed
    from .rundir.trash import restore as restore
    from .rundir.verifying import verify as verify
    from .sweeping.run import sweep as sweep
    from .sweeping.trials import plan_trials as plan_trials
    from .training import Listener as Listener
    from .training import execute as execute
    from .training import prepare as prepare
    from .training import train as train

__version__ = "0.1.0"

_PLACES = {
    "Listener": "training",
    "LoadedConfig": "config.loading",
    "Run": "rundir.run",
    "TensorBoardListener": "exports.live",
    "check": "checking",
    "check_grad": "analysis.checks",
    "compare": "rundir.comparing",
    "describe_run": "rundir.describing",
    "diff": "rundir.comparing",
    "empty_trash": "rundir.trash",
    "execute": "training",
    "export": "exports.data",
    "find_learning_rate": "analysis.learning_rate",
    "follow": "rundir.tail",
    "grad": "analysis.grad",
    "load_config": "config.loading",
    "load_run": "rundir.run",
    "plan_trials": "sweeping.trials",
    "plot": "plots.choose",
    "prepare": "training",
    "prune": "rundir.pruning",
    "remove": "rundir.trash",
    "removed": "rundir.trash",
    "report": "reporting.make",
    "restore": "rundir.trash",
    "resume": "resuming",
    "runs": "rundir.run",
    "stability": "analysis.stable",
    "sweep": "sweeping.run",
    "table": "rundir.tables",
    "train": "training",
    "verify": "rundir.verifying",
}
__all__ = [
    "Listener",
    "LoadedConfig",
    "Run",
    "TensorBoardListener",
    "__version__",
    "check",
    "check_grad",
    "compare",
    "describe_run",
    "diff",
    "empty_trash",
    "execute",
    "export",
    "find_learning_rate",
    "follow",
    "grad",
    "load_config",
    "load_run",
    "plan_trials",
    "plot",
    "prepare",
    "prune",
    "remove",
    "removed",
    "report",
    "restore",
    "resume",
    "runs",
    "stability",
    "sweep",
    "table",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
