"""How a run shows itself in a notebook: a small table and its loss as a line. Every text is escaped."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

from gdrun.errors import RunDirectoryError
from gdrun.text import human_number, human_seconds, safe_text

if TYPE_CHECKING:
    import numpy as np

    from .run import Run

_MOST_POINTS = 300
_WIDTH, _HEIGHT = 260, 60
_LOGARITHMIC_FROM = 100.0


def run_html(run: Run) -> str:
    """Return a run as HTML: name, status and why, steps, time, final values, and the curve of its loss."""
    facts = run.summary()
    record = None if run.problem else run.record
    rows: dict[str, Any] = {"status": facts["status"], "why": facts.get("why"), "steps": facts.get("steps")}
    if isinstance(facts.get("seconds"), int | float):
        rows["time"] = human_seconds(facts["seconds"])
    rows |= dict(record.final if record else {})
    if record and record.best:
        rows["best"] = ", ".join(f"{name} {_shown(value)}" for name, value in record.best.items())
    rows["directory"] = str(run.directory)
    left = "style='text-align:left'"
    cells = "".join(
        f"<tr><th {left}>{_escaped(name)}</th><td {left}>{_escaped(_shown(value))}</td></tr>"
        for name, value in rows.items()
        if value is not None
    )
    return f"<div><strong>{_escaped(run.id)}</strong><table>{cells}</table>{_curve(run)}</div>"


def _shown(value: Any) -> str:
    return human_number(value) if isinstance(value, int | float) else safe_text(value, limit=300)


def _escaped(text: object) -> str:
    return html.escape(safe_text(text, limit=300))


def _curve(run: Run) -> str:
    """The loss as an SVG line; nothing where there is none to draw. Heights are logarithms where they range widely."""
    try:
        columns = run.metrics
    except RunDirectoryError:
        return ""
    losses, steps = columns.get("loss"), columns.get("step")
    if losses is None or steps is None or losses.dtype.kind not in "iuf" or losses.ndim != 1:
        return ""
    points = _points(steps, losses)
    if len(points) < 2:
        return ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    first, last = (human_number(losses[at], digits=3) for at in (0, -1))
    label = _escaped(f"loss {first} to {last} over steps {steps[0]} to {steps[-1]}")
    return (
        f"<svg role='img' aria-label='{label}' width='{_WIDTH}' height='{_HEIGHT}' viewBox='0 0 {_WIDTH} {_HEIGHT}'>"
        f"<title>{label}</title>"
        f"<polyline points='{path}' fill='none' stroke='currentColor' stroke-width='1.5'/></svg>"
    )


def _points(steps: np.ndarray, losses: np.ndarray) -> list[tuple[float, float]]:
    import numpy as np

    chosen = np.unique(np.linspace(0, len(losses) - 1, min(len(losses), _MOST_POINTS)).astype(int))
    x, y = steps[chosen].astype(np.float64), losses[chosen].astype(np.float64)
    finite = np.isfinite(y)
    x, y = x[finite], y[finite]
    if not len(y):
        return []
    if y.min() > 0 and y.max() / y.min() >= _LOGARITHMIC_FROM:
        y = np.log(y)
    # Halved, so that the difference of two huge numbers is finite.
    across, up = x[-1] - x[0] or 1.0, y.max() / 2 - y.min() / 2 or 1.0
    left = 2 + (x - x[0]) / across * (_WIDTH - 4)
    top = 2 + (y.max() / 2 - y / 2) / up * (_HEIGHT - 4)
    return [(a, b) for a, b in zip(left.tolist(), top.tolist(), strict=True) if math.isfinite(a) and math.isfinite(b)]
