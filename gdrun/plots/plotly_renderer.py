"""Figures as the data and layout that plotly draws. Nothing of plotly is imported: its figures are plain JSON.

Colours are CSS variables, `var(--s0)`, which a page has for its light and its dark scheme; `page.css` and
`html_page.palette_css` define them.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gdrun.text import safe_text

from .animation import Animation
from .downsampling import downsampled, evenly
from .figure import Figure, FigureAxis, Grid, MarkKind, Series
from .palette import LINES, graded
from .scales import Frame, colour_limits, colour_ticks, limits_of, number_text, position

STOPS = 16
"""Colours of series in an order."""
MOST_POINTS = 20_000
"""Of all lines of a figure together: many lines get fewer stretches each."""
BUCKETS = 320
"""Stretches of the x axis of which first, last, lowest and highest points are kept: about two pixels each."""
_GRID_SIDE = 200
_FRAME_SIDE = 100
"""Points on each side of a grid, and of a grid that is computed for each frame."""
_CONTOUR_SIDE = 61
"""The same of contours: plotly draws a line between points, so that more of them only make a page large."""
_MOST_NUMBERS = 12
"""Columns of a heat map whose cells are wide enough for their numbers."""
_DIGITS = 9
"""They give float32 back exactly."""

_DASHES = ("solid", "7px,3px", "2px,2px", "8px,3px,2px,3px", "4px,2px")
_SYMBOLS = ("circle", "triangle-up", "square", "diamond", "triangle-down", "cross", "x")
_MARKS: dict[MarkKind, dict[str, Any]] = {
    "diverged": {"symbol": "x-thin", "size": 8, "line": {"width": 2}},
    "best": {"symbol": "circle-open", "size": 11, "line": {"width": 2}},
    "start": {"symbol": "circle-open", "size": 9, "line": {"width": 2}},
    "end": {"symbol": "circle", "size": 9},
    "zero": {"symbol": "triangle-down-open", "size": 7},
}


def plotly_figure(figure: Figure, grid_side: int = _GRID_SIDE) -> dict[str, Any]:
    """Return {"data": traces, "layout": ...} as strict JSON; texts are escaped, None is a value that is not finite."""
    frame = Frame(figure)
    traces = [*_grid_traces(figure, grid_side), *_series_traces(figure), *_mark_traces(figure, frame)]
    layout: dict[str, Any] = {
        "xaxis": _axis(figure.x, frame.x_limits, figure.grid is not None),
        "yaxis": _axis(figure.y, frame.y_limits, figure.grid is not None),
        "yaxis2": {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
        "hovermode": "closest" if _is_plane(figure) else "x",
        "shapes": _shapes(figure, frame),
    }
    if figure.square:
        layout["yaxis"] |= {"scaleanchor": "x", "constrain": "domain"}
        layout["xaxis"] |= {"constrain": "domain"}
    return {"data": traces, "layout": layout}


def plotly_frames(animation: Animation) -> dict[str, Any]:
    """Return the last frame as `plotly_figure` does, with `frames`: for each step the traces that change.

    A trace that grows has the number of its `points` in place of them.
    """
    drawn = [
        {trace["uid"]: trace for trace in plotly_figure(figure, _FRAME_SIDE)["data"]} for figure in animation.frames
    ]
    last: dict[str, Any] = drawn[-1]
    nothing: dict[str, Any] = {"x": [], "y": []}
    # A mark that later frames do not have any more is there without points.
    whole = {uid: last.get(uid, trace | nothing) for traces in drawn for uid, trace in traces.items()}
    changing = [uid for uid in whole if any(traces.get(uid) != last.get(uid) for traces in drawn)]
    indexes = [list(whole).index(uid) for uid in changing]
    frames = [
        {
            "name": str(step),
            "traces": indexes,
            "data": [_changed(traces.get(uid, nothing), whole[uid]) for uid in changing],
        }
        for step, traces in zip(animation.steps, drawn, strict=True)
    ]
    figure = plotly_figure(animation.frames[-1], _FRAME_SIDE)
    return figure | {"data": list(whole.values()), "frames": frames, "seconds": animation.seconds}


def _changed(trace: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """Return what a trace of a frame has that the last frame's has not."""
    size = len(trace["x"])
    if "z" not in trace and all(trace[name] == whole[name][:size] for name in ("x", "y")):
        return {"points": size}
    return {name: trace[name] for name in ("x", "y", "z", "text") if name in trace and trace[name] != whole.get(name)}


def resolved(value: Any, colours: dict[str, str]) -> Any:
    """Return plotly's JSON with colours in place of variables, for where no page defines them."""
    if isinstance(value, str):
        return re.sub(r"var\(--(\w+)\)", lambda match: colours[match[1]], value)
    if isinstance(value, dict):
        return {key: resolved(item, colours) for key, item in value.items()}
    return [resolved(item, colours) for item in value] if isinstance(value, list) else value


def _is_plane(figure: Figure) -> bool:
    """Return whether points are looked at one by one, not all at one x."""
    ordered = all((np.diff(item.x[np.isfinite(item.x)]) >= 0).all() for item in figure.series)
    scattered = any(item.style == "points" or item.values is not None for item in figure.series)
    return figure.grid is not None or scattered or not ordered or len(figure.series) > 8


def _axis(axis: FigureAxis, limits: tuple[float, float], fixed: bool) -> dict[str, Any]:
    """Return an axis; where it is `fixed` its range is `limits`, else plotly's own."""
    made: dict[str, Any] = {"title": {"text": _text(axis.label)}, "type": axis.scale}
    ends = np.log10(limits) if axis.scale == "log" else np.asarray(limits)
    if fixed or axis.limits is not None:
        made["range"] = _numbers(ends)
    if axis.scale == "log" and np.ptp(ends) > 2:
        made["dtick"] = int(np.ceil(np.ptp(ends) / 8))
    elif axis.scale == "log" and np.ptp(ends) > 0.7:
        made["dtick"] = "D2"  # at 1, 2, 5: plotly's own are evenly spaced numbers, which crowd at the upper end
    if axis.ticks is not None:
        made |= {"tickvals": [_number(at) for at, _ in axis.ticks], "ticktext": [_text(text) for _, text in axis.ticks]}
    elif axis.whole:
        made["tickformat"] = ",d"
    return made


# --- lines and points -------------------------------------------------------------------------------------------------


def _series_traces(figure: Figure) -> Iterator[dict[str, Any]]:
    num_lines = max(sum(len(item.x) > 6 for item in figure.series), 1)
    buckets = max(min(BUCKETS, MOST_POINTS // (4 * num_lines)), 12)
    for index, (item, slot) in enumerate(figure.slotted()):
        colour, item = _colour(figure, slot), shortened(item, buckets)
        group = {"type": "scatter", "legendgroup": str(index), "name": _text(item.label), "uid": f"line{index}"}
        if item.lower is not None and item.upper is not None:
            top = float(np.nanmax(item.upper[np.isfinite(item.upper)], initial=0.0))
            upper = np.where(np.isposinf(item.upper), top, item.upper)
            edge = group | {"x": _numbers(item.x), "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
            yield edge | {"y": _numbers(item.lower), "uid": f"low{index}"}
            yield edge | {"y": _numbers(upper), "uid": f"high{index}", "fill": "tonexty", "fillcolor": f"{colour}2b"}
        trace: dict[str, Any] = group | {"x": _numbers(item.x), "y": _numbers(item.y), "slot": slot}
        trace["mode"] = {"line": "lines", "points": "markers", "both": "lines+markers"}[item.style]
        faint = item.weight == "faint"
        dash = _DASHES[slot % len(_DASHES)] if figure.has_dashes() and not faint else "solid"
        trace["line"] = {"color": colour, "width": 0.8 if faint else 2, "dash": dash}
        trace["opacity"] = 0.4 if faint else 1
        symbol = "circle" if figure.graded else _SYMBOLS[slot % len(_SYMBOLS)]
        trace["marker"] = {"color": colour, "size": 7 if item.style == "points" else 6, "symbol": symbol}
        if len(item.x) > 200:
            trace["marker"]["size"] = 4
        if item.values is not None:
            assert figure.colours is not None
            trace["marker"] |= _coloured(figure, item.values, figure.colours)
            trace["text"] = [number_text(value, 7) for value in item.values.tolist()]
            trace["hovertemplate"] = f"%{{x}}, %{{y}}<br>{_text(figure.colours.label)} %{{text}}<extra></extra>"
        yield trace


def _coloured(figure: Figure, values: np.ndarray, axis: FigureAxis) -> dict[str, Any]:
    """Return how plotly colours values by the graded palette, with a bar that explains it."""
    limits = colour_limits(figure)
    stops = np.linspace(0, 1, STOPS)
    scale = [[float(stop), hex_colour(colour)] for stop, colour in zip(stops, graded(stops), strict=True)]
    places, texts = colour_ticks(figure, axis.scale)
    bar = {"title": {"text": _text(axis.label)}, "tickvals": _numbers(places), "ticktext": texts}
    shares = {"cmin": 0, "cmax": 1, "colorscale": scale, "colorbar": bar | {"thickness": 12, "outlinewidth": 0}}
    return {"color": _numbers(position(values, axis.scale, limits)), "showscale": True} | shares


def shortened(series: Series, buckets: int) -> Series:
    """Return a line with few points that looks the same, on a linear and on a logarithmic x axis.

    A line whose points are in no order keeps every n-th; coloured points all stay.
    """
    if len(series.x) <= 12 * buckets or series.values is not None:
        return series
    if not (np.diff(series.x) >= 0).all():
        return series.kept(evenly(len(series.x), 12 * buckets))
    linear = downsampled(series, "linear", limits_of([series.x], "linear", margin=0), buckets)
    early = downsampled(series, "log", limits_of([series.x], "log", margin=0), buckets // 2)
    # Rows of the same x stand or fall together; there are few of them.
    return series.kept(np.flatnonzero(np.isin(series.x, linear.x) | np.isin(series.x, early.x)))


# --- grids ------------------------------------------------------------------------------------------------------------


def _grid_traces(figure: Figure, side: int) -> Iterator[dict[str, Any]]:
    if figure.grid is None:
        return
    if figure.grid.kind == "cells":
        yield from _cells(figure, figure.grid)
    else:
        side = min(side, _CONTOUR_SIDE) if figure.grid.kind == "contours" else side
        rows, columns = (evenly(size, side) for size in figure.grid.values.shape)
        x, y, values = figure.grid.x[columns], figure.grid.y[rows], figure.grid.values[np.ix_(rows, columns)]
        place = {"x": _numbers(x), "y": _numbers(y), "showscale": False, "uid": "grid"}
        yield place | (_contours(figure.grid, values) if figure.grid.kind == "contours" else _areas(values))


def _cells(figure: Figure, grid: Grid) -> Iterator[dict[str, Any]]:
    colours = _coloured(figure, grid.values.reshape(-1), FigureAxis(grid.label, grid.scale))
    shape, hover = grid.values.shape, f"%{{x}}, %{{y}}<br>{_text(grid.label)} %{{text}}<extra></extra>"
    texts = [[number_text(value, 3) for value in row] for row in grid.values.tolist()]
    trace = {"type": "heatmap", "x": _numbers(grid.x), "y": _numbers(grid.y), "zmin": 0, "zmax": 1, "text": texts}
    trace |= {name: colours[name] for name in ("colorscale", "colorbar")} | {"hovertemplate": hover, "xgap": 1}
    trace |= {"uid": "grid", "z": _rows(np.array(colours["color"], np.float64).reshape(shape), 4), "ygap": 1}
    if shape[1] <= _MOST_NUMBERS:
        trace["texttemplate"] = "%{text}"
    yield trace
    if grid.blocked is not None and grid.blocked.any():
        y, x = np.nonzero(grid.blocked)
        marker = _MARKS["diverged"] | {"color": "var(--quiet)", "line": {"color": "var(--quiet)", "width": 1.5}}
        yield {
            "type": "scatter", "uid": "blocked", "mode": "markers", "x": _numbers(grid.x[x]),
            "y": _numbers(grid.y[y]), "marker": marker,
            "hovertemplate": "%{x}, %{y}<br>diverged<extra></extra>",
        }  # fmt: skip


def _contours(grid: Grid, values: np.ndarray) -> dict[str, Any]:
    """Return contours at the grid's levels: plotly's are evenly spaced, so it gets each value's place among ours."""
    levels = grid.contour_levels(12)
    places = np.interp(values, levels, np.arange(len(levels))) if len(levels) > 1 else np.zeros(values.shape)
    rounded = np.round(places, 3).astype(object)
    rounded[~np.isfinite(values)] = None
    stops = np.linspace(0, 1, STOPS)
    colours = [[float(stop), hex_colour(colour)] for stop, colour in zip(stops, graded(1 - 0.85 * stops), strict=True)]
    return {
        "type": "contour", "z": rounded.tolist(), "colorscale": colours, "opacity": 0.35,
        "customdata": _rows(values, 3), "contours": {"start": 0, "end": max(len(levels) - 1, 1), "size": 1},
        "line": {"color": "var(--quiet)", "width": 1},
        "hovertemplate": f"%{{x}}, %{{y}}<br>{_text(grid.label)} %{{customdata}}<extra></extra>",
    }  # fmt: skip


def _areas(values: np.ndarray) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    classes = max(int(finite.max(initial=0)), 0) + 1
    scale = [[k / classes, f"var(--s{slot % len(LINES)})"] for slot in range(classes) for k in (slot, slot + 1)]
    return {
        "type": "heatmap", "z": _rows(np.rint(values), _DIGITS), "colorscale": scale, "zmin": -0.5,
        "zmax": classes - 0.5, "opacity": 0.25, "hoverinfo": "x+y+z",
    }  # fmt: skip


# --- marks ------------------------------------------------------------------------------------------------------------


def _mark_traces(figure: Figure, frame: Frame) -> Iterator[dict[str, Any]]:
    """Yield all marks, those that look alike as one trace."""
    rows = figure.mark_rows()
    for (kind, slot, at_edge), marks in figure.alike_marks().items():
        plain = "var(--bad)" if kind == "diverged" else "var(--text)"
        colour = plain if slot is None else _colour(figure, slot)
        shape: dict[str, Any] = {"color": colour} | _MARKS[kind]
        shape["line"] = shape.get("line", {}) | {"color": colour}
        if kind == "end" and slot is not None and not figure.graded:
            shape["symbol"] = _SYMBOLS[slot % len(_SYMBOLS)]
        edge = 0.01 if kind == "zero" else 0.985 - 0.04 * rows.get(slot, 0)
        y = [edge if mark.y is None else mark.y for mark in marks]
        sides = ["left" if frame.across(mark.x) > 0.7 else "right" for mark in marks]
        trace = {
            "type": "scatter", "uid": f"{kind} {slot} {at_edge}", "mode": "markers+text",
            "x": [_number(mark.x) for mark in marks], "y": list(map(_number, y)),
            "text": [_text(mark.label) for mark in marks], "textposition": [f"top {side}" for side in sides],
            "marker": shape, "cliponaxis": False, "textfont": {"color": "var(--text)"},
            "hovertemplate": f"{kind if kind != 'zero' else '0'} at %{{x}}<extra></extra>",
        }  # fmt: skip
        if at_edge:
            trace |= {"yaxis": "y2", "textposition": ["bottom " + side for side in sides]}
        yield trace


def _shapes(figure: Figure, frame: Frame) -> list[dict[str, Any]]:
    """Return the shapes of regions and reference lines, with their labels."""
    shapes: list[dict[str, Any]] = []
    quiet = {"color": "var(--quiet)", "size": 11}
    for region in figure.regions:
        ends = frame.ends(region)
        font = quiet | {"color": "var(--bad)"}
        side = "right" if frame.across(ends[0]) > 0.6 else "left"
        label: dict[str, Any] = {"text": _text(region.label), "textposition": f"middle {side}", "font": font}
        place = {"x0": _number(ends[0]), "x1": _number(ends[1]), "y0": 0, "y1": 1, "yref": "y domain"}
        look = {"fillcolor": "var(--shade)", "line": {"width": 0}, "layer": "below", "label": label}
        shapes.append({"type": "rect"} | place | look)
    for rule in figure.rules:
        place = {"x0": _number(rule.x), "x1": _number(rule.x), "y0": 0, "y1": 1, "yref": "y domain"}
        if rule.x is None:
            place = {"y0": _number(rule.y), "y1": _number(rule.y), "x0": 0, "x1": 1, "xref": "x domain"}
        line = {"color": "var(--quiet)", "width": 1.2, "dash": "5px,4px"}
        # Above the line: of a horizontal one at its right end, of a vertical one outside, where no other line crosses.
        sides = ("right" if rule.x is None or frame.across(rule.x) > 0.6 else "left", "bottom")
        label = {"text": _text(rule.label), "textposition": "end", "font": quiet, "textangle": 0}
        label |= {"xanchor": sides[0], "yanchor": sides[1]}
        shapes.append({"type": "line", "line": line, "label": label} | place)
    return shapes


def _colour(figure: Figure, slot: int) -> str:
    if figure.graded:
        return f"var(--g{round(slot / max(len(figure.series) - 1, 1) * (STOPS - 1)) % STOPS})"
    return f"var(--s{slot % len(LINES)})"


def hex_colour(colour: Sequence[float]) -> str:
    """Return red, green, blue in [0, 1] as #rrggbb."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)


def _text(text: str) -> str:
    """Return a text that plotly shows as it is: it reads some markup of HTML in texts."""
    return html.escape(safe_text(text, limit=200), quote=False).replace("%{", "%&#123;")


def _numbers(values: np.ndarray) -> list[float | int | None]:
    return [_number(value) for value in values.tolist()]


def _rows(values: np.ndarray, digits: int) -> list[list[float | int | None]]:
    return [[_number(value, digits) for value in row] for row in values.tolist()]


def _number(value: float | None, digits: int = _DIGITS) -> float | int | None:
    """Return a number with the digits that it has, None where it is not finite; whole ones without a point."""
    if value is None or not np.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
