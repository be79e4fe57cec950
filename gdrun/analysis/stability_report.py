"""The stability of a config or a run: what `gdrun stability` reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import UsageError
from gdrun.rundir.run import Run

if TYPE_CHECKING:
    from gdrun.training.prepare import Prepared

    from .observed_limit import ObservedLimit
    from .stability import Prediction, Sharpness

MOST_STEPS = 20
"""Along a run, the curvature at so many steps."""
PLACES = ("start", "end", "all")


@dataclass(frozen=True)
class Stability:
    """The report of `gdrun.stability`."""

    source: str
    optimizer: str
    learning_rate: float | None
    num_parameters: int
    points: tuple[Sharpness, ...]
    """In the order of their steps."""
    edge: ObservedLimit | None = None
    """Observed by trials from the first point on, where that was asked for."""
    notes: tuple[str, ...] = ()

    @property
    def prediction(self) -> Prediction:
        """Of the last point."""
        return self.points[-1].prediction

    @property
    def share(self) -> float | None:
        """The configured learning rate over the limit at the last point."""
        limit = self.prediction.limit
        return None if not limit or self.learning_rate is None else self.learning_rate / limit

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        points = [_plain(point) for point in self.points]
        return vars(self) | {"points": points, "edge": None if self.edge is None else self.edge.as_dict()}


def _plain(point: Sharpness) -> dict[str, Any]:
    few = point.all_known and len(point.eigenvalues) <= 100
    return {
        "step": point.step,
        "loss": point.loss,
        "gradient_norm": point.gradient_norm,
        "largest_eigenvalue": point.largest,
        "smallest_eigenvalue": point.smallest,
        "condition_number": point.condition_number,
        "eigenvalues": point.eigenvalues if few else None,
        "prediction": point.prediction.as_dict(),
    }


def stability(
    source: str | Path,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    at: str | None = None,
    verify: bool = False,
    runs_dir: str | Path | None = None,
    device: str | None = None,
) -> Stability:
    """Return the curvature of the loss and the learning rate at which descent stops being stable.

    Args:
        source, overrides, device: as in `gdrun.train`; a run's directory or id looks at that run.
        at: "start" (the default for a config), "end" (for a run), or "all": along a run, at up to 20 of the steps whose
            parameters were recorded.
        verify: also run trials at rates around the prediction, and say where they stop being stable.
        runs_dir: where run ids are looked up.
    Raises:
        ConfigError: the config is refused. UsageError: there is no such place, complex parameters, data that is not in
            memory. RunDirectoryError: the run has no parameters.
    """
    from .evaluation_point import at_step, config_or_run, point_of

    looked_at = config_or_run(source, runs_dir)
    run = looked_at if isinstance(looked_at, Run) else None
    at = at or ("end" if run else "start")
    if at not in PLACES:
        raise UsageError(f"there is no place '{at}'", hint="--at start, end or all")
    if run is None and at != "start":
        raise UsageError(f"a config has only a start; --at {at} is of a run", hint="train it, then give the run")
    first = point_of(looked_at, overrides, step=0 if run else None, device=device)
    prepared = first.prepared
    import tensorflow as tf

    from .observed_limit import observed_limit
    from .stability import configured_rate, sharpness

    built = prepared.built
    notes: list[str] = []
    places: list[int | None] = [0] if at == "start" else [None] if at == "end" else _steps(prepared, run, notes)
    points = []
    with tf.device(prepared.device.name):
        for step in places:
            points.append(sharpness(built, first if step == 0 else at_step(prepared, run, step)))
        edge = None
        if verify:
            here = first if places[0] == 0 else at_step(prepared, run, places[0])
            prediction = points[0].prediction
            around = prediction.limit or configured_rate(built) or 0.01
            start = built.state._replace(parameters=here.parameters, model_state=here.model_state)
            edge = observed_limit(built, around, quadratic=prediction.exact, start=start)
    return Stability(
        source=str(source),
        optimizer=built.experiment.optimizer.kind,
        learning_rate=configured_rate(built),
        num_parameters=built.num_parameters,
        points=tuple(points),
        edge=edge,
        notes=tuple(notes),
    )


def _steps(prepared: Prepared, run: Run | None, notes: list[str]) -> list[int | None]:
    """Return steps along the run: 0, the end, and between them those with parameters, evenly among the rows."""
    from .evaluation_point import recorded_steps

    assert run is not None
    steps = recorded_steps(prepared, run)
    if not steps:
        notes.append("the run recorded no parameters along the way (record.parameters: true); start and end only")
        return [0, None]
    if len(steps) > MOST_STEPS:
        chosen = np.unique(np.linspace(0, len(steps) - 1, MOST_STEPS).round().astype(int))
        left_out = [str(step) for index, step in enumerate(steps) if index not in chosen]
        some = left_out if len(left_out) <= MOST_STEPS else [*left_out[:MOST_STEPS], "..."]
        notes.append(
            f"{len(chosen)} of {len(steps):,} rows with parameters are shown; left out: steps {', '.join(some)}"
        )
        steps = [steps[index] for index in chosen]
    return list(steps)
