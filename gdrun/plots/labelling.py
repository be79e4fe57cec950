"""Where words stand in a picture of matplotlib's: at the lines they belong to, or else in a row above them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from . import style
from .figure import Figure, Region, Series
from .labels import spread_out
from .scales import position

Named = list[tuple[Series, int]]

_MOST_DIRECT = 9
_MOST_HIGH = 0.25
"""Share of the height that a legend may take."""
_ROW = 11.5
"""Points."""
_ENDS_BEFORE = 0.8
"""A line that ends further left than this cannot be named at the right edge."""


def direct_labels(figure: Figure, axes: Any, named: Named, x_limits: Any, y_limits: Any, size: Any) -> bool:
    """Write each series' label, and each level rule's, right of the axes; return whether the series' could be.

    The labels of rules are written in any case.
    """
    ends = _ends(figure, named, x_limits, y_limits, size)
    wanted = [
        (place, item.label, style.colour_of(figure, slot)) for (item, slot), place in zip(named, ends, strict=False)
    ]
    for index, (item, _) in enumerate(named[: len(wanted)]):
        if item.weight == "faint":
            wanted[index] = (*wanted[index][:2], style.QUIET)
    for rule in figure.rules:
        if rule.y is not None and rule.label:
            at = float(position(np.array([rule.y]), figure.y.scale, y_limits)[0])
            wanted.append((min(max(at, 0.0), 1.0) if np.isfinite(at) else 0.0, rule.label, style.QUIET))
    apart = 11.5 / (72 * max(size[1] - 1.0, 0.5))
    for (_, label, colour), at in zip(wanted, spread_out([place for place, _, _ in wanted], apart), strict=True):
        axes.annotate(
            style.fitting(label, 0.3 * size[0], 8), (1, at), (5, 0), xycoords="axes fraction",
            textcoords="offset points", va="center", fontsize=8, color=colour,
        )  # fmt: skip
    return bool(ends)


def _ends(figure: Figure, named: Named, x_limits: Any, y_limits: Any, size: Any) -> list[float]:
    """How high each named line ends, as a share of the axes; [] where they are not to be named there."""
    if not 0 < len(named) <= _MOST_DIRECT or figure.grid is not None or figure.colours is not None:
        return []
    longest = max(len(item.label) for item, _ in named)
    if longest * 8 * style.LETTER / 72 > 0.3 * size[0] or len(named) * 0.15 > size[1] - 1.2:
        return []
    ends: list[float] = []
    for item, _ in named:
        x, y = position(item.x, figure.x.scale, x_limits), position(item.y, figure.y.scale, y_limits)
        good = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & (y <= 1.001) & (y >= -0.001))
        if not len(good) or item.style == "points" or x[good].max() < _ENDS_BEFORE:
            return []
        ends.append(float(y[good[np.argmax(x[good])]]))
    return ends


def legend(figure: Figure, axes: Any, named: Named, size: Any) -> float:
    """Write a legend in rows above the axes; return its height in points."""
    texts = {id(item): style.fitting(item.label, 0.8 * size[0], 8) for item, _ in named}
    longest = max(len(text) for text in texts.values())
    columns = max(1, min(len(named), int((size[0] - 0.8) * 72 / (longest * 8 * 0.6 + 34))))
    most = min(style.MOST_LABELS, columns * max(int(size[1] * 72 * _MOST_HIGH / _ROW), 1))
    shown = named
    if len(named) > most:
        picked = np.unique(np.linspace(0, len(named) - 1, max(min(most, 9) - 1, 1)).astype(int))
        shown = [named[index] for index in picked]
    handles = [_handle(figure, item, slot) for item, slot in shown]
    words = [texts[id(item)] for item, _ in shown]
    if len(shown) < len(named):
        handles.append(Line2D([], [], linestyle="none"))
        words.append(f"and {len(named) - len(shown)} more")
    columns = min(columns, len(words))
    axes.legend(
        handles, words, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, frameon=False, fontsize=8,
        borderaxespad=0.3, borderpad=0, handlelength=2.2, columnspacing=1.4, labelspacing=0.3, labelcolor=style.TEXT,
    )  # fmt: skip
    return -(-len(words) // columns) * _ROW + 3


def _handle(figure: Figure, item: Series, slot: int) -> Line2D:
    line: Any = (
        "none" if item.style == "points" else style.DASHES[slot % len(style.DASHES)] if figure.has_dashes() else "-"
    )
    marker = "none" if item.style == "line" else "o" if figure.graded else style.MARKERS[slot % len(style.MARKERS)]
    strong = item.weight == "strong"
    return Line2D(
        [], [], color=style.colour_of(figure, slot), linestyle=line, marker=marker, markersize=4, markeredgewidth=0,
        linewidth=1.5 if strong else 0.6, alpha=1 if strong else 0.5,
    )  # fmt: skip


def inner_labels(figure: Figure, axes: Any, x_limits: Any, y_limits: Any, size: Any) -> None:
    """Write the words of marks, regions and upright rules beside them, on the side where there is room."""
    common: dict[str, Any] = {"fontsize": 8, "textcoords": "offset points", "annotation_clip": False}
    upright: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "rotation": 90, "va": "center"}
    for region in figure.regions:
        _region_label(region, figure, axes, x_limits, size)
    for rule in figure.rules:
        if rule.x is not None and rule.label:
            left = position(np.array([rule.x]), figure.x.scale, x_limits)[0] > 0.95
            text = style.fitting(rule.label, max(size[1] - 1.3, 0.5), 8)
            place = {"ha": "right" if left else "left", "color": style.QUIET}
            axes.annotate(text, (rule.x, 0.5), (-3 if left else 3, 0), **place, **upright, **common)
    # Over contours and the line itself words need a ground of their own.
    halo = [withStroke(linewidth=2.2, foreground="white", alpha=0.85)] if figure.grid is not None else None
    for mark in figure.marks:
        if not mark.label:
            continue
        at = position(np.array([mark.x]), figure.x.scale, x_limits)[0]
        up = 1.0 if mark.y is None else position(np.array([mark.y]), figure.y.scale, y_limits)[0]
        left = at > 0.6
        edge = 0.0 if mark.kind == "zero" else 0.985
        beside = (-8 if left else 8, (5 if mark.kind == "zero" else -3) if mark.y is None else 7 if up < 0.85 else -11)
        axes.annotate(
            style.fitting(mark.label, 3, 8), (mark.x, edge if mark.y is None else mark.y), beside,
            ha="right" if left else "left", color=style.TEXT,
            xycoords=("data", "axes fraction") if mark.y is None else "data", path_effects=halo, zorder=5, **common,
        )  # fmt: skip


def _region_label(region: Region, figure: Figure, axes: Any, x_limits: Any, size: Any) -> None:
    """Inside the region where that is wide enough for a word, upright where it is not."""
    if not region.label:
        return
    edges = [limit if end is None else end for end, limit in zip((region.start, region.stop), x_limits, strict=True)]
    low, high = np.clip(position(np.array(edges), figure.x.scale, x_limits), 0, 1)
    words = style.fitting(region.label, max(size[1] - 1.0, 0.5), 8).replace(" ", "\n", 1)
    longest = max(len(line) for line in words.split("\n"))
    below = 14 + 0.032 * 72 * (size[1] - 1) * max(len(figure.mark_rows()) - 1, 0)
    place: dict[str, Any] = {"xy": (edges[0], 1), "xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    place |= {"color": style.SHADE_TEXT, "fontsize": 8, "va": "top"}
    if (high - low) * (size[0] - 1) * 72 > longest * 8 * style.LETTER + 8:
        axes.annotate(words, xytext=(5, -below), **place)
    elif (high - low) * (size[0] - 1) * 72 > 12:
        axes.annotate(words.replace("\n", " "), xytext=(3, -below), rotation=90, **place)
    else:
        axes.annotate(words.replace("\n", " "), xytext=(-3, -below), rotation=90, ha="right", **place)
