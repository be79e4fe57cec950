"""Outcome of a run: its status, the rule that ended it, and the reason in words."""

from __future__ import annotations

import signal as signals
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.rundir.run_info import Status
from gdrun.text import human_number, plural

from .prepare import Prepared

if TYPE_CHECKING:
    from gdrun.engine.drive import Report


@dataclass(frozen=True)
class Outcome:
    """End of a run."""

    status: Status
    stopped_by: str
    why: str
    report: Report
    """The last one."""
    seconds: float
    """Wall clock."""
    diverged: dict[str, Any] | None = None
    """step and quantity of the first value that was not finite."""
    signal_number: int | None = None
    best: dict[str, Any] = field(default_factory=dict)
    """step and value of the metric that chose the best parameters."""


def describe_outcome(prepared: Prepared, report: Report, signal_number: int | None, seconds: float) -> Outcome:
    """Return the outcome of a run whose last report is `report`."""
    from gdrun.engine.state import Reason

    reason, step = report.reason, report.step
    best = _best(prepared, report)
    if reason.diverged:
        diverged, why = _divergence(reason, report)
        watch = prepared.built.step.patience
        kept = f"step {best['step']}, the best," if best and watch and watch.restore_best else f"step {step}"
        why = f"{why}; the parameters of {kept} are kept"
        return Outcome(Status.DIVERGED, "non_finite", why, report, seconds, diverged=diverged, best=best)
    loss = float(report.records["loss"][-1])
    if report.finished and reason is Reason.NONE:
        if not np.isfinite(loss) or not _finite(report):
            quantity = "loss" if not np.isfinite(loss) else "parameters"
            why = f"the {quantity} was not finite at the end, step {step}; schedule.stop.non_finite is false"
            diverged = {"step": step, "quantity": quantity}
            return Outcome(Status.DIVERGED, "non_finite", why, report, seconds, diverged=diverged, best=best)
        schedule = prepared.loaded.experiment.schedule
        unit = "smoke" if prepared.smoke else "epochs" if schedule.epochs is not None else "steps"
        per_epoch = prepared.built.steps_per_epoch
        done = plural(step // per_epoch, "epoch") if unit == "epochs" else plural(step, "step")
        why = f"the schedule's end, {done}" if unit != "smoke" else f"a smoke run, {done}"
        return Outcome(Status.COMPLETED, unit, why, report, seconds, best=best)
    if reason is not Reason.NONE:
        name = reason.name.lower()
        return Outcome(Status.STOPPED, name, _why_stopped(prepared, report), report, seconds, best=best)
    if signal_number is not None:
        name = signals.Signals(signal_number).name
        why = f"{name} at step {step}"
        return Outcome(Status.INTERRUPTED, "signal", why, report, seconds, signal_number=signal_number, best=best)
    limit = prepared.loaded.experiment.schedule.stop.seconds
    return Outcome(Status.STOPPED, "seconds", f"{limit} seconds were over at step {step}", report, seconds, best=best)


def _finite(report: Report) -> bool:
    return all(bool(np.all(np.isfinite(value.numpy()))) for value in report.state.parameters)


def _divergence(reason: Any, report: Report) -> tuple[dict[str, Any], str]:
    from gdrun.engine.state import Reason

    step = report.step
    rate = human_number(float(report.records["learning_rate"][-1]))
    if reason is Reason.PARAMETERS_NOT_FINITE:
        why = f"update {step + 1} made a parameter infinite or nan (learning rate {rate})"
        return {"step": step + 1, "quantity": "parameters"}, why
    if reason is Reason.GRADIENT_NOT_FINITE:
        why = f"a gradient became infinite or nan at step {step} (learning rate {rate})"
        return {"step": step, "quantity": "gradient"}, why
    loss = float(report.records["loss"][-1])
    why = f"the loss became {loss} at step {step} (learning rate {rate})"
    return {"step": step, "quantity": "loss"}, why


def _why_stopped(prepared: Prepared, report: Report) -> str:
    from gdrun.engine.state import Reason

    stop, step = prepared.loaded.experiment.schedule.stop, report.step
    last = {name: values[-1] for name, values in report.records.items()}
    match report.reason:
        case Reason.LOSS_BELOW:
            return f"the loss {human_number(float(last['loss']))} is below {stop.loss_below} at step {step}"
        case Reason.GRADIENT_NORM_BELOW:
            norm = human_number(float(last["gradient_norm"]))
            return f"the gradient norm {norm} is below {stop.gradient_norm_below} at step {step}"
        case Reason.FORMULA:
            return f"{stop.formula} holds at step {step}"
        case Reason.PARAMETER_CHANGE_BELOW:
            return f"update {step} moved no parameter by {stop.parameter_change_below} or more"
        case Reason.PARAMETERS_UNCHANGED:
            return f"update {step} changed no bit of any parameter"
        case Reason.PATIENCE:
            assert stop.patience is not None
            epochs = plural(stop.patience.epochs, "epoch")
            return f"{stop.patience.metric} has not improved for {epochs} at step {step}"
        case _:
            raise AssertionError(report.reason)


def _best(prepared: Prepared, report: Report) -> dict[str, Any]:
    watch = prepared.built.step.patience
    if watch is None or not report.state.patience:
        return {}
    value = float(report.state.patience.best)
    if not np.isfinite(value):
        return {}
    return {
        "metric": watch.metric,
        "step": int(report.state.patience.best_step),
        "value": -value if watch.higher_is_better else value,
    }
