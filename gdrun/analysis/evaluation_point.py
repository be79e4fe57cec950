"""Points at which the objective of a config or a run is looked at: its start, a step, its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.experiment.gallery import is_config_name
from gdrun.rundir.layout import RUN_INFO
from gdrun.rundir.run import Run, load_run

if TYPE_CHECKING:
    from gdrun.training.prepare import Prepared


@dataclass(frozen=True)
class EvaluationPoint:
    """A point at which an objective is looked at. Tensors are those of the engine, parameters before transforms."""

    prepared: Prepared
    parameters: tuple[Any, ...]
    setting: Any
    model_state: tuple[Any, ...]
    moment: Any
    step: int
    run: Run | None


def config_or_run(source: str | Path, runs_dir: str | Path | None = None) -> str | Path | Run:
    """Return the Run that `source` means, or `source` itself where it is a config.

    A directory is a run; so is what does not exist and does not end like a config: a run's id, "latest".
    """
    text = str(source)
    path = Path(text)
    if is_config_name(text) or path.is_file():
        return source
    run = load_run(source, runs_dir)
    if not (run.directory / RUN_INFO).is_file():
        raise RunDirectoryError(f"{run.directory} is no finished run")
    return run


def point_of(
    source: str | Path | Run,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    step: int | None = None,
    precision: str | None = None,
    device: str | None = None,
    requires_gradients: bool = True,
) -> EvaluationPoint:
    """Build a config, or a run's, and return its start, or the run's state after `step` updates.

    Args:
        overrides: as in `gdrun.train`; for a run, parameters among them have the given values, the others the run's.
        step: of a run: 0 is the start, None the end; else one whose row holds the parameters.
        precision: in place of the config's.
        requires_gradients: refuse a parameter without a gradient.
    Raises:
        ConfigError: the config is refused. UsageError: there is no such step, or the data is not in memory.
        RunDirectoryError: the run has no parameters.
    """
    from gdrun.experiment.loading import load_config
    from gdrun.training.prepare import prepare

    run = source if isinstance(source, Run) else None
    if run is None and step not in (None, 0):
        raise UsageError("--step is for runs; a config has only its start")
    changes: Any = dict(overrides) if isinstance(overrides, Mapping) else list(overrides)
    if precision is not None:
        changes = (
            {**changes, "precision": precision} if isinstance(changes, dict) else [*changes, f"precision={precision}"]
        )
    loaded = load_config(run.directory if run else source, changes)  # type: ignore[arg-type]
    loaded = loaded.last if run else loaded
    prepared = prepare(loaded, device=device, requires_gradients=requires_gradients)
    if prepared.built.windows.stream is not None:
        raise UsageError(
            "the loss is looked at over all training examples, which are not in memory", hint="memory: all"
        )
    return at_step(prepared, run, step, keep=_named(changes))


def at_step(
    prepared: Prepared, run: Run | None, step: int | None, *, keep: frozenset[str] = frozenset()
) -> EvaluationPoint:
    """Return the start of what was prepared, or the state of `run` after `step` updates.

    Args:
        keep: parameters that have their initial values in any case.
    """
    from gdrun.engine.state import Moment
    from gdrun.training.predict import moment_at, trained_point

    built = prepared.built
    parameters, model_state, setting = built.state.parameters, built.state.model_state, built.setting
    count = 0
    if run is not None and step != 0:
        count = (run.info.steps or 0) if step is None else step
        names = built.objective.trainable_names
        if step is None or step == run.info.steps:
            trained, setting, model_state, _ = trained_point(prepared, run)
        else:
            trained = recorded(prepared, run, step)
        parameters = tuple(
            old if name in keep else new for name, old, new in zip(names, parameters, trained, strict=True)
        )
    moment = Moment.at(0) if run is None else moment_at(prepared, run, count)
    return EvaluationPoint(prepared, tuple(parameters), setting, tuple(model_state), moment, count, run)


def recorded(prepared: Prepared, run: Run, step: int) -> tuple[Any, ...]:
    """Return the trained parameters in the row of `step`, as tensors before transforms.

    Raises:
        UsageError: there is no such row, or it holds no parameters.
    """
    import tensorflow as tf

    from gdrun.models.transforms import raw_value

    columns = run.metrics
    rows = np.flatnonzero(columns.get("step", np.zeros(0)) == step)
    steps = recorded_steps(prepared, run)
    if not steps:
        raise UsageError("the run recorded no parameters", hint="record: {parameters: true}; 0 and the end are there")
    if not rows.size or step not in steps:
        near = min(steps, key=lambda other: abs(other - step))
        raise UsageError(f"the run recorded no parameters at step {step}", hint=f"the nearest is step {near}")
    objective, built = prepared.built.objective, prepared.built
    tensors = []
    for name, like in zip(objective.trainable_names, built.state.parameters, strict=True):
        value = np.asarray(columns[f"parameters.{name}"][rows[-1]], np.complex128 if like.dtype.is_complex else None)
        tensors.append(tf.constant(raw_value(value, objective.transforms.get(name)), like.dtype))
    return tuple(tensors)


def recorded_steps(prepared: Prepared, run: Run) -> list[int]:
    """Return the steps whose rows hold all trained parameters."""
    columns = run.metrics
    names = [f"parameters.{name}" for name in prepared.built.objective.trainable_names]
    if "step" not in columns or not all(name in columns for name in names):
        return []
    return sorted({int(step) for step in columns["step"]})


def _named(overrides: Mapping[str, Any] | Sequence[str]) -> frozenset[str]:
    """Return what overrides may name: KEY, and the last parts of a dotted one."""
    keys = list(overrides) if isinstance(overrides, Mapping) else [text.partition("=")[0] for text in overrides]
    names = set(keys)
    for key in keys:
        if key.startswith("model.parameters."):
            names.add(key.removeprefix("model.parameters.").removesuffix(".value").removesuffix(".raw"))
    return frozenset(names)
