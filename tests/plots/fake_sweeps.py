"""Sweep directories as `gdrun sweep` leaves them, of a descent that a line of NumPy can follow."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gdrun.rundir.arrays import write_arrays
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import RunInfo

CURVATURES = (1.0, 4.0)
"""Of the quadratic that is descended: plain descent is stable below 2 / 4 = 0.5."""

LARGEST = 3.4e38


@dataclass(frozen=True)
class Descent:
    """What a trial came to."""

    loss: float
    diverged_at: int | None
    curve: np.ndarray


def descend(rate: float, momentum: float = 0.0, *, seed: int = 0, steps: int = 200) -> Descent:
    """Gradient descent with heavy ball on the quadratic, from (1, 1) moved a little by the seed."""
    curvature = np.array(CURVATURES)
    x = np.ones(2) * (1 + 0.2 * np.random.default_rng(seed).normal(size=2) * (seed > 0))
    velocity = np.zeros(2)
    curve = np.full(steps + 1, np.nan)
    for step in range(steps + 1):
        loss = float(0.5 * (curvature * x**2).sum())
        if not loss < LARGEST:
            return Descent(curve[step - 1], step, curve)
        curve[step] = loss
        if step < steps:
            velocity = momentum * velocity - rate * curvature * x
            x = x + velocity
    return Descent(curve[-1], None, curve)


def write_sweep(
    directory: Path,
    axes: Mapping[str, Sequence[Any]],
    *,
    rows: Sequence[Sequence[Any]] | None = None,
    failed: Sequence[int] = (),
    name: str = "quadratic",
    **extra: Any,
) -> Run:
    """Write the sweep of `descend` over `axes` (a grid; or `rows` of values) and return it.

    Axes ending in learning_rate, momentum and seed mean those of `descend`; others change nothing.
    """
    directory.mkdir(parents=True)
    combinations = list(itertools.product(*axes.values())) if rows is None else list(rows)
    table, curves = [], []
    for number, values in enumerate(combinations):
        short = {key.rpartition(".")[2]: value for key, value in zip(axes, values, strict=True)}
        given = {key: short[key] for key in ("momentum", "seed") if key in short}
        result = descend(float(short.get("learning_rate", 0.1)), **given)
        status = "failed" if number in failed else "completed" if result.diverged_at is None else "diverged"
        curves.append(result.curve)
        cells = [value if isinstance(value, int | float | str) else json.dumps(value) for value in values]
        best = int(np.nanargmin(result.curve))
        end = 200 if result.diverged_at is None else result.diverged_at
        table.append(
            [
                *(number, *cells, status, "steps", end),
                *(repr(float(result.loss)), repr(float(result.curve[best])), best),
                *(result.diverged_at, "" if result.diverged_at is None else "loss"),
                "no memory" if status == "failed" else "",
            ]
        )
    header = ["trial", *axes, "status", "stopped_by", "steps", "loss", "best_loss", "best_step"]
    with (directory / "trials.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([[*header, "diverged_at", "diverged", "why"], *table])
    with (directory / "curves.npz").open("wb") as file:
        arrays = {"step": np.arange(201), "trial": np.arange(len(curves)), "loss": np.array(curves)}
        write_arrays(file, arrays)
    counts = {
        status: sum(row[len(axes) + 1] == status for row in table) for status in ("completed", "diverged", "failed")
    }
    told = {
        "axes": [{"key": key, "values": list(values) if rows is None else None} for key, values in axes.items()],
        "trials": {"total": len(table), "stopped": 0, "missing": 0} | counts,
        "metric": "loss",
        "direction": "minimize",
    }
    record = RunInfo(id=directory.name, name=name, kind="sweep", status="completed", **(told | extra))
    (directory / "run.json").write_text(record.to_text())
    return Run(directory)
