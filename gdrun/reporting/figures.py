"""The pictures of a page as data for its script: gdrun's own figures, thinned, as numbers of nine digits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from gdrun.errors import GdrunError
from gdrun.plots.choose import PICTURES
from gdrun.plots.downsampling import downsampled, evenly
from gdrun.plots.figure import Figure, FigureAxis, Grid, Series
from gdrun.plots.palette import LINES
from gdrun.plots.scales import colour_limits, limits_of
from gdrun.rundir.run import Run

BUCKETS = 320
"""Stretches of the x axis of which first, last, lowest and highest points are kept: about two pixels each."""

MOST_POINTS = 20_000
"""Of all lines of a figure together: many lines get fewer stretches each."""

MOST_CELLS = 10_000
_DIGITS = 9
"""They give float32 back exactly."""


def page_figures(run: Run) -> Iterator[Figure]:
    """Yield the figures that the page of a run or a sweep shows, as far as its files allow."""
    for picture in PICTURES:
        if (picture.of == "sweep") == run.is_sweep:
            # The page says elsewhere what is wrong with the files.
            with suppress(GdrunError, ValueError, TypeError, LookupError, ArithmeticError):
                if picture.on_page(run):
                    yield picture(run)


def figure_data(figure: Figure) -> dict[str, Any]:
    """Return a figure with a strict JSON form, for the script.

    Long lines are thinned so that extremes, ends and gaps stay, on a linear x axis and on a logarithmic one; null is a
    value that is not finite. Colours are left to the page: `slot` is the place in its palette.
    """
    strong = max(sum(len(item.x) > 6 for item in figure.series), 1)
    buckets = max(min(BUCKETS, MOST_POINTS // (4 * strong)), 12)
    notes = list(figure.notes)
    grid = figure.grid
    if grid is not None and (grid.kind != "cells" or grid.values.size > MOST_CELLS):
        notes += ["too many cells for a page; gdrun plot draws them"] if grid.kind == "cells" else []
        grid = None
    colours = figure.colours
    if grid is not None:
        colours = FigureAxis(grid.label, grid.scale, colour_limits(figure))
    elif colours is not None:
        colours = replace(colours, limits=colour_limits(figure))
    return {
        "name": figure.name,
        "title": figure.title,
        "subtitle": figure.subtitle,
        "notes": notes,
        "x": _axis(figure.x),
        "y": _axis(figure.y),
        "graded": figure.graded,
        "dashed": figure.has_dashes(),
        "square": figure.square,
        "series": [
            _series(shortened(item, buckets), slot) for item, slot in figure.slotted()
        ],
        "marks": [
            {"kind": m.kind, "x": _number(m.x), "y": _number(m.y), "slot": m.slot} | {"label": m.label}
            for m in figure.marks
        ],
        "regions": [
            {"start": _number(r.start), "stop": _number(r.stop), "label": r.label}
            for r in figure.regions
        ],
        "rules": [
            {"x": _number(r.x), "y": _number(r.y), "label": r.label} for r in figure.rules
        ],
        "grid": None if grid is None else _grid(grid),
        "colours": None if colours is None else _axis(colours),
    }  # fmt: skip


def shortened(series: Series, buckets: int) -> Series:
    """Return a line with few points that looks the same, on a linear and on a logarithmic x axis.

    A line whose points are in no order keeps every n-th; coloured points all stay.
    """
    if len(series.x) <= 12 * buckets or series.values is not None:
        return series
    if not (np.diff(series.x) >= 0).all():
        return _kept(series, evenly(len(series.x), 12 * buckets))
    linear = downsampled(series, "linear", limits_of([series.x], "linear", margin=0), buckets)
    early = downsampled(series, "log", limits_of([series.x], "log", margin=0), buckets // 2)
    # Rows of the same x stand or fall together; there are few of them.
    return _kept(series, np.flatnonzero(np.isin(series.x, linear.x) | np.isin(series.x, early.x)))


def _kept(series: Series, index: np.ndarray) -> Series:
    parts = {name: getattr(series, name) for name in ("x", "y", "lower", "upper")}
    kept: dict[str, Any] = {name: None if part is None else part[index] for name, part in parts.items()}
    return replace(series, **kept)


def _series(series: Series, slot: int) -> dict[str, Any]:
    values = {name: getattr(series, name) for name in ("x", "y", "lower", "upper", "values")}
    columns = {name: [_number(item) for item in part.tolist()] for name, part in values.items() if part is not None}
    words = {"label": series.label, "style": series.style, "weight": series.weight}
    return words | {"slot": slot if slot < 1 << 20 else slot % len(LINES)} | columns


def _axis(axis: FigureAxis) -> dict[str, Any]:
    ticks = axis.ticks and [[_number(at), text] for at, text in axis.ticks]
    limits = axis.limits and [_number(end) for end in axis.limits]
    label = axis.label
    return {"label": label, "scale": axis.scale, "limits": limits, "ticks": ticks, "whole": axis.whole}


def _grid(grid: Grid) -> dict[str, Any]:
    blocked = np.zeros(grid.values.shape, bool) if grid.blocked is None else grid.blocked
    return {
        "x": [_number(at) for at in grid.x.tolist()],
        "y": [_number(at) for at in grid.y.tolist()],
        "values": [[_number(value) for value in row] for row in grid.values.tolist()],
        "blocked": blocked.astype(int).tolist(),
        "label": grid.label,
    }


def _number(value: float | None) -> float | int | None:
    """Return a number with the digits that it has, None where it is not finite; whole ones without a point."""
    if value is None or not np.isfinite(value):
        return None
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
