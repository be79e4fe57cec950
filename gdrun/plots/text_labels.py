"""Names of series in characters: beside their ends, or in rows above the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gdrun.text import safe_text

from .characters import display_width
from .labels import spread_out
from .scales import position

if TYPE_CHECKING:
    from .text import Drawing

MOST_AT_ENDS = 7
MOST_IN_LEGEND = 12


def fit_at_ends(drawing: Drawing) -> bool:
    """Return whether the names of all series can stand right of their ends."""
    longest = max((display_width(item.label) for item, _ in drawing.named), default=0) + 3
    if not 0 < len(drawing.named) <= MOST_AT_ENDS or longest > 0.35 * drawing.width:
        return False
    if drawing.figure.grid is not None or drawing.figure.colours is not None:
        return False
    for item, _ in drawing.named:
        x = position(item.x, drawing.figure.x.scale, drawing.x_limits)
        good = np.isfinite(x) & np.isfinite(position(item.y, drawing.figure.y.scale, drawing.y_limits))
        if item.style == "points" or not good.any() or x[good].max() < 0.8:
            return False
    return True


def width(drawing: Drawing) -> int:
    """Return how many columns names right of the canvas take."""
    names = [item.label for item, _ in drawing.named] if drawing.at_ends else []
    sizes = [display_width(name) + (3 if drawing.several else 1) for name in names]
    sizes += [display_width(rule.label) + 1 for rule in drawing.figure.rules if rule.y is not None and rule.label]
    return min(max(sizes, default=0), int(0.35 * drawing.width))


def ends(drawing: Drawing) -> dict[int, tuple[str, int]]:
    """Return row -> (text, owner) right of the canvas: the series that end there, and level rules."""
    wanted: list[tuple[float, str, int]] = []
    for item, slot in drawing.named if drawing.at_ends else []:
        y = position(item.y, drawing.figure.y.scale, drawing.y_limits)
        good = y[np.isfinite(y) & np.isfinite(position(item.x, drawing.figure.x.scale, drawing.x_limits))]
        sign = ":" if drawing.ascii else "·"
        sign = sign if item.weight == "faint" else drawing.marker(slot)
        text = f"{sign} {item.label}" if drawing.several and not drawing.figure.graded else item.label
        wanted.append((min(max(float(good[-1]), 0.0), 1.0), text, slot))
    for rule in drawing.figure.rules:
        if rule.y is not None and rule.label:
            up = float(position(np.array([rule.y]), drawing.figure.y.scale, drawing.y_limits)[0])
            wanted.append((min(max(up, 0.0), 1.0) if np.isfinite(up) else 0.0, rule.label, -2))
    places = spread_out([place for place, _, _ in wanted], 1.001 / drawing.rows)
    found: dict[int, tuple[str, int]] = {}
    for place, (_, text, owner) in sorted(zip(places, wanted, strict=True), key=lambda pair: -pair[0]):
        row = min(max(int((1 - place) * drawing.rows), 0), drawing.rows - 1)
        while row in found and row < drawing.rows - 1:
            row += 1
        found[row] = (safe_text(text, limit=max(drawing.direct - 1, 1)), owner)
    return found


def legend(drawing: Drawing) -> list[str]:
    """Return the lines above the picture that name shades, upright lines, and series that are not named at their ends.

    Of many series a dozen are named; of those in an order the first and the last.
    """
    figure = drawing.figure
    parts = [(f"░ {region.label}", -2) for region in figure.regions if region.label]
    parts += [(f"┊ {rule.label}", -2) for rule in figure.rules if rule.x is not None and rule.label]
    named = [] if drawing.at_ends else drawing.named
    if figure.graded and len(named) > 2:
        (first, start), (last, stop) = named[0], named[-1]
        parts += [(f"{len(named)} lines: {first.label}", start), (f"to {last.label}", stop)]
    else:
        parts += [(f"{drawing.marker(slot)} {item.label}", slot) for item, slot in named[:MOST_IN_LEGEND]]
        if len(named) > MOST_IN_LEGEND:
            parts.append((f"and {len(named) - MOST_IN_LEGEND} more", -1))
    lines, used = [""] if parts else [], 0
    for text, owner in parts:
        text = safe_text(text, limit=drawing.width)
        size = display_width(text)
        if used and used + 3 + size > drawing.width:
            lines.append("")
            used = 0
        lines[-1] += ("   " if used else "") + drawing.painted(text, owner)
        used += size + (3 if used else 0)
    return lines
