"""Heat maps, contours and areas in matplotlib, and what their colours mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap

from gdrun.text import safe_text

from . import style
from .figure import Axis, Figure, Grid, Scale
from .levels import contour_levels
from .palette import LINES, graded
from .scales import colour_limits, number_text, position, ticks

_COLOURS = ListedColormap(graded(np.linspace(0, 1, 256)), name="gdrun")
_MOST_NUMBERS = 12
"""Columns of a heat map whose cells are wide enough for their numbers."""


def draw(figure: Figure, axes: Any, drawing: Any, size: tuple[float, float]) -> None:
    """Draw a figure's grid below everything else."""
    grid = figure.grid
    assert grid is not None
    match grid.kind:
        case "cells":
            _cells(figure, grid, axes, drawing, size)
        case "contours":
            _contours(grid, axes, drawing)
        case "areas":
            _areas(grid, axes)


def colour_bar(figure: Figure, axes: Any, drawing: Any) -> None:
    """Say what the colours of points mean."""
    assert figure.colours is not None
    _bar(axes, drawing, colour_limits(figure), figure.colours)


def _cells(figure: Figure, grid: Grid, axes: Any, drawing: Any, size: tuple[float, float]) -> None:
    limits = colour_limits(figure)
    share = position(grid.values, grid.scale, limits)
    colours = np.where(np.isfinite(share)[..., None], graded(share), 1.0)
    rows, columns = grid.values.shape
    blocked = grid.blocked if grid.blocked is not None else np.zeros(grid.values.shape, bool)
    colours[blocked] = (0.925, 0.925, 0.925)
    axes.imshow(
        colours, origin="lower", aspect="auto", interpolation="nearest", zorder=1,
        extent=(grid.x[0] - 0.5, grid.x[-1] + 0.5, grid.y[0] - 0.5, grid.y[-1] + 0.5),
    )  # fmt: skip
    wide = (size[0] - 2) / columns
    high = (size[1] - 1.2) / rows
    at_y, at_x = np.nonzero(blocked)
    if len(at_x):
        marker = min(wide, high) * 72 * 0.3
        axes.plot(
            grid.x[at_x], grid.y[at_y], "x", color="#9a9a9a", markersize=min(marker, 6), markeredgewidth=0.9, zorder=2
        )
    if wide > 0.42 and high > 0.17 and columns <= _MOST_NUMBERS:
        for row, column in zip(*np.nonzero(np.isfinite(grid.values) & ~blocked), strict=True):
            colour = "white" if share[row, column] < 0.6 else style.TEXT
            text = number_text(grid.values[row, column], 3 if wide > 0.55 else 2)
            axes.text(grid.x[column], grid.y[row], text, ha="center", va="center", fontsize=7, color=colour, zorder=3)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(which="both", length=0)
    if np.isfinite(share).any():
        _bar(axes, drawing, limits, Axis(grid.label, grid.scale))


def _contours(grid: Grid, axes: Any, drawing: Any) -> None:
    values, levels = np.ma.masked_invalid(grid.values), contour_levels(grid, 12)
    if len(levels) < 2:
        return
    colours = graded(np.linspace(1, 0.15, len(levels)))
    soft = 1 - 0.28 * (1 - colours)
    axes.contourf(grid.x, grid.y, values, levels=levels, colors=soft[1:].tolist(), zorder=0.6, extend="neither")
    axes.contour(grid.x, grid.y, values, levels=levels, colors="#8a8a8a", linewidths=0.45, zorder=0.8)


def _areas(grid: Grid, axes: Any) -> None:
    labels = np.ma.masked_invalid(np.rint(grid.values))
    classes = np.unique(labels.compressed()).astype(int)
    colours = np.ones((*grid.values.shape, 3))
    for label in classes:
        tone = LINES[label % len(LINES)].lstrip("#")
        rgb = np.array([int(tone[at : at + 2], 16) / 255 for at in (0, 2, 4)])
        colours[np.rint(grid.values) == label] = 1 - 0.22 * (1 - rgb)
    half_x, half_y = ((axis[-1] - axis[0]) / max(len(axis) - 1, 1) / 2 for axis in (grid.x, grid.y))
    axes.imshow(
        colours, origin="lower", aspect="auto", interpolation="nearest", zorder=0.5,
        extent=(grid.x[0] - half_x, grid.x[-1] + half_x, grid.y[0] - half_y, grid.y[-1] + half_y),
    )  # fmt: skip
    levels = (classes[:-1] + classes[1:]) / 2
    if len(levels):
        axes.contour(grid.x, grid.y, labels, levels=levels, colors="#8a8a8a", linewidths=0.6, zorder=0.8)


def _bar(axes: Any, drawing: Any, limits: tuple[float, float], axis: Axis) -> None:
    bar = drawing.colorbar(_Scalars(limits, axis.scale), ax=axes, fraction=0.04, pad=0.02, aspect=28)
    shown = ticks(limits, axis.scale, 6) if limits[0] < limits[1] else [(limits[0], number_text(limits[0]))]
    inside = position(np.array([at for at, _ in shown]), axis.scale, limits)
    bar.set_ticks(inside.tolist(), labels=[safe_text(text) for _, text in shown])
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, color=style.QUIET, labelcolor=style.TEXT, labelsize=8)
    bar.ax.set_title(style.fitting(axis.label, 1.3, 8), fontsize=8, color=style.TEXT, loc="left", pad=6)


def _Scalars(limits: tuple[float, float], scale: Scale) -> Any:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(0, 1), _COLOURS)
