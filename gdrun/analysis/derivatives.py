"""What `gdrun grad` answers: derivatives by target and name, and why one is missing. NumPy only.

Shape letters: T shape of a target, X and Y shapes of names that it is differentiated by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

NO_WAY = "the tape finds no way back to it"
"""Why a derivative is missing, where nothing better is known."""


@dataclass(frozen=True)
class Missing:
    """A derivative that does not exist for the tape, which is not a derivative of 0."""

    reason: str
    """Why, in words."""


Derivative = np.ndarray | Missing


@dataclass(frozen=True)
class TargetDerivatives:
    """The derivatives of one target at one point. What was not asked for is empty."""

    target: str
    """As written."""
    value: np.ndarray
    """(T)."""
    gradients: Mapping[str, Derivative]
    """Of the target, summed if it is no scalar, by each name, (X)."""
    second: Mapping[str, Mapping[str, Derivative]] = field(default_factory=dict)
    """second[x][y]: gradient of the (summed) gradient by x, by y, (Y): what nested tapes give."""
    higher: Mapping[int, Mapping[str, Derivative]] = field(default_factory=dict)
    """higher[n][x]: the n-th derivative by x alone, n from 3, each gradient summed before the next, (X)."""
    jacobian: Mapping[str, Derivative] = field(default_factory=dict)
    """Of every element of the target, (T, X)."""
    batch_jacobian: Mapping[str, Derivative] = field(default_factory=dict)
    """Of each example, the first axis: (B, rest of T, rest of X)."""
    hessian: Mapping[str, Mapping[str, Derivative]] = field(default_factory=dict)
    """hessian[x][y]: second derivatives of the summed target, (X, Y)."""
    hvp: Mapping[str, Derivative] = field(default_factory=dict)
    """The Hessian times the given direction, (X)."""
    jvp: Derivative | None = None
    """The derivative along the given direction, (T)."""
    notes: tuple[str, ...] = ()
    """What is not finite, and which operation made it so."""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; a missing derivative is {"value": None, "reason": ...}."""
        result: dict[str, Any] = {"target": self.target, "value": self.value, "gradients": _plain(self.gradients)}
        for name in ("second", "higher", "jacobian", "batch_jacobian", "hessian", "hvp"):
            if found := getattr(self, name):
                result[name] = _plain(found)
        if self.jvp is not None:
            result["jvp"] = _plain(self.jvp)
        if self.notes:
            result["notes"] = list(self.notes)
        return result


@dataclass(frozen=True)
class PointDerivatives:
    """The derivatives at one point."""

    at: Mapping[str, np.ndarray]
    """The values of the names, constants among them; parameters of a config before their transform."""
    targets: tuple[TargetDerivatives, ...]
    """In the order in which they were given; where there are several, their sum comes last."""

    def __getitem__(self, target: str) -> TargetDerivatives:
        return next(found for found in self.targets if found.target == target)


@dataclass(frozen=True)
class Derivatives:
    """Derivatives at one or more points; what `gdrun.grad` returns."""

    points: tuple[PointDerivatives, ...]
    precision: str
    source: str | None = None
    """The config or run; None for formulas."""

    @property
    def value(self) -> np.ndarray:
        """Of the first target at the first point."""
        return self.points[0].targets[0].value

    @property
    def gradients(self) -> Mapping[str, Derivative]:
        """Of the first target at the first point."""
        return self.points[0].targets[0].gradients

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        points = [{"at": dict(point.at), "targets": [t.as_dict() for t in point.targets]} for point in self.points]
        source = {} if self.source is None else {"source": self.source}
        return source | {"precision": self.precision, "points": points}


def _plain(value: Any) -> Any:
    if isinstance(value, Missing):
        return {"value": None, "reason": value.reason}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
