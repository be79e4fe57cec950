"""Runs to draw, written as training writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore
from tests.rows import append_rows


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """Write a run: make_run([{"step": 0, "loss": 1.0}], name="a", config="...", status="completed", **record)."""

    def write(
        rows: Sequence[dict[str, Any]],
        *,
        name: str = "line",
        config: str = "optimizer: {kind: sgd, learning_rate: 0.1}\n",
        status: str = "completed",
        **record: Any,
    ) -> Run:
        with RunStore.create(tmp_path / "runs", name, precision="float64") as store:
            store.write_text("config.yaml", config)
            if rows:
                append_rows(store, rows)
            steps = rows[-1]["step"] if rows else 0
            store.close(status, **({"steps": steps} | record))
        return Run(store.directory)

    return write


@pytest.fixture(scope="module")
def trained(shared_lab: Any) -> Callable[[str], Run]:
    """(config) -> its run, trained once however often it is drawn."""
    return cache(shared_lab.train)
