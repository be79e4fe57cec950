"""Lowering the learning rate when a metric stops getting better: the one factor that depends on the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Plateau:
    """The settings and the state of keras's ReduceLROnPlateau, told of a metric once an epoch.

    Args:
        decay: multiplies the factor each time.
        patience: epochs without improvement before it is lowered.
        min_delta: a smaller change is no improvement.
        cooldown: epochs after lowering in which none are counted.
        floor: smallest factor.
        higher_is_better: whether the metric should rise.
        factor, best, waited, cooling: the state: the factor now, the best metric so far (nan: none yet), epochs
            without improvement, epochs of cooldown left.
    """

    decay: float = 0.1
    patience: int = 10
    min_delta: float = 1e-4
    cooldown: int = 0
    floor: float = 0.0
    higher_is_better: bool = False
    factor: float = 1.0
    best: float = float("nan")
    waited: int = 0
    cooling: int = 0

    def update(self, metric: float) -> Plateau:
        """Return the state after an epoch that ended with `metric`; its `factor` holds from the next step on."""
        cooling = max(self.cooling - 1, 0)
        waited = 0 if self.cooling else self.waited
        if self._improves(metric):
            return replace(self, best=metric, waited=0, cooling=cooling)
        if cooling:
            return replace(self, waited=waited, cooling=cooling)
        waited += 1
        if waited < self.patience or self.factor <= self.floor:
            return replace(self, waited=waited, cooling=cooling)
        return replace(self, factor=max(self.factor * self.decay, self.floor), waited=0, cooling=self.cooldown)

    def _improves(self, metric: float) -> bool:
        if np.isnan(self.best):
            return True
        if self.higher_is_better:
            return metric - self.min_delta > self.best
        return metric + self.min_delta < self.best

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the state as arrays, for a checkpoint."""
        return {
            "factor": np.array(self.factor),
            "best": np.array(self.best),
            "waited": np.array(self.waited),
            "cooling": np.array(self.cooling),
        }

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> Plateau:
        """Return these settings with the state that `to_arrays` described."""
        return replace(
            self,
            factor=float(arrays["factor"]),
            best=float(arrays["best"]),
            waited=int(arrays["waited"]),
            cooling=int(arrays["cooling"]),
        )
