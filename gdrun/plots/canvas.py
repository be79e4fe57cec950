"""Figures drawn by matplotlib: what looks how. Imported by `picture` alone, once matplotlib is known to be there."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, NullLocator

from . import grids
from .figure import Figure, Mark, Series
from .labelling import direct_labels, inner_labels, legend
from .palette import LINES, graded
from .scales import axis_ticks, colour_limits, figure_limits, minor_log_ticks, position
from .style import BOLD_LETTER, DASHES, GRID, LETTER, MARKERS, QUIET, SHADE, TEXT, colour_of, fitting
from .thin import thinned


def render(figure: Figure, size: tuple[float, float]) -> Any:
    """Return `figure` as a matplotlib Figure of `size` inches."""
    drawing = Drawing(figsize=size, dpi=100, layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06))
    FigureCanvasAgg(drawing)
    axes = drawing.add_subplot()
    x_limits, y_limits = figure_limits(figure)
    _frame(figure, axes, size, x_limits, y_limits)
    if figure.grid is not None:
        grids.draw(figure, axes, drawing, size)
    _regions_and_rules(figure, axes, x_limits)
    for item, slot in zip(figure.series, figure.slots(), strict=True):
        _series(figure, thinned(item, figure.x.scale, x_limits, 700), slot, axes)
    _marks(figure, axes)
    if figure.colours is not None:
        grids.colour_bar(figure, axes, drawing)
    _labels(figure, axes, drawing, size, x_limits, y_limits)
    return drawing


def _frame(figure: Figure, axes: Any, size: tuple[float, float], x_limits: Any, y_limits: Any) -> None:
    width, height = size
    for name, axis, limits, count in (
        ("x", figure.x, x_limits, max(int((width - 1) / 0.85), 2)),
        ("y", figure.y, y_limits, max(int((height - 0.9) / 0.45), 2)),
    ):
        part = getattr(axes, f"{name}axis")
        getattr(axes, f"set_{name}scale")(axis.scale, **({"nonpositive": "mask"} if axis.scale == "log" else {}))
        getattr(axes, f"set_{name}lim")(*limits)
        shown = axis_ticks(axis, limits, count)
        longest = max((len(text) for _, text in shown), default=1)
        if name == "x" and longest * 9 * LETTER * 1.25 * len(shown) > (width - 1) * 72:
            shown = axis_ticks(axis, limits, max(int((width - 1) * 72 / (longest * 9 * LETTER * 1.25)), 2))
        part.set_major_locator(FixedLocator([at for at, _ in shown]))
        part.set_ticklabels([fitting(text, 1.6, 8) for _, text in shown])
        plain_log = axis.scale == "log" and axis.ticks is None and len(shown) > 2
        part.set_minor_locator(FixedLocator(minor_log_ticks(limits)) if plain_log else NullLocator())
        getattr(axes, f"set_{name}label")(
            fitting(axis.label, (width if name == "x" else height) - 1, 9), color=TEXT, labelpad=5
        )
    cells = figure.grid is not None
    axes.tick_params(which="major", length=3, color=QUIET, labelcolor=TEXT, labelsize=8, width=0.6)
    axes.tick_params(which="minor", length=1.8, color="#bbbbbb", width=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set(color=QUIET, linewidth=0.6)
    if not cells:
        axes.grid(True, which="major", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    if figure.square:
        axes.set_aspect("equal", adjustable="box")


def _regions_and_rules(figure: Figure, axes: Any, x_limits: tuple[float, float]) -> None:
    for region in figure.regions:
        start, stop = region.start or x_limits[0], x_limits[1] if region.stop is None else region.stop
        axes.axvspan(start if region.start is not None else x_limits[0], stop, color=SHADE, linewidth=0, zorder=0.5)
    for rule in figure.rules:
        style = {"color": QUIET, "linewidth": 0.9, "linestyle": (0, (4, 2)), "zorder": 1.5}
        if rule.x is not None:
            axes.axvline(rule.x, **style)
        if rule.y is not None:
            axes.axhline(rule.y, **style)


def _series(figure: Figure, item: Series, slot: int, axes: Any) -> None:
    colour = colour_of(figure, slot)
    y = np.where(np.isfinite(item.y), item.y, np.nan)
    if item.values is not None:
        assert figure.colours is not None
        shares = position(item.values, figure.colours.scale, colour_limits(figure))
        axes.scatter(item.x, y, c=graded(shares), s=22, linewidths=0, zorder=3)
        return
    strong = item.weight == "strong"
    if item.lower is not None and item.upper is not None:
        top = axes.get_ylim()[1]
        upper = np.where(np.isposinf(item.upper), top, item.upper)
        axes.fill_between(item.x, item.lower, upper, color=colour, alpha=0.17, linewidth=0, zorder=1.8)
    alike = [other for other in figure.series if other.style == item.style == "points"] or [item]
    many = max(len(other.x) for other in alike) > 60
    style: dict[str, Any] = {
        "color": colour,
        "linewidth": 1.5 if strong else 0.6,
        "alpha": 1 if strong else 0.35,
        "linestyle": "none" if item.style == "points" else DASHES[slot % len(DASHES)] if figure.has_dashes() else "-",
        "zorder": 2.5 if strong else 2,
    }
    if item.style != "line":
        marker = "o" if figure.graded else MARKERS[slot % len(MARKERS)]
        style |= {
            "marker": marker,
            "markersize": 2.8 if many else 5 if item.style == "points" else 4,
            "markeredgewidth": 0,
        }
    axes.plot(item.x, y, **style)


_SHAPES: dict[str, dict[str, Any]] = {
    "diverged": {"marker": "x", "markersize": 6, "markeredgewidth": 1.6},
    "best": {"marker": "o", "markersize": 7, "markeredgewidth": 1.4, "markerfacecolor": "white"},
    "start": {"marker": "o", "markersize": 6, "markeredgewidth": 1.2, "markerfacecolor": "white"},
    "end": {"marker": "o", "markersize": 6, "markeredgewidth": 1.2},
    "zero": {"marker": "v", "markersize": 4, "markeredgewidth": 0.8, "markerfacecolor": "white"},
}


def _marks(figure: Figure, axes: Any) -> None:
    """All marks, those of one look at once: a sweep can have thousands."""
    rows = figure.mark_rows()
    alike: dict[tuple[Any, ...], list[Mark]] = {}
    for mark in figure.marks:
        alike.setdefault((mark.kind, mark.slot, mark.y is None), []).append(mark)
    for (kind, slot, at_edge), marks in alike.items():
        colour = LINES[slot % len(LINES)] if slot is not None else "#B03A2E" if kind == "diverged" else TEXT
        shape = {"color": colour, "linestyle": "none", "zorder": 4, "clip_on": False} | _SHAPES[kind]
        x = [mark.x for mark in marks]
        if at_edge:
            edge = 0.0 if kind == "zero" else 0.985 - 0.032 * rows[slot]
            axes.plot(x, [edge] * len(x), transform=axes.get_xaxis_transform(), **shape)
            continue
        if kind == "diverged":
            shape |= {"color": "#9a9a9a", "markersize": 4, "markeredgewidth": 0.9, "zorder": 2.2}
        axes.plot(x, [mark.y for mark in marks], **shape)


def _labels(figure: Figure, axes: Any, drawing: Any, size: Any, x_limits: Any, y_limits: Any) -> None:
    width = size[0] - 0.7
    below = [fitting(note, size[0] - 0.2, 7) for note in figure.notes[:4]]
    if below:
        drawing.supxlabel("\n".join(below), fontsize=7, color=QUIET, x=0.01, ha="left")
    named = [(item, slot) for item, slot in zip(figure.series, figure.slots(), strict=True) if item.label]
    points = 11 if size[0] >= 5 else 9
    head = fitting(figure.title, size[0] - 0.5, points, BOLD_LETTER)
    lines = [fitting(figure.subtitle, width, 8)] if figure.subtitle else []
    direct = direct_labels(figure, axes, named, x_limits, y_limits, size)
    offset = 5.0
    if named and not direct:
        offset += legend(figure, axes, named, size)
    if lines:
        axes.annotate(
            lines[0], (0, 1), (0, offset), xycoords="axes fraction", textcoords="offset points", fontsize=8, color=QUIET
        )
        offset += 13
    axes.set_title(head, loc="left", fontsize=points, fontweight="bold", color=TEXT, pad=offset)
    inner_labels(figure, axes, x_limits, y_limits, size)
