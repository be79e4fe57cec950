"""The eigenvalues of the Hessian at the start of a run, at its end, or along its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gdrun.errors import UsageError
from gdrun.text import human_number

from .curvature import MOST_EXACT, Curvature, lanczos, spectrum
from .stability import configured_rate, largest_stable, prediction_at, share_text

if TYPE_CHECKING:
    from .evaluation_point import EvaluationPoint

_NUM_VALUES = 20
_NEAR = 0.05
"""An eigenvalue that Lanczos knows to this share of itself is shown."""


def spectrum_at(at: EvaluationPoint) -> tuple[np.ndarray, float | None, list[str]]:
    """Return the eigenvalues of the Hessian of the loss over all training data, exact up to 1000 parameters.

    Returns:
        the eigenvalues, descending, float64, all of them or the largest ones; the largest one at which the optimizer is
        stable at its learning rate, None where none is known; and notes.
    Raises:
        UsageError: complex parameters, data that is not in memory, a Hessian that is not finite.
    """
    import tensorflow as tf

    prepared = at.prepared
    built, notes = prepared.built, []
    with tf.device(prepared.device.name):
        curvature = Curvature(built, at)
        if curvature.size <= MOST_EXACT:
            plain = spectrum(curvature)
            values = plain[0][::-1]
            least = float(np.finfo(curvature.dtype.as_numpy_dtype).eps * np.abs(values).max())
            if ((np.abs(values) < least) & (values != 0)).any():
                values = np.where(np.abs(values) < least, 0.0, values)
                notes.append(f"what is smaller than {human_number(least, digits=2)} is rounding, and taken as 0")
        else:
            extreme, bounds = lanczos(curvature.product, curvature.size, tolerance=1e-3, num_values=_NUM_VALUES)
            plain = (extreme, False)
            far = bounds[::-1] > _NEAR * extreme[::-1]
            values = extreme[::-1][: max(int(np.argmax(far)) if far.any() else len(extreme), 1)][:_NUM_VALUES]
            notes.append(f"the {len(values)} largest of {curvature.size:,} eigenvalues, by Lanczos")
            if extreme[0] < 0:
                notes.append(f"the smallest one is about {human_number(float(extreme[0]), digits=3)}")
        if not np.all(np.isfinite(plain[0])):
            raise UsageError(
                f"the Hessian is not finite at step {at.step}", hint="--at start, or a step before it diverged"
            )
        prediction = prediction_at(curvature, at, plain)
    limit = largest_stable(built, prediction)
    if prediction.limit is None:
        notes.append(prediction.why)
    elif limit is None:
        kind, share = built.experiment.optimizer.kind, share_text(configured_rate(built) / prediction.limit)
        notes.append(f"{kind} is stable by another matrix than the Hessian: its rate is {share} that limit")
    return values, limit, notes
