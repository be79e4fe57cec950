"""Reports of the loop -> rows, arrays and the record of a run directory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.rundir import layout
from gdrun.rundir.environment import describe_environment
from gdrun.rundir.run_info import Status
from gdrun.rundir.settings import flatten
from gdrun.rundir.store import RunStore

from .outcome import Outcome
from .plugin_record import plugin_hashes, write_plugins

if TYPE_CHECKING:
    from gdrun.engine.drive import Report
    from gdrun.experiment.loading import LoadedConfig

    from .train import Prepared

_NOT_IN_ROWS = ("reason",)


def first_record(prepared: Prepared, command: Sequence[str] | None) -> dict[str, Any]:
    """Return what run.json says before the first step."""
    from gdrun.engine.device import num_threads
    from gdrun.experiment.dump import plain

    experiment, built = prepared.loaded.experiment, prepared.built
    text = prepared.loaded.resolved_text()
    return {
        **describe_environment(command=command),
        "description": experiment.description or None,
        "device": prepared.device.description,
        "threads": num_threads(),
        "precision": experiment.precision,
        "compile": built.compile,
        "seeds": {"seed": experiment.seed},
        "config_hash": hashlib.sha256(text.encode()).hexdigest(),
        "settings": flatten(plain(experiment)),
        "plugins": plugin_hashes(prepared.loaded),
        "data": dict(built.datasets.files) if built.datasets else {},
        "warnings": built.warnings,
        "extra": {
            "total_steps": built.total_steps,
            "steps_per_epoch": built.steps_per_epoch,
            "num_parameters": built.num_parameters,
        },
    }


def write_sources(store: RunStore, loaded: LoadedConfig, resolved: str) -> None:
    """Write config.yaml, which is `resolved`, and source/: the bytes of what was written, and the overrides."""
    store.write_text(layout.CONFIG, resolved)
    for number, (name, data) in enumerate(loaded.files):
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in name.rpartition("/")[2]).lstrip(".")
        stem = f"{number}-" if number else ""
        store.write_bytes(f"{layout.SOURCE}/{stem}{safe or 'config.yaml'}", data)
    write_plugins(store, loaded)
    if loaded.overrides:
        store.write_text(f"{layout.SOURCE}/overrides.txt", "".join(f"{line}\n" for line in loaded.overrides))


class Recorder:
    """Writes one run."""

    def __init__(self, store: RunStore, prepared: Prepared) -> None:
        self._store = store
        self._prepared = prepared

    def write_sources(self) -> None:
        """Write config.yaml, which runs again, and source/, what was written."""
        write_sources(self._store, self._prepared.loaded, self._prepared.loaded.resolved_text())

    def write(self, report: Report) -> None:
        """Append the report's rows to the metrics."""
        columns = self._columns(report)
        if not len(columns["step"]):
            return
        assessed = [name for name in columns if name in self._prepared.built.assess.names]
        per_epoch = self._prepared.built.steps_per_epoch
        first = 1 if columns["step"][0] == 0 else 0
        if first:
            # Before the first update there is nothing that an update saw, nor the loss of an epoch.
            left_out = {*_NOT_AT_0, *self._prepared.loaded.experiment.record.after}
            self._store.append_columns({name: values[:1] for name, values in columns.items() if name not in left_out})
        rest = {name: values[first:] for name, values in columns.items()}
        if not len(rest["step"]):
            return
        epoch_end = rest["step"] % per_epoch == 0
        only_at_end = {*assessed, "loss_epoch"} if per_epoch > 1 else set()
        if not only_at_end & rest.keys() or epoch_end.all():
            self._store.append_columns(rest)
            return
        inside = [name for name in rest if name not in only_at_end]
        self._store.append_rows(
            [{name: rest[name][index] for name in (rest if ends else inside)} for index, ends in enumerate(epoch_end)]
        )

    def _columns(self, report: Report) -> dict[str, np.ndarray]:
        records = {name: values[report.is_row] for name, values in report.records.items() if name not in _NOT_IN_ROWS}
        per_epoch = self._prepared.built.steps_per_epoch
        columns = {"step": records.pop("step")}
        if per_epoch > 1:
            columns["epoch"] = columns["step"] // per_epoch
        before = records.pop("loss_before").astype(records["loss"].dtype)
        columns |= {"loss": records.pop("loss"), "loss_before": before}
        return columns | records

    def finish(self, outcome: Outcome, *, compute_seconds: float) -> None:
        """Write final and best parameters and close the record.

        Args:
            outcome: how the run ended.
            compute_seconds: of its seconds, those in compiled code.
        """
        built = self._prepared.built
        state, parameters, best = final_parameters(self._prepared, outcome.report)
        self._store.write_parameters(_arrays(self._prepared, parameters, state))
        if raw := _raw_arrays(self._prepared, parameters):
            self._store.write_arrays(layout.RAW, raw)
        if best is not None:
            self._store.write_arrays(layout.BEST, _arrays(self._prepared, best, state))
        step = outcome.report.step
        self._store.close(
            outcome.status,
            stopped_by=outcome.stopped_by,
            why=outcome.why,
            seconds=outcome.seconds,
            steps=step,
            epochs=step / built.steps_per_epoch,
            final=self._final(outcome, state, parameters),
            best=outcome.best,
            diverged=outcome.diverged,
            extra={"compute_seconds": compute_seconds},
        )

    def _final(self, outcome: Outcome, state: Any, parameters: Any) -> dict[str, Any]:
        """The loss over the whole training set, and the metrics, at the final parameters."""
        from gdrun.engine.device import import_tensorflow

        tf = import_tensorflow()
        built, report = self._prepared.built, outcome.report
        last = {name: values[-1] for name, values in report.records.items()}
        # Restored or averaged parameters are not those that the last row is about.
        same = state is report.state and parameters is state.parameters
        final = {name: last[name] for name in ("gradient_norm", "learning_rate")} if same else {}
        if _whole(built) and (built.assess.names == ("loss_all",) or outcome.status is Status.DIVERGED) and same:
            return {"loss": last["loss"], **final}
        # An interrupted run ends now; what compiles in another thread would hold it up.
        if outcome.status in (Status.DIVERGED, Status.INTERRUPTED):
            return {"loss" if _whole(built) and same else "batch_loss": last["loss"], **final}
        window = built.windows.at(report.step)
        with tf.device(self._prepared.device.name):
            values = built.assess(
                state._replace(parameters=parameters),
                built.setting,
                built.data,
                built.program.feed.moment(window, state.step),
            )
        numbers = {name: value.numpy() for name, value in values.items()}
        return {"loss": numbers.pop("loss_all"), **numbers, **final}


_NOT_AT_0 = ("loss_before", "loss_epoch")


def _whole(built: Any) -> bool:
    """Whether each row's loss is that over all training data, the model in inference mode."""
    batches = built.program.feed.batches
    return (batches is None or batches.full_batch) and not built.state.model_state


def final_parameters(prepared: Prepared, report: Report) -> tuple[Any, Any, Any]:
    """Return (state, final parameters, best parameters or None), as tensors before transforms."""
    built = prepared.built
    state = report.state
    watch = built.step.patience
    best = None
    memory = state.patience
    if watch is not None and watch.restore_best and memory and np.isfinite(float(memory.best)):
        best = memory.parameters
        state = state._replace(parameters=best, model_state=memory.model_state)
        return state, state.parameters, best
    finalized = built.step.optimizer.finalize(state.optimizer, state.parameters)
    same = all(a is b for a, b in zip(finalized, state.parameters, strict=True))
    return state, state.parameters if same else tuple(finalized), best


def _raw_arrays(prepared: Prepared, parameters: Any) -> dict[str, np.ndarray]:
    """Parameters that have a transform, before it: a sigmoid that has reached 1 cannot be undone."""
    objective, setting = prepared.built.objective, prepared.built.setting
    values = dict(zip(objective.trainable_names, parameters, strict=True))
    values |= dict(zip(objective.fixed_names, setting.fixed, strict=True))
    return {name: values[name].numpy() for name in objective.transforms}


def _arrays(prepared: Prepared, parameters: Any, state: Any) -> dict[str, np.ndarray]:
    """Every parameter, and what the model needs beside them to predict: moving averages, but no seeds."""
    built = prepared.built
    named = built.objective.named(parameters, built.setting)
    kept = dict(zip(built.objective.state_names, state.model_state, strict=True))
    kept = {name: value for name, value in kept.items() if value.dtype.is_floating}
    return {name: value.numpy() for name, value in {**named, **kept}.items()}
