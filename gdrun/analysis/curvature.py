"""The Hessian of a built experiment's loss over all training data, by products with it.

Shape letters: P entries of all trained parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gdrun.derivatives import flattened, gradient, hessian_product, unflattened
from gdrun.errors import UsageError
from gdrun.formula.nodes import LoopDefinition

if TYPE_CHECKING:
    from gdrun.assembly import Built

    from .evaluation_point import EvaluationPoint

MOST_EXACT = 1000
"""Up to so many parameters the Hessian is written out and its eigenvalues are exact."""
_EAGER = 8
_MOST_VECTORS = 80
_STORED = 1 << 26


class Curvature:
    """The loss of `built` as a function of all trained parameters in one vector, and its second derivatives.

    Dropout and draws are those of one step; nothing is compiled by XLA.

    Args:
        built: the experiment.
        at: where; None: the start.
    Raises:
        UsageError: complex parameters, data that is not in memory.
    """

    def __init__(self, built: Built, at: EvaluationPoint | None = None) -> None:
        if any(parameter.dtype.is_complex for parameter in built.state.parameters):
            raise UsageError("stability is of real parameters", hint="give the two parts as parameters")
        if built.windows.stream is not None:
            raise UsageError("the Hessian is of the loss over all training data, which is not in memory")
        self.built = built
        parameters = built.state.parameters if at is None else at.parameters
        self.like = tuple(parameters)
        self._setting = built.setting if at is None else at.setting
        self._model_state = built.state.model_state if at is None else at.model_state
        self._moment = built.program.feed.moment(built.windows.at(0), built.state.step) if at is None else at.moment
        self.position: tf.Tensor = flattened(parameters)
        self.size = int(self.position.shape[0])
        self.dtype = self.position.dtype
        loops = any(isinstance(d, LoopDefinition) and not d.fits_lanes for d in built.objective.definitions.values())
        # Tracing costs more than a few eager evaluations, unless a loop is run round by round in each of them.
        traced = self.size > _EAGER or loops
        product, slope = partial(hessian_product, self.loss), partial(gradient, self.loss)
        self._product: Callable[..., Any] = tf.function(product, autograph=False) if traced else product
        self._slope: Callable[..., Any] = tf.function(slope, autograph=False) if loops else slope

    def loss(self, flat: tf.Tensor) -> tf.Tensor:
        """Return the loss at `flat`, (P,)."""
        return self.built.objective.evaluate(
            unflattened(flat, self.like), self._model_state, self._setting, self.built.data, self._moment, training=True
        ).loss

    def gradient(self) -> np.ndarray:
        """Return the gradient at the point, float64 (P,)."""
        return np.asarray(self._slope(self.position), np.float64)

    def product(self, vector: np.ndarray, position: np.ndarray | None = None) -> np.ndarray:
        """Return the Hessian at the point (or at another position, (P,)) times `vector`, float64 (P,)."""
        flat = self.position if position is None else tf.constant(position, self.dtype)
        return np.asarray(self._product(flat, tf.constant(vector, self.dtype)), np.float64)

    def hessian(self) -> np.ndarray:
        """Return the Hessian, float64 (P, P), symmetric.

        Raises:
            UsageError: it is too large to hold.
        """
        if self.size > 4 * MOST_EXACT:
            raise UsageError(
                f"the Hessian of {self.size:,} parameters has {self.size**2:,} entries "
                f"({self.size**2 * 8 / 1e9:.3g} GB)",
                hint="its largest eigenvalue comes from products with it: gdrun stability",
            )
        rows = np.stack([self.product(row) for row in np.eye(self.size)])
        return (rows + rows.T) / 2

    def is_quadratic(self) -> bool:
        """Return whether the Hessian is the same elsewhere, tried at one other point in one direction."""
        rng = np.random.default_rng(1)
        here = self.position.numpy().astype(np.float64)
        away = here + rng.normal(size=self.size) * (1 + np.abs(here))
        vector = rng.normal(size=self.size)
        first, second = self.product(vector), self.product(vector, away)
        if not (np.all(np.isfinite(first)) and np.all(np.isfinite(second))):
            return False
        scale = max(np.linalg.norm(first), np.linalg.norm(second))
        return bool(np.linalg.norm(first - second) <= (1e-9 if self.dtype == tf.float64 else 1e-4) * scale)


def spectrum(
    curvature: Curvature, scale: np.ndarray | None = None, *, most_exact: int = MOST_EXACT
) -> tuple[np.ndarray, bool]:
    """Return eigenvalues of D^(1/2) H D^(1/2), ascending, and whether they are all there is.

    Args:
        scale: the diagonal of D, positive, (P,); None: 1.
        most_exact: up to so many parameters the matrix is written out.
    Returns:
        all P eigenvalues and True, or, where there are many, the extreme ones that Lanczos found and False.
    """
    root = None if scale is None else np.sqrt(scale)
    if curvature.size <= most_exact:
        matrix = curvature.hessian()
        if root is not None:
            matrix = matrix * root[:, None] * root[None, :]
        if not np.all(np.isfinite(matrix)):
            return np.full(curvature.size, np.nan), True
        return np.linalg.eigvalsh(matrix), True

    def product(vector: np.ndarray) -> np.ndarray:
        return curvature.product(vector) if root is None else root * curvature.product(root * vector)

    return lanczos(product, curvature.size, tolerance=1e-6 if curvature.dtype == tf.float64 else 1e-4)[0], False


def lanczos(
    product: Callable[[np.ndarray], np.ndarray], size: int, *, tolerance: float = 1e-6, num_values: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return Ritz values of a symmetric matrix, ascending, and how far each may be from an eigenvalue.

    The extreme ones are near its extreme eigenvalues. Each new vector is made orthogonal to all before it, twice, so
    that no eigenvalue comes out more than once.

    Args:
        product: v -> A v, float64 (size,).
        tolerance: on the residuals of the `num_values` largest values, relative to the largest.
        num_values: so many are waited for, as far as memory and patience go.
    Source: Parlett 1980, The Symmetric Eigenvalue Problem, chapter 13.
    """
    most = int(min(size, _MOST_VECTORS, max(8, _STORED // size)))
    basis = np.zeros((most, size))
    vector = np.random.default_rng(0).normal(size=size)
    basis[0] = vector / np.linalg.norm(vector)
    diagonal, beside = np.zeros(most), np.zeros(most)
    values, bounds = np.zeros(1), np.zeros(1)
    for step in range(most):
        image = product(basis[step])
        if not np.all(np.isfinite(image)):
            return np.full(1, np.nan), np.full(1, np.inf)
        diagonal[step] = basis[step] @ image
        for _ in range(2):
            image = image - basis[: step + 1].T @ (basis[: step + 1] @ image)
        beside[step] = np.linalg.norm(image)
        count = step + 1
        matrix = np.diag(diagonal[:count]) + np.diag(beside[: count - 1], 1) + np.diag(beside[: count - 1], -1)
        values, vectors = np.linalg.eigh(matrix)
        bounds = beside[step] * np.abs(vectors[-1])
        largest = max(abs(values[0]), abs(values[-1]))
        near = count >= min(num_values, size) and np.all(bounds[-num_values:] <= tolerance * largest)
        if near or count == most:
            break
        basis[step + 1] = image / beside[step]
    return values, bounds
