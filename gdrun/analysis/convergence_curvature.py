"""What the Hessian adds to a run's convergence report: predicted rates, the distance to the minimum, the limit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .convergence import Convergence, report

if TYPE_CHECKING:
    from gdrun.rundir.run import Run


def with_curvature(run: Run, *, device: str | None = None) -> Convergence:
    """Return `convergence.report(run)` with what the curvature of its loss says. Builds the run's config.

        predicted_rate    of gradient descent at the configured rate: max |1 - rate * eigenvalue|
        best_rate         (k - 1) / (k + 1), k the condition number
        distance          to the minimum of a quadratic loss, in parameters; `first_distance` at the start
        excess_loss       loss above that minimum
        limit             the predicted limit of the learning rate, `where` the curvature was taken

    Raises:
        ConfigError: its data is not there any more. UsageError: complex parameters, data that is not in memory.
    """
    from .curvature import MOST_EXACT, Curvature
    from .stability import sharpness
    from .start import at_step, point_of

    found = report(run)
    start = point_of(run, step=0, device=device)
    built = start.prepared.built
    at_end = found.diverged is None
    here = at_step(start.prepared, run, None) if at_end else start
    point = sharpness(built, here)
    rate = float(np.atleast_1d(built.setting.learning_rate.numpy())[0])
    values: dict[str, Any] = {
        "where": "end" if at_end else "start",
        "learning_rate": rate,
        "limit": point.prediction.limit,
        "largest_eigenvalue": point.largest,
        "condition_number": point.condition_number,
    }
    kappa = point.condition_number
    if kappa is not None and np.isfinite(kappa):
        values["best_rate"] = (kappa - 1) / (kappa + 1)
        predicted = built.experiment.optimizer.contraction(rate, point.eigenvalues)
        if predicted is not None and built.windows.factors is None:
            values["predicted_rate"] = predicted
    curvature = Curvature(built, here)
    if curvature.size <= MOST_EXACT and point.largest > 0 and curvature.is_quadratic() and kappa is not None:
        hessian, slope = curvature.hessian(), curvature.gradient()
        # Flat directions have no nearest minimum: none is moved along.
        step = np.linalg.lstsq(hessian, slope, rcond=1e-12)[0]
        minimum = curvature.position.numpy().astype(np.float64) - step
        first = Curvature(built, start).position.numpy().astype(np.float64)
        values |= {
            "distance": float(np.linalg.norm(step)),
            "first_distance": float(np.linalg.norm(first - minimum)),
            "excess_loss": float(0.5 * slope @ step),
            "minimum": minimum if minimum.size <= 100 else None,
        }
    return replace(found, curvature=values)
