"""A picture as plain data, without how it is drawn. The renderers draw it; tests and scripts read it.

Values that are not finite are gaps. Texts may come from anywhere: renderers escape them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

Scale = Literal["linear", "log"]
SeriesStyle = Literal["line", "points", "both"]
Weight = Literal["strong", "faint"]
MarkKind = Literal["diverged", "best", "start", "end", "zero"]
GridKind = Literal["cells", "contours", "areas"]


MOST_MARK_ROWS = 4

RENDERERS: dict[str, Callable[[Figure], Any]] = {}
""""text", "png" and "plotly" -> renderer, which returns None where what it needs is not installed.

`gdrun.plots` fills it: plain data does not import the modules that draw it."""


@dataclass(frozen=True)
class FigureAxis:
    """One of the two axes.

    `limits` None: from what is drawn. `ticks` None: round numbers; else (position, text) of each, for categories; those
    that would overlap are left out when drawn.
    """

    label: str = ""
    scale: Scale = "linear"
    limits: tuple[float, float] | None = None
    ticks: tuple[tuple[float, str], ...] | None = None
    whole: bool = False
    """Only whole numbers mean something on it."""


@dataclass(frozen=True, eq=False)
class Series:
    """Points, or a line through them: x and y float64 (N,), in the order in which they are joined.

    `slot` is the place in the palette, which decides colour, dashes and marker together; None takes the next one.
    `lower` and `upper` (N,) are a band around the line. `values` (N,) colour the points by the figure's `colours`.
    `steps` (N,) are those at which the points were recorded: an animation shows them one after the other.
    """

    x: np.ndarray
    y: np.ndarray
    label: str = ""
    style: SeriesStyle = "line"
    weight: Weight = "strong"
    slot: int | None = None
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    values: np.ndarray | None = None
    steps: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in _COLUMNS:
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, np.asarray(value, np.float64).reshape(-1))
        sizes = {len(value) for name in _COLUMNS if (value := getattr(self, name)) is not None}
        if len(sizes) > 1:
            raise ValueError(f"a series has columns of different lengths: {sorted(sizes)}")

    def kept(self, index: np.ndarray) -> Series:
        """Return the series with some of its points: their numbers, or a bool for each."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        parts: dict[str, Any] = {name: None if part is None else part[index] for name, part in columns.items()}
        return replace(self, **parts)


_COLUMNS = ("x", "y", "lower", "upper", "values", "steps")


@dataclass(frozen=True)
class Mark:
    """One remarkable point.

    `y` None is the edge of the picture: the lower one for "zero" (a value that a log axis has no place for), else the
    upper one. `slot`: the colour of the series it belongs to; None is the colour of text. An animation shows it from
    `step` on.
    """

    x: float
    y: float | None
    kind: MarkKind
    label: str = ""
    slot: int | None = None
    step: float | None = None


@dataclass(frozen=True)
class Region:
    """A shaded stretch of the x axis; None is the picture's edge."""

    start: float | None
    stop: float | None
    label: str = ""


@dataclass(frozen=True)
class ReferenceLine:
    """A straight line across the picture: at `x` (vertical) or at `y` (horizontal)."""

    x: float | None = None
    y: float | None = None
    label: str = ""


@dataclass(frozen=True, eq=False)
class Grid:
    """Values over a rectangle: x (X,), y (Y,), values (Y, X).

    "cells": a heat map; "contours": lines of equal value; "areas": whole numbers, a class each. `blocked` (Y, X) says
    which cells have no value because the trial diverged. `limits` are those of the colours; None: from the values.
    """

    x: np.ndarray
    y: np.ndarray
    values: np.ndarray
    kind: GridKind = "cells"
    label: str = ""
    scale: Scale = "linear"
    blocked: np.ndarray | None = None
    limits: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("x", "y", "values"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
        if self.values.shape != (len(self.y), len(self.x)):
            raise ValueError(f"values of shape {self.values.shape} over {len(self.y)} rows and {len(self.x)} columns")

    def contour_levels(self, count: int) -> np.ndarray:
        """Return at most `count` + 1 increasing levels from the lowest to the highest finite value.

        They are quantiles of the values, denser among the low ones: a narrow valley gets as many lines as the slopes
        around it, however high those rise.
        """
        finite = self.values[np.isfinite(self.values)]
        return np.unique(np.quantile(finite, np.linspace(0, 1, count + 1) ** 1.4)) if len(finite) else np.zeros(0)


@dataclass(frozen=True)
class Figure:
    """A picture. `name` is what its file is called; `notes` are said below it.

    `graded`: the series are in an order (of learning rates, of trials), and colours follow it. `colours` is what the
    series' `values` mean: a label, a scale, limits.
    """

    title: str
    x: FigureAxis = field(default_factory=FigureAxis)
    y: FigureAxis = field(default_factory=FigureAxis)
    subtitle: str = ""
    series: tuple[Series, ...] = ()
    marks: tuple[Mark, ...] = ()
    regions: tuple[Region, ...] = ()
    rules: tuple[ReferenceLine, ...] = ()
    grid: Grid | None = None
    notes: tuple[str, ...] = ()
    name: str = "figure"
    graded: bool = False
    colours: FigureAxis | None = None
    square: bool = False
    """One unit is equally long on both axes."""

    def slotted(self) -> list[tuple[Series, int]]:
        """Return each series with its place in the palette."""
        taken = [series.slot for series in self.series if series.slot is not None]
        free = iter(index for index in range(len(self.series) + len(taken)) if index not in taken)
        return [(series, next(free) if series.slot is None else series.slot) for series in self.series]

    def has_dashes(self) -> bool:
        """Return whether dashes distinguish lines: there are several, and they are in no order."""
        return not self.graded and sum(item.style != "points" and item.weight == "strong" for item in self.series) > 1

    def mark_rows(self) -> dict[int | None, int]:
        """Return for each slot with marks at the upper edge the row that they stand in, from above.

        A few lines get a row each, so that none hides what another one's marks say; many share one.
        """
        slots = sorted(
            {-1 if mark.slot is None else mark.slot for mark in self.marks if mark.y is None and mark.kind != "zero"}
        )
        rows = {None if slot < 0 else slot: row for row, slot in enumerate(slots)}
        return rows if len(rows) <= MOST_MARK_ROWS else dict.fromkeys(rows, 0)

    def alike_marks(self) -> dict[tuple[MarkKind, int | None, bool], list[Mark]]:
        """Return (kind, slot, whether at the picture's edge) -> marks, which look alike: a sweep can have thousands."""
        alike: dict[tuple[MarkKind, int | None, bool], list[Mark]] = {}
        for mark in self.marks:
            alike.setdefault((mark.kind, mark.slot, mark.y is None), []).append(mark)
        return alike

    def __str__(self) -> str:
        return RENDERERS["text"](self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Return the picture for notebooks, which show the best form that they know."""
        forms = {"text/plain": "text", "image/png": "png", "application/vnd.plotly.v1+json": "plotly"}
        drawn = {mime: RENDERERS[renderer](self) for mime, renderer in forms.items()}
        return {mime: content for mime, content in drawn.items() if content is not None}


def plain(figure: Figure) -> dict[str, Any]:
    """Return a figure as dicts and tuples, for `--json`; what is not set is left out."""

    def without_unset(parts: list[tuple[str, Any]]) -> dict[str, Any]:
        # Compared by identity: an array has no truth value, and a 0 is set although it equals False.
        known = [(name, part) for name, part in parts if part is not None and part is not False]
        return {name: part for name, part in known if not (isinstance(part, str | tuple | dict) and not part)}

    return asdict(figure, dict_factory=without_unset)


def numbers(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Return `values` as float64; what is no number is nan."""
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    return np.array([value if isinstance(value, int | float) else np.nan for value in values], np.float64)
