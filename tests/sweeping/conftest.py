"""Sweeps' directories as they are on disk, made without running anything."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdrun.rundir.run import Run
from gdrun.rundir.run_info import RunInfo

RATE = "optimizer.learning_rate"


@pytest.fixture
def sweep_of(tmp_path: Path) -> Callable[..., Run]:
    """Write a sweep: sweep_of([RATE], [{RATE: 0.1, "status": "completed", "loss": 0.5}])."""

    def write(
        axes: Sequence[str],
        rows: Sequence[dict[str, Any]],
        *,
        parameters: dict[str, Any] | None = None,
        best: int | None = None,
        status: str = "completed",
        **extra: Any,
    ) -> Run:
        directory = tmp_path / "sweep"
        directory.mkdir()
        more = [name for row in rows for name in row]
        columns = list(dict.fromkeys(["trial", *axes, "status", "loss", *more]))
        with (directory / "trials.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for number, row in enumerate(rows):
                full = {"trial": number, **row}
                writer.writerow([_cell(full.get(name)) for name in columns])
        record = RunInfo(
            id="sweep", name="line", kind="sweep", status=status, precision="float64", seconds=1.5,
            best={} if best is None else {"trial": best},
            axes=[{"key": axis, "values": None} for axis in axes],
            **{"metric": "loss", "direction": "minimize", **extra},
        )  # fmt: skip
        (directory / "run.json").write_text(record.to_text())
        if parameters is not None:
            np.savez(directory / "parameters.npz", **{"trial": np.arange(len(rows)), **parameters})
        return Run(directory)

    return write


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float | int):
        return repr(value)
    return json.dumps(value) if isinstance(value, list | dict) else str(value)
