"""Runs whose texts are as hostile as files can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&<b>\x1b[31m\u202e{0}%s\n"


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """Write a run: make_run({"step": [0, 1], "loss": [1.0, 0.5]}, parameters={...}, status="completed", **record)."""

    def write(
        columns: Mapping[str, Any],
        *,
        name: str = "line",
        parameters: Mapping[str, Any] | None = None,
        source: Mapping[str, str] | None = None,
        status: str = "completed",
        precision: str = "float64",
        **record: Any,
    ) -> Run:
        with RunStore.create(tmp_path / "runs", name, precision=precision) as store:
            store.write_text("config.yaml", "optimizer: {kind: sgd, learning_rate: 0.1}\n")
            for file, text in (source or {"line.yaml": "lr: 0.1\n"}).items():
                store.write_text(f"source/{file}", text)
            if columns:
                store.append_columns({key: np.asarray(values) for key, values in columns.items()})
            if parameters:
                store.write_parameters(parameters)
            store.close(status, **({"steps": len(columns.get("step", ())) - 1} | record))
        return Run(store.directory)

    return write
