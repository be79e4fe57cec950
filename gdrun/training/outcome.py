"""Outcome of a run: its status, the rule that ended it, and the reason in words."""

from __future__ import annotations

import signal as signals
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import GdrunError
from gdrun.rundir.run_info import Status
from gdrun.text import human_number, plural

from .prepare import Prepared

if TYPE_CHECKING:
    from gdrun.engine.drive import Report
    from gdrun.engine.state import Reason
    from gdrun.schedules.sections import Schedule


@dataclass(frozen=True)
class Outcome:
    """End of a run."""

    status: Status
    stopped_by: str
    why: str
    report: Report
    """The last one."""
    diverged: dict[str, Any] | None = None
    """step and quantity of the first value that was not finite."""
    signal_number: int | None = None
    best: dict[str, Any] = field(default_factory=dict)
    """step and value of the metric that chose the best parameters."""


@dataclass(frozen=True)
class Ending:
    """End of a run or a lane, as far as its last state decides it."""

    status: Status
    stopped_by: str
    diverged: dict[str, Any] | None = None
    """step and quantity of the first value that was not finite."""


def ending(
    reason: Reason,
    step: int,
    schedule: Schedule,
    *,
    at_end: bool,
    not_finite: str,
    smoke: bool = False,
) -> Ending | None:
    """Return the ending that a last state decides; None where it was stopped from outside.

    Args:
        step: updates done.
        at_end: the schedule's last step is reached.
        not_finite: the quantity that is not finite there, where divergence stops no run; "" where all are.
    """
    if reason.diverged:
        # Parameters diverge by the update that follows the last finite state.
        first = step + (reason.quantity == "parameters")
        return Ending(Status.DIVERGED, "non_finite", {"step": first, "quantity": reason.quantity})
    if reason:
        return Ending(Status.STOPPED, reason.name.lower())
    if not at_end:
        return None
    if not_finite:
        return Ending(Status.DIVERGED, "non_finite", {"step": step, "quantity": not_finite})
    return Ending(Status.COMPLETED, "smoke" if smoke else "epochs" if schedule.epochs is not None else "steps")


def quantity_not_finite(loss: float, parameters: Iterable[np.ndarray]) -> str:
    """Return the quantity of a last state that is not finite, "loss" or "parameters"; "" where both are."""
    if not np.isfinite(loss):
        return "loss"
    return "" if all(np.isfinite(value).all() for value in parameters) else "parameters"


def describe_outcome(prepared: Prepared, report: Report, signal_number: int | None) -> Outcome:
    """Return the outcome of a run whose last report is `report`."""
    step, best, schedule = report.step, _best(prepared, report), prepared.loaded.experiment.schedule
    not_finite = ""
    if report.finished:
        # Not before: the values of an abandoned chunk may have to be waited for.
        values = (value.numpy() for value in report.state.parameters)
        not_finite = quantity_not_finite(report.records["loss"][-1], values)
    outside = Ending(Status.STOPPED, "seconds") if signal_number is None else Ending(Status.INTERRUPTED, "signal")
    ended = ending(report.reason, step, schedule, at_end=report.finished, not_finite=not_finite, smoke=prepared.smoke)
    end, signal_number = (outside, signal_number) if ended is None else (ended, None)
    why = _why(prepared, report, end, best, signal_number)
    return Outcome(end.status, end.stopped_by, why, report, end.diverged, signal_number, best)


def _why(prepared: Prepared, report: Report, end: Ending, best: dict[str, Any], signal_number: int | None) -> str:
    """Return the reason of an ending in words."""
    step = report.step
    if signal_number is not None:
        return f"{signals.Signals(signal_number).name} at step {step}"
    if end.stopped_by == "seconds":
        return f"{prepared.loaded.experiment.schedule.stop.seconds} seconds were over at step {step}"
    if end.status is Status.COMPLETED:
        if prepared.smoke:
            return f"a smoke run, {plural(step, 'step')}"
        epochs = plural(int(prepared.built.rows.epochs.done(step)), "epoch")
        done = epochs if end.stopped_by == "epochs" else plural(step, "step")
        rules = prepared.loaded.experiment.schedule.stop.goals()
        missed = f"; no stop rule fired before: {', '.join(rules)}" if rules else ""
        return f"the schedule's end, {done}{missed}"
    if end.status is Status.STOPPED:
        return _why_stopped(prepared, report)
    assert end.diverged is not None
    quantity = end.diverged["quantity"]
    if not report.reason.diverged:
        return f"the {quantity} was not finite at the end, step {step}; schedule.stop.non_finite is false"
    rate = human_number(float(report.records["learning_rate"][-1]))
    watch = prepared.built.step.stop.patience
    kept = f"step {best['step']}, the best," if best and watch and watch.restore_best else f"step {step}"
    seen = {
        "loss": f"the loss became {float(report.records['loss'][-1])} at step {step}",
        "gradient": f"a gradient became infinite or nan at step {step}",
        "parameters": f"update {step + 1} made a parameter infinite or nan",
    }
    mend = "; without XLA it is finite there: compile=graph" if _is_finite_without_xla(prepared, report) else ""
    if not mend and (loss := _loss_in_float64(prepared, report)) is not None:
        mend = f"; in float64 the loss there is {human_number(loss)}, with a finite gradient: precision=float64"
    return f"{seen[quantity]} (learning rate {rate}){mend}; the parameters of {kept} are kept"


def _is_finite_without_xla(prepared: Prepared, report: Report) -> bool:
    """Return whether loss and gradient are finite at the last finite parameters where operations are not fused."""
    built, step = prepared.built, report.step
    if built.compile != "xla" or built.windows.stream is not None or report.reason.quantity == "parameters":
        return False
    record = built.program.prepare(report.state, built.setting, built.data, built.windows.at(step))
    return not type(report.reason)(int(record["reason"])).diverged


def _loss_in_float64(prepared: Prepared, report: Report) -> float | None:
    """Return the loss at the last finite parameters in float64, where precision alone made something infinite or nan.

    None where the loss has grown since the first step: such a run diverges in float64 too, only later.
    """
    import tensorflow as tf

    from gdrun.assembly.parts import build_parts
    from gdrun.engine.loop import Program
    from gdrun.engine.step import Recorded

    built, loaded = prepared.built, prepared.loaded
    experiment = loaded.experiment.model_copy(update={"precision": "float64"})
    is_single = built.experiment.precision == "float32" and built.windows.stream is None
    if not is_single or report.reason.quantity == "parameters":
        return None
    try:
        parts = build_parts(experiment, directory=loaded.directory)
    except GdrunError:
        return None  # a file that is gone by now; the run is to end as it did

    def widened(values: Any, likes: Any) -> tuple[Any, ...]:
        return tuple(tf.cast(value, like.dtype) for value, like in zip(values, likes, strict=True))

    names = ("parameters", "model_state")
    wider = {name: widened(getattr(report.state, name), getattr(parts.state, name)) for name in names}
    # What a phase does not train has been trained by the phases before it.
    setting = parts.setting._replace(fixed=widened(built.setting.fixed, parts.setting.fixed))
    step = replace(built.step, objective=parts.objective, recorded=Recorded(parameters=False), requires_gradients=False)
    program = Program(step, built.program.feed, compile="eager")
    record = program.prepare(report.state._replace(**wider), setting, parts.data, built.windows.at(report.step))
    loss, norm = float(record["loss"]), float(record["gradient_norm"])
    bound = abs(float(built.program.first_record["loss"])) if report.step else float(np.finfo(np.float32).max)
    return loss if abs(loss) <= bound and np.isfinite(norm) else None


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
    watch = prepared.built.step.stop.patience
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
