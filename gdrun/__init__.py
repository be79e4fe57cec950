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
    from gdrun.analysis.checks import check_grad as check_grad
    from gdrun.analysis.grad import grad as grad
    from gdrun.analysis.learning_rate import find_learning_rate as find_learning_rate
    from gdrun.analysis.stable import stability as stability
    from gdrun.checking import check as check
    from gdrun.experiment.loading import LoadedConfig as LoadedConfig
    from gdrun.experiment.loading import load_config as load_config
    from gdrun.exports.data import export as export
    from gdrun.exports.live import TensorBoardListener as TensorBoardListener
    from gdrun.plots.choose import plot as plot
    from gdrun.reporting.make import report as report
    from gdrun.rundir.comparing import compare as compare
    from gdrun.rundir.comparing import diff as diff
    from gdrun.rundir.describing import describe_run as describe_run
    from gdrun.rundir.listing import runs as runs
    from gdrun.rundir.listing import table as table
    from gdrun.rundir.pruning import prune as prune
    from gdrun.rundir.run import Run as Run
    from gdrun.rundir.run import load_run as load_run
    from gdrun.rundir.tail import follow as follow
    from gdrun.rundir.trash import empty_trash as empty_trash
    from gdrun.rundir.trash import remove as remove
    from gdrun.rundir.trash import removed as removed
    from gdrun.rundir.trash import restore as restore
    from gdrun.rundir.verifying import verify as verify
    from gdrun.sweeping.run import sweep as sweep
    from gdrun.sweeping.trials import plan_trials as plan_trials
    from gdrun.training.resuming import resume as resume
    from gdrun.training.train import Listener as Listener
    from gdrun.training.train import execute as execute
    from gdrun.training.train import prepare as prepare
    from gdrun.training.train import train as train

__version__ = "0.1.0"

_PLACES = {
    "Listener": "training.train",
    "LoadedConfig": "experiment.loading",
    "Run": "rundir.run",
    "TensorBoardListener": "exports.live",
    "check": "checking",
    "check_grad": "analysis.checks",
    "compare": "rundir.comparing",
    "describe_run": "rundir.describing",
    "diff": "rundir.comparing",
    "empty_trash": "rundir.trash",
    "execute": "training.train",
    "export": "exports.data",
    "find_learning_rate": "analysis.learning_rate",
    "follow": "rundir.tail",
    "grad": "analysis.grad",
    "load_config": "experiment.loading",
    "load_run": "rundir.run",
    "plan_trials": "sweeping.trials",
    "plot": "plots.choose",
    "prepare": "training.train",
    "prune": "rundir.pruning",
    "remove": "rundir.trash",
    "removed": "rundir.trash",
    "report": "reporting.make",
    "restore": "rundir.trash",
    "resume": "training.resuming",
    "runs": "rundir.listing",
    "stability": "analysis.stable",
    "sweep": "sweeping.run",
    "table": "rundir.listing",
    "train": "training.train",
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
