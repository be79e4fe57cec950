"""Recorder of a run: reports of the loop to rows, arrays and the run info in a run directory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.experiment.dump import plain
from gdrun.rundir import layout
from gdrun.rundir.environment import PACKAGES, describe_environment
from gdrun.rundir.run_info import Status
from gdrun.rundir.settings import flatten
from gdrun.rundir.store import RunStore

from .listener import Listener
from .outcome import Outcome
from .prepare import Prepared, plugin_hashes, used_plugins

if TYPE_CHECKING:
    from gdrun.engine.drive import Report
    from gdrun.experiment.loading import LoadedConfig

_NOT_IN_ROWS = ("reason",)
_NOT_AT_0 = ("loss_before", "loss_epoch")
"""Before the first update there is nothing that an update saw, nor the loss of an epoch."""


def run_info(
    prepared: Prepared,
    command: Sequence[str] | None,
    *,
    loaded: LoadedConfig | None = None,
    config: str | None = None,
    packages: Sequence[str] = PACKAGES,
    **more: Any,
) -> dict[str, Any]:
    """Return the content of run.json before the first step, of a run or of a sweep whose first trial is `prepared`.

    Args:
        command: the command line; None: `sys.argv`.
        loaded: the config that is recorded; None: that of `prepared`.
        config: its text; None: as it is resolved.
        packages: whose versions are recorded.
        more: further fields.
    """
    from gdrun.engine.device import num_threads

    built, loaded = prepared.built, loaded or prepared.loaded
    experiment = loaded.experiment
    extra = {
        "total_steps": built.total_steps,
        "steps_per_epoch": built.steps_per_epoch,
        "num_parameters": built.num_parameters,
        "compile_why": built.engine.reason,
    }
    return {
        **describe_environment(command=command, packages=packages),
        "description": experiment.description or None,
        "device": prepared.device.description,
        "threads": num_threads(),
        "precision": experiment.precision,
        "compile": built.compile,
        "seeds": {"seed": experiment.seed},
        "config_hash": config_hash(loaded.resolved_text() if config is None else config),
        "settings": flatten(plain(experiment)),
        "plugins": plugin_hashes(loaded),
        "data": dict(built.datasets.files) if built.datasets else {},
        "warnings": built.warnings,
        "extra": extra,
        **more,
    }


def config_hash(text: str) -> str:
    """Return the hash of a config.yaml."""
    return hashlib.sha256(text.encode()).hexdigest()


def begin(
    store: RunStore, loaded: LoadedConfig, listener: Listener, warnings: Iterable[str], config: str | None = None
) -> None:
    """Write config.yaml, which runs again, and source/, which was written; then give the warnings.

    Args:
        loaded: the config.
        warnings: of building.
        config: the text of config.yaml; None: as it is resolved.
    """
    store.write_text(layout.CONFIG, loaded.resolved_text() if config is None else config)
    for number, (name, data) in enumerate(loaded.files):
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in name.rpartition("/")[2]).lstrip(".")
        stem = f"{number}-" if number else ""
        store.write_bytes(f"{layout.SOURCE}/{stem}{safe or 'config.yaml'}", data)
    _write_plugins(store, loaded)
    if loaded.overrides:
        store.write_text(f"{layout.SOURCE}/overrides.txt", "".join(f"{line}\n" for line in loaded.overrides))
    warn(store, listener, (*warnings, *store.warnings))


def warn(store: RunStore, listener: Listener, messages: Iterable[str]) -> None:
    """Write warnings into log.txt and give them to the listener."""
    for message in messages:
        store.log(f"warning: {message}")
        listener.warned(message)


def _write_plugins(store: RunStore, loaded: LoadedConfig) -> None:
    """Copy the sources of the plugins that the config uses into the run directory."""
    taken: set[str] = set()
    for number, plugin in enumerate(used_plugins(loaded)):
        for name, data in plugin.files:
            safe = "".join(c if c.isalnum() or c in "._-/" else "_" for c in name).lstrip("./")
            if safe in taken:
                safe = f"{number}-{safe}"
            taken.add(safe)
            store.write_bytes(f"{layout.PLUGINS}/{safe}", data)


class Recorder:
    """Recorder of one run."""

    def __init__(self, store: RunStore, prepared: Prepared) -> None:
        self._store = store
        self._prepared = prepared

    def write(self, report: Report) -> None:
        """Append the report's rows to the metrics."""
        columns = self._columns(report)
        if not len(columns["step"]):
            return
        assessed = [name for name in columns if name in self._prepared.built.assess.names]
        per_epoch = self._prepared.built.steps_per_epoch
        first = 1 if columns["step"][0] == 0 else 0
        if first:
            left_out = {*_NOT_AT_0, *self._prepared.loaded.experiment.record.after}
            self._store.append_columns({name: values[:1] for name, values in columns.items() if name not in left_out})
        updates = {name: values[first:] for name, values in columns.items()}
        if not len(updates["step"]):
            return
        epoch_end = updates["step"] % per_epoch == 0
        only_at_end = {*assessed, "loss_epoch"} if per_epoch > 1 else set()
        if not only_at_end & updates.keys() or epoch_end.all():
            self._store.append_columns(updates)
            return
        inside = [name for name in updates if name not in only_at_end]
        self._store.append_rows(
            [
                {name: updates[name][index] for name in (updates if ends else inside)}
                for index, ends in enumerate(epoch_end)
            ]
        )

    def _columns(self, report: Report) -> dict[str, np.ndarray]:
        """Return the columns of the report's rows in the order of metrics.jsonl.

        A chunk observes more than its rows (its own end, ends of watched epochs); `is_row` says which belong there.
        """
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
            signal=outcome.signal_number,
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


def _whole(built: Any) -> bool:
    """Return whether each row's loss is that over all training data, the model in inference mode."""
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
