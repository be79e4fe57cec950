"""Progress of training in a notebook: a bar and a live curve, and the summary in their place once it has ended."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from gdrun.rundir.notebook import loss_curve, progress_html
from gdrun.rundir.run import Run

from .listener import Listener, Plan, Progress

_SECONDS_BETWEEN = 0.2
"""Between two pictures: a notebook draws each of them anew."""


def default_listener() -> Listener:
    """Return a listener that shows progress where this is a notebook's kernel, else one that does nothing."""
    if "ipykernel" not in sys.modules:
        return Listener()
    from IPython import get_ipython

    return NotebookListener() if getattr(get_ipython(), "kernel", None) is not None else Listener()


class NotebookListener(Listener):
    """Display of a run or a sweep in the cell that trains it."""

    def __init__(self) -> None:
        self._display: Any = None
        self._plan: Plan | None = None
        self._points: list[tuple[float, float]] = []
        self._next = 0.0

    def planned(self, plan: Plan) -> None:
        """Show the bar, still empty."""
        from IPython.display import HTML, display

        self._plan = plan
        self._display = display(HTML(progress_html(plan.name, 0.0, {}, "")), display_id=True)

    def progress(self, progress: Progress) -> None:
        """Show how far it is, and the loss so far; of a sweep the best so far, over the trials."""
        if self._plan is None:
            return
        if progress.num_trials is None:
            share = progress.step / max(self._plan.total_steps, 1)
            self._points.append((progress.step, progress.loss))
            facts: dict[str, Any] = {"step": progress.step, "loss": progress.loss}
            curve = loss_curve(self._columns())
        else:
            share = progress.trials_done / max(progress.num_trials, 1)
            best = progress.best_value
            if best is not None:
                self._points.append((progress.trials_done, best))
            diverged = progress.diverged or None
            facts = {"trials": progress.trials_done, "diverged": diverged, "best": best}
            curve = loss_curve(self._columns(), "best", "trials") if self._points else ""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _SECONDS_BETWEEN
            self._show(progress_html(self._plan.name, share, facts, curve))

    def warned(self, message: str) -> None:
        """Print a warning below the bar."""
        print(f"warning: {message}", file=sys.stderr)

    def finished(self, run: Run) -> None:
        """Show the summary in place of the bar."""
        self._show(run._repr_html_())

    def _columns(self) -> dict[str, np.ndarray]:
        points = np.array(self._points, np.float64)
        return {"step": points[:, 0].astype(np.int64), "loss": points[:, 1]}

    def _show(self, page: str) -> None:
        from IPython.display import HTML

        self._display.update(HTML(page))
