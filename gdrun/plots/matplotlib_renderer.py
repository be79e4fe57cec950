"""Figures drawn by matplotlib. Imported by `rendering.draw` alone: matplotlib is an extra."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize, to_rgb
from matplotlib.figure import Figure as Drawing
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from gdrun.text import safe_text

from .downsampling import downsampled, evenly
from .figure import Figure, FigureAxis, Grid, Region, Series
from .palette import LINES, graded
from .scales import Frame, axis_ticks, colour_limits, colour_ticks, number_text, position, spread_out

_TEXT, _QUIET, _GRID, _SHADE, _SHADE_TEXT, _CROSS = "#222222", "#6b6b6b", "#e6e6e6", "#f1e4e0", "#8c3b2e", "#9a9a9a"
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1)))
_MARKERS = ("o", "^", "s", "D", "v", "P", "X")
_LETTER = 0.56
_BOLD_LETTER = 0.64
"""Width of an average letter, in its height."""
_GRADED_FROM, _GRADED_TO = 0.05, 0.92
_COLOURS = ListedColormap(graded(np.linspace(0, 1, 256)), name="gdrun")
_BUCKETS = 700
"""Stretches of the x axis whose extremes are drawn: about the dots across."""
_MOST_NUMBERS = 12
"""Columns of a heat map whose cells are wide enough for their numbers."""
_MOST_LABELS = 24
_MOST_DIRECT = 9
_LEGEND_HEIGHT = 0.25
"""Share of the height that a legend may take."""
_ROW = 11.5
"""Points."""


def render(figure: Figure, size: tuple[float, float]) -> Any:
    """Return `figure` as a matplotlib Figure of `size` inches."""
    return _Canvas(figure, size).drawing


class _Canvas:
    """One figure on matplotlib's axes."""

    def __init__(self, figure: Figure, size: tuple[float, float]) -> None:
        self.figure, self.frame = figure, Frame(figure)
        self.width, self.height = size
        self.drawing = Drawing(figsize=size, dpi=100, layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06))
        FigureCanvasAgg(self.drawing)
        self.axes: Any = self.drawing.add_subplot()
        self._axes()
        if figure.grid is not None:
            {"cells": self._cells, "contours": self._contours, "areas": self._areas}[figure.grid.kind](figure.grid)
        self._regions_and_rules()
        for item, slot in figure.slotted():
            self._series(downsampled(item, figure.x.scale, self.frame.x_limits, _BUCKETS), slot)
        self._marks()
        if figure.colours is not None:
            self._colour_bar(figure.colours)
        self._head_and_foot()
        self._inner_labels()

    def _axes(self) -> None:
        axes, figure = self.axes, self.figure
        room = (self.width - 1) * 72
        for name, axis, limits, count, length in (
            ("x", figure.x, self.frame.x_limits, max(int((self.width - 1) / 0.85), 2), self.width - 1),
            ("y", figure.y, self.frame.y_limits, max(int((self.height - 0.9) / 0.45), 2), self.height - 1),
        ):
            part = getattr(axes, f"{name}axis")
            getattr(axes, f"set_{name}scale")(axis.scale, **({"nonpositive": "mask"} if axis.scale == "log" else {}))
            getattr(axes, f"set_{name}lim")(*limits)
            labelled = axis_ticks(axis, limits, count)
            width = max((len(text) for _, text in labelled), default=1) * 9 * _LETTER * 1.25
            if name == "x" and width * len(labelled) > room:
                labelled = axis_ticks(axis, limits, max(int(room / width), 2))
            part.set_major_locator(FixedLocator([value for value, _ in labelled]))
            part.set_ticklabels([_fitting(text, 1.6, 8) for _, text in labelled])
            plain_log = axis.scale == "log" and axis.ticks is None and len(labelled) > 2
            # At 2 to 9 times the powers of ten, of which many would be a grey smear.
            few = plain_log and np.log10(limits[1]) - np.log10(limits[0]) <= 7
            part.set_minor_locator(LogLocator(subs=range(2, 10), numticks=10) if few else NullLocator())
            getattr(axes, f"set_{name}label")(_fitting(axis.label, length, 9), color=_TEXT, labelpad=5)
        axes.tick_params(which="major", length=3, color=_QUIET, labelcolor=_TEXT, labelsize=8, width=0.6)
        axes.tick_params(which="minor", length=1.8, color="#bbbbbb", width=0.5)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set(color=_QUIET, linewidth=0.6)
        if figure.grid is None:
            axes.grid(True, which="major", color=_GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        if figure.square:
            axes.set_aspect("equal", adjustable="box")

    # --- grids ----------------------------------------------------------------------------------------------------

    def _cells(self, grid: Grid) -> None:
        axes, limits = self.axes, colour_limits(self.figure)
        share = position(grid.values, grid.scale, limits)
        colours = np.where(np.isfinite(share)[..., None], graded(share), 1.0)
        rows, columns = grid.values.shape
        blocked = grid.blocked if grid.blocked is not None else np.zeros(grid.values.shape, bool)
        colours[blocked] = (0.925, 0.925, 0.925)
        self._image(colours, grid, 0.5, 0.5, zorder=1)
        wide, high = (self.width - 2) / columns, (self.height - 1.2) / rows
        y, x = np.nonzero(blocked)
        if len(x):
            style = {"color": _CROSS, "markersize": min(wide * 21.6, high * 21.6, 6), "markeredgewidth": 0.9}
            axes.plot(grid.x[x], grid.y[y], "x", zorder=2, **style)
        if wide > 0.42 and high > 0.17 and columns <= _MOST_NUMBERS:
            for row, column in zip(*np.nonzero(np.isfinite(grid.values) & ~blocked), strict=True):
                colour = "white" if share[row, column] < 0.6 else _TEXT
                text = number_text(grid.values[row, column], 3 if wide > 0.55 else 2)
                centred = {"ha": "center", "va": "center", "fontsize": 7, "zorder": 3}
                axes.text(grid.x[column], grid.y[row], text, color=colour, **centred)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        axes.tick_params(which="both", length=0)
        if np.isfinite(share).any():
            self._colour_bar(FigureAxis(grid.label, grid.scale))

    def _contours(self, grid: Grid) -> None:
        values, levels = np.ma.masked_invalid(grid.values), grid.contour_levels(12)
        if len(levels) < 2:
            return
        soft = 1 - 0.28 * (1 - graded(np.linspace(1, 0.15, len(levels))))
        axes = self.axes
        axes.contourf(grid.x, grid.y, values, levels=levels, colors=soft[1:].tolist(), zorder=0.6, extend="neither")
        axes.contour(grid.x, grid.y, values, levels=levels, colors="#8a8a8a", linewidths=0.45, zorder=0.8)

    def _areas(self, grid: Grid) -> None:
        labels = np.ma.masked_invalid(np.rint(grid.values))
        classes = np.unique(labels.compressed()).astype(int)
        colours = np.ones((*grid.values.shape, 3))
        for label in classes:
            colours[np.rint(grid.values) == label] = 1 - 0.22 * (1 - np.array(to_rgb(LINES[label % len(LINES)])))
        half_x, half_y = ((axis[-1] - axis[0]) / max(len(axis) - 1, 1) / 2 for axis in (grid.x, grid.y))
        self._image(colours, grid, half_x, half_y, zorder=0.5)
        levels = (classes[:-1] + classes[1:]) / 2
        if len(levels):
            self.axes.contour(grid.x, grid.y, labels, levels=levels, colors="#8a8a8a", linewidths=0.6, zorder=0.8)

    def _image(self, colours: np.ndarray, grid: Grid, half_x: float, half_y: float, *, zorder: float) -> None:
        extent = (grid.x[0] - half_x, grid.x[-1] + half_x, grid.y[0] - half_y, grid.y[-1] + half_y)
        style = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
        self.axes.imshow(colours, zorder=zorder, extent=extent, **style)

    def _colour_bar(self, axis: FigureAxis) -> None:
        """Explain the colours of cells or points."""
        scalars = ScalarMappable(Normalize(0, 1), _COLOURS)
        bar = self.drawing.colorbar(scalars, ax=self.axes, fraction=0.04, pad=0.02, aspect=28)
        places, texts = colour_ticks(self.figure, axis.scale)
        bar.set_ticks(places.tolist(), labels=texts)
        bar.ax.minorticks_off()
        bar.outline.set_visible(False)  # type: ignore[operator]
        bar.ax.tick_params(length=2, color=_QUIET, labelcolor=_TEXT, labelsize=8)
        bar.ax.set_title(_fitting(axis.label, 1.3, 8), fontsize=8, color=_TEXT, loc="left", pad=6)

    # --- lines and points -----------------------------------------------------------------------------------------

    def _regions_and_rules(self) -> None:
        for region in self.figure.regions:
            self.axes.axvspan(*self.frame.ends(region), color=_SHADE, linewidth=0, zorder=0.5)
        style: dict[str, Any] = {"color": _QUIET, "linewidth": 0.9, "linestyle": (0, (4, 2)), "zorder": 1.5}
        for rule in self.figure.rules:
            if rule.x is not None:
                self.axes.axvline(rule.x, **style)
            if rule.y is not None:
                self.axes.axhline(rule.y, **style)

    def _series(self, item: Series, slot: int) -> None:
        axes, figure, colour = self.axes, self.figure, self._colour(slot)
        y = np.where(np.isfinite(item.y), item.y, np.nan)
        if item.values is not None:
            assert figure.colours is not None
            shares = position(item.values, figure.colours.scale, colour_limits(figure))
            axes.scatter(item.x, y, c=graded(shares), s=22, linewidths=0, zorder=3)
            return
        strong = item.weight == "strong"
        if item.lower is not None and item.upper is not None:
            upper = np.where(np.isposinf(item.upper), axes.get_ylim()[1], item.upper)
            axes.fill_between(item.x, item.lower, upper, color=colour, alpha=0.17, linewidth=0, zorder=1.8)
        style = self._line_style(item, slot) | {"alpha": 1 if strong else 0.35, "zorder": 2.5 if strong else 2}
        alike = [other for other in figure.series if other.style == item.style == "points"] or [item]
        many = max(len(other.x) for other in alike) > 60
        style["markersize"] = 2.8 if many else 5 if item.style == "points" else 4
        if self._is_marked(item):
            style["markevery"] = (0.03 * slot, 0.16)  # shares of the diagonal
        axes.plot(item.x, y, **style)

    def _is_marked(self, item: Series) -> bool:
        """Return whether a long line has a few markers: over contours, dashes alone are hard to distinguish."""
        return item.style == "line" and self.figure.grid is not None and self.figure.has_dashes()

    def _line_style(self, item: Series, slot: int) -> dict[str, Any]:
        """Return the style that a series has in the axes and in the legend."""
        dash = _DASHES[slot % len(_DASHES)] if self.figure.has_dashes() else "-"
        marker = "o" if self.figure.graded else _MARKERS[slot % len(_MARKERS)]
        return {
            "color": self._colour(slot),
            "linewidth": 1.5 if item.weight == "strong" else 0.6,
            "linestyle": "none" if item.style == "points" else dash,
            "marker": "none" if item.style == "line" and not self._is_marked(item) else marker,
            "markeredgewidth": 0,
        }

    def _marks(self) -> None:
        """Draw all marks, those that look alike at once."""
        rows = self.figure.mark_rows()
        for (kind, slot, at_edge), marks in self.figure.alike_marks().items():
            colour = self._colour(slot) if slot is not None else "#B03A2E" if kind == "diverged" else _TEXT
            shape = {"color": colour, "linestyle": "none", "zorder": 4, "clip_on": False} | _SHAPES[kind]
            if kind == "end" and slot is not None and not self.figure.graded:
                shape["marker"] = _MARKERS[slot % len(_MARKERS)]
            x = [mark.x for mark in marks]
            if at_edge:
                edge = 0.0 if kind == "zero" else 0.985 - 0.032 * rows[slot]
                self.axes.plot(x, [edge] * len(x), transform=self.axes.get_xaxis_transform(), **shape)
                continue
            if kind == "diverged" and slot is None:
                shape |= {"color": _CROSS, "markersize": 4, "markeredgewidth": 0.9, "zorder": 2.2}
            self.axes.plot(x, [mark.y for mark in marks], **shape)

    def _colour(self, slot: int) -> Any:
        if self.figure.graded:
            share = slot / max(len(self.figure.series) - 1, 1)
            return tuple(graded(_GRADED_FROM + (_GRADED_TO - _GRADED_FROM) * share).tolist())
        return LINES[slot % len(LINES)]

    # --- labels ---------------------------------------------------------------------------------------------------

    def _head_and_foot(self) -> None:
        """Write title, subtitle and notes, and name the series: beside their ends, else in rows above the axes."""
        figure, axes = self.figure, self.axes
        if figure.notes:
            notes = "\n".join(_fitting(note, self.width - 0.2, 7) for note in figure.notes[:4])
            self.drawing.supxlabel(notes, fontsize=7, color=_QUIET, x=0.01, ha="left")
        named = [(item, slot) for item, slot in figure.slotted() if item.label]
        ends = self._ends(named)
        self._labels_at_the_right(named, ends)
        offset = 5.0
        if named and not ends:
            offset += self._legend(named)
        if figure.subtitle:
            below = {"xycoords": "axes fraction", "textcoords": "offset points", "fontsize": 8, "color": _QUIET}
            axes.annotate(_fitting(figure.subtitle, self.width - 0.7, 8), (0, 1), (0, offset), **below)
            offset += 13
        points = 11 if self.width >= 5 else 9
        title = _fitting(figure.title, self.width - 0.5, points, _BOLD_LETTER)
        axes.set_title(title, loc="left", fontsize=points, fontweight="bold", color=_TEXT, pad=offset)

    def _labels_at_the_right(self, named: list[tuple[Series, int]], ends: list[float]) -> None:
        """Write the labels of the series that end there (`ends`), and of horizontal reference lines."""
        labels = [
            (end, item.label, _QUIET if item.weight == "faint" else self._colour(slot))
            for (item, slot), end in zip(named, ends, strict=False)
        ]
        for line in self.figure.rules:
            if line.y is not None and line.label:
                labels.append((self.frame.height(line.y), line.label, _QUIET))
        apart = _ROW / (72 * max(self.height - 1.0, 0.5))
        beside = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "center", "fontsize": 8}
        for (_, label, colour), up in zip(labels, spread_out([up for up, *_ in labels], apart), strict=True):
            self.axes.annotate(_fitting(label, 0.3 * self.width, 8), (1, up), (5, 0), color=colour, **beside)

    def _ends(self, named: list[tuple[Series, int]]) -> list[float]:
        """Return the height at which each named line ends, as a share of the axes; [] where labels do not fit there."""
        if not 0 < len(named) <= _MOST_DIRECT or self.figure.grid is not None or self.figure.colours is not None:
            return []
        longest = max(len(item.label) for item, _ in named)
        if longest * 8 * _LETTER / 72 > 0.3 * self.width or len(named) * 0.15 > self.height - 1.2:
            return []
        return self.frame.line_ends(item for item, _ in named)

    def _legend(self, named: list[tuple[Series, int]]) -> float:
        """Write a legend in rows above the axes; return its height in points."""
        longest = max(len(_fitting(item.label, 0.8 * self.width, 8)) for item, _ in named)
        columns = max(1, min(len(named), int((self.width - 0.8) * 72 / (longest * 8 * 0.6 + 34))))
        most = min(_MOST_LABELS, columns * max(int(self.height * 72 * _LEGEND_HEIGHT / _ROW), 1))
        entries = named
        if len(named) > most:
            entries = [named[index] for index in evenly(len(named), max(min(most, 9) - 1, 1))]
        labels = [_fitting(item.label, 0.8 * self.width, 8) for item, _ in entries]
        handles = [
            Line2D([], [], markersize=4, alpha=1 if item.weight == "strong" else 0.5, **self._line_style(item, slot))
            for item, slot in entries
        ]
        if len(entries) < len(named):
            handles.append(Line2D([], [], linestyle="none"))
            labels.append(f"and {len(named) - len(entries)} more")
        columns = min(columns, len(labels))
        self.axes.legend(
            handles, labels, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, frameon=False, fontsize=8,
            borderaxespad=0.3, borderpad=0, handlelength=2.2, columnspacing=1.4, labelspacing=0.3, labelcolor=_TEXT,
        )  # fmt: skip
        return -(-len(labels) // columns) * _ROW + 3

    def _inner_labels(self) -> None:
        """Write the labels of marks, regions and vertical lines beside them, on the side where there is room."""
        common: dict[str, Any] = {"fontsize": 8, "textcoords": "offset points", "annotation_clip": False}
        for region in self.figure.regions:
            if region.label:
                self._region_label(region)
        # Over lines words need a ground of their own.
        ground = {"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.7, "linewidth": 0}
        vertical = {
            "xycoords": ("data", "axes fraction"),
            "rotation": 90,
            "va": "center",
            "color": _QUIET,
            "bbox": ground,
        }
        vertical |= common
        for line in self.figure.rules:
            if line.x is not None and line.label:
                left = self.frame.across(line.x) > 0.95
                text = _fitting(line.label, max(self.height - 1.3, 0.5), 8)
                self.axes.annotate(
                    text, (line.x, 0.5), (-3 if left else 3, 0), ha="right" if left else "left", **vertical
                )
        # Over contours and the line itself, too.
        halo = [withStroke(linewidth=2.2, foreground="white", alpha=0.85)] if self.figure.grid is not None else None
        common |= {"color": _TEXT, "path_effects": halo, "zorder": 5}
        for mark in self.figure.marks:
            if not mark.label:
                continue
            left = self.frame.across(mark.x) > 0.6
            side, shift = ("right", -8) if left else ("left", 8)
            if mark.y is None:
                edge, up = (0.0, 5) if mark.kind == "zero" else (0.985, -3)
                place: dict[str, Any] = {"xy": (mark.x, edge), "xycoords": ("data", "axes fraction")}
            else:
                up = 7 if self.frame.up(mark.y) < 0.85 else -11
                place = {"xy": (mark.x, mark.y), "xycoords": "data"}
            self.axes.annotate(_fitting(mark.label, 3, 8), xytext=(shift, up), ha=side, **place, **common)

    def _region_label(self, region: Region) -> None:
        """Write a region's label inside it where it is wide enough for a word, turned where it is not."""
        low, high = self.frame.span(region)
        wide = (high - low) * (self.width - 1) * 72
        label = _fitting(region.label, max(self.height - 1.0, 0.5), 8)
        lines = label.replace(" ", "\n", 1)
        below = 14 + 0.032 * 72 * (self.height - 1) * max(len(self.figure.mark_rows()) - 1, 0)
        place: dict[str, Any] = {
            "xy": (self.frame.ends(region)[0], 1),
            "xycoords": ("data", "axes fraction"),
            "va": "top",
        }
        place |= {"textcoords": "offset points", "color": _SHADE_TEXT, "fontsize": 8}
        if wide > max(map(len, lines.split("\n"))) * 8 * _LETTER + 8:
            self.axes.annotate(lines, xytext=(5, -below), **place)
        elif wide > 12:
            self.axes.annotate(label, xytext=(3, -below), rotation=90, **place)
        else:
            self.axes.annotate(label, xytext=(-3, -below), rotation=90, ha="right", **place)


_SHAPES: dict[str, dict[str, Any]] = {
    "diverged": {"marker": "x", "markersize": 6, "markeredgewidth": 1.6},
    "best": {"marker": "o", "markersize": 7, "markeredgewidth": 1.4, "markerfacecolor": "white"},
    "start": {"marker": "o", "markersize": 6, "markeredgewidth": 1.2, "markerfacecolor": "white"},
    "end": {"marker": "o", "markersize": 6, "markeredgewidth": 1.2},
    "zero": {"marker": "v", "markersize": 4, "markeredgewidth": 0.8, "markerfacecolor": "white"},
}


def _fitting(text: str, inches: float, points: float, letter: float = _LETTER) -> str:
    """Return `text`, escaped, cut to the letters of so many points that a line of so many inches holds."""
    return safe_text(text, limit=max(int(inches * 72 / (points * letter)), 4))
