"""Axes: linear or logarithmic scales, limits, ticks, and the places of values and labels along them."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .figure import Figure, FigureAxis, Region, Scale, Series

LOG_DECADES = 2.0
"""Positive values that span more than this are shown on a log axis."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MARGIN = 0.04
_ENDS_BEFORE = 0.8
"""A line that ends further left than this cannot be labelled at the right edge."""
_LEAST_ROOM = 1e-300
"""Among denormal numbers there are too few to divide an axis by."""
_BY_FACTORS = 15.0
"""Unevenly spaced settings whose largest is so many times their smallest were chosen by factors."""


def natural_scale(values: Iterable[np.ndarray], *, zeros: bool = False) -> Scale:
    """Return "log" for positive values that span more than two decades, else "linear".

    Args:
        values: arrays; what is not finite does not count.
        zeros: True tolerates a value of 0 here and there (a loss that became exact).
    """
    arrays = [array[np.isfinite(array)] for array in values]
    whole = np.concatenate(arrays) if arrays else np.zeros(0)
    positive = whole[whole > 0]
    if len(positive) < 2 or (whole < 0).any() or (len(positive) < len(whole) and not zeros):
        return "linear"
    if len(positive) < 0.5 * len(whole):
        return "linear"
    return "log" if math.log10(positive.max()) - math.log10(positive.min()) > LOG_DECADES else "linear"


def loss_scale(column: str, values: Sequence[np.ndarray]) -> Scale:
    """Return the scale of a column of results: logarithmic for positive losses, else `natural_scale`."""
    finite = np.concatenate([array[np.isfinite(array)] for array in values]) if values else np.zeros(0)
    if column.rpartition("_")[2] == "loss" and len(finite) and finite.min() > 0:
        return "log"
    return natural_scale(values, zeros=True)


def sampling_scale(values: np.ndarray) -> Scale:
    """Return "log" for settings that were sampled so: half of them lie in the lowest fifth of their range."""
    low, high = values.min(), values.max()
    return "log" if low > 0 and np.median(values) < low + (high - low) / 5 else "linear"


def spacing_scale(values: np.ndarray) -> Scale:
    """Return "log" where settings were chosen by factors (0.1, 0.2, 0.4, or 0.01, 0.1, 0.3), else "linear"."""
    values = np.unique(values[np.isfinite(values)])
    if len(values) < 2 or values[0] <= 0:
        return "linear"
    factors, steps = np.diff(np.log(values)), np.diff(values)
    uneven = float(np.ptp(steps) / steps.mean())
    if uneven < 1e-3:
        return "log" if len(values) == 2 and values[1] > _BY_FACTORS * values[0] else "linear"
    even_factors = float(np.ptp(factors) / factors.mean()) < uneven
    return "log" if even_factors or values[-1] > _BY_FACTORS * values[0] else "linear"


def limits_of(values: Iterable[np.ndarray], scale: Scale, *, margin: float = _MARGIN) -> tuple[float, float]:
    """Return the limits of an axis that shows `values`, with a little room on both sides.

    Values that are not finite, or not positive on a log axis, do not count; without any the answer is (0, 1), or
    (0.1, 10) on a log axis.
    """
    low, high = math.inf, -math.inf
    for array in values:
        usable = array[np.isfinite(array) & ((array > 0) | (scale == "linear"))]
        if len(usable):
            low, high = min(low, float(usable.min())), max(high, float(usable.max()))
    if low > high:
        return (0.1, 10.0) if scale == "log" else (0.0, 1.0)
    if scale == "log":
        a, b = math.log10(low), math.log10(high)
        room = margin * (b - a) if b > a else 0.5
        return _power(a - room), _power(b + room)
    # Differences of halves: the span of the largest floats is itself one.
    half = high / 2 - low / 2
    room = 2 * margin * half if half > 0 else (abs(low) * 0.1 or 1.0)
    room = max(room, _LEAST_ROOM)
    largest = sys.float_info.max
    return max(low - room, -largest), min(high + room, largest)


def _power(exponent: float) -> float:
    return float(10.0 ** min(exponent, 308.0)) or 5e-324


def figure_limits(figure: Figure) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the limits of both axes of a figure."""
    series = figure.series
    across = [item.x for item in series]
    upward = [part for item in series for part in (item.y, item.lower, item.upper) if part is not None]
    for mark in figure.marks:
        across.append(np.array([mark.x]))
        upward.append(np.array([math.nan if mark.y is None else mark.y]))
    for rule in figure.rules:
        across.append(np.array([math.nan if rule.x is None else rule.x]))
        upward.append(np.array([math.nan if rule.y is None else rule.y]))
    for region in figure.regions:
        across.append(np.array([value for value in (region.start, region.stop) if value is not None], np.float64))
    x_margin, y_margin = _MARGIN / 2, _MARGIN
    if figure.grid is not None:
        half = 0.5 if figure.grid.kind == "cells" else 0.0
        across = [figure.grid.x - half, figure.grid.x + half]
        upward = [figure.grid.y - half, figure.grid.y + half]
        x_margin = y_margin = 0.0
    return (
        figure.x.limits or limits_of(across, figure.x.scale, margin=x_margin),
        figure.y.limits or limits_of(upward, figure.y.scale, margin=y_margin),
    )


class Frame:
    """The limits of a figure's axes, and the places of values between them: 0 at the beginning, 1 at the end."""

    def __init__(self, figure: Figure) -> None:
        self._scales = figure.x.scale, figure.y.scale
        self.x_limits, self.y_limits = figure_limits(figure)

    def across(self, values: ArrayLike) -> np.ndarray:
        """Return the places of x values, of their shape; nan has none."""
        return position(np.asarray(values, np.float64), self._scales[0], self.x_limits)

    def up(self, values: ArrayLike) -> np.ndarray:
        """Return the places of y values, of their shape; nan has none."""
        return position(np.asarray(values, np.float64), self._scales[1], self.y_limits)

    def ends(self, region: Region) -> tuple[float, float]:
        """Return the x values at both ends of a region."""
        low, high = self.x_limits
        return low if region.start is None else region.start, high if region.stop is None else region.stop

    def span(self, region: Region) -> tuple[float, float]:
        """Return the places of both ends of a region, cut to the frame."""
        low, high = np.clip(self.across(self.ends(region)), 0, 1).tolist()
        return low, high

    def line_ends(self, lines: Iterable[Series]) -> list[float]:
        """Return the place at which each line ends; [] where one ends too far left to have its label at the right."""
        ends: list[float] = []
        for line in lines:
            x, y = self.across(line.x), self.up(line.y)
            good = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & (y <= 1.001) & (y >= -0.001))
            if not len(good) or line.style == "points" or x[good].max() < _ENDS_BEFORE:
                return []
            ends.append(float(y[good[np.argmax(x[good])]]))
        return ends

    def height(self, y: float) -> float:
        """Return the place of a y value, of what lies outside the nearest edge; the lower one where it has none."""
        place = float(self.up(y))
        return min(max(place, 0.0), 1.0) if math.isfinite(place) else 0.0


def colour_limits(figure: Figure) -> tuple[float, float]:
    """Return the values of the first and the last colour of a figure."""
    if figure.grid is not None:
        return figure.grid.limits or limits_of([figure.grid.values], figure.grid.scale, margin=0)
    assert figure.colours is not None
    values = [item.values for item in figure.series if item.values is not None]
    return figure.colours.limits or limits_of(values, figure.colours.scale, margin=0)


def colour_ticks(figure: Figure, scale: Scale) -> tuple[np.ndarray, list[str]]:
    """Return the places, from 0 to 1, and the texts of the ticks of a figure's bar of colours."""
    limits = colour_limits(figure)
    marks = ticks(limits, scale, 6) if limits[0] < limits[1] else [(limits[0], number_text(limits[0]))]
    return position(np.array([value for value, _ in marks]), scale, limits), [text for _, text in marks]


def position(values: np.ndarray, scale: Scale, limits: tuple[float, float]) -> np.ndarray:
    """Return the places of `values` on an axis: 0 at its beginning, 1 at its end; nan for those that it cannot show."""
    low, high = limits
    values = np.asarray(values, np.float64)
    with np.errstate(all="ignore"):
        if scale == "log":
            values = np.log10(np.where(values > 0, values, np.nan))
            low, high = math.log10(low), math.log10(high)
        values = np.where(np.isfinite(values), values, np.nan)
        span = high / 2 - low / 2
        return (values / 2 - low / 2) / span if span > 0 else np.full(values.shape, 0.5)


def axis_ticks(axis: FigureAxis, limits: tuple[float, float], at_most: int) -> list[tuple[float, str]]:
    """Return (value, text) of at most `at_most` (2 or more) ticks of an axis, in order."""
    if axis.ticks is None:
        return ticks(limits, axis.scale, at_most, whole=axis.whole)
    inside = [tick for tick in axis.ticks if limits[0] <= tick[0] <= limits[1]]
    every = -(-len(inside) // max(at_most, 2))
    return inside[::every] if every else inside


def ticks(limits: tuple[float, float], scale: Scale, at_most: int, *, whole: bool = False) -> list[tuple[float, str]]:
    """Return (value, text) of round numbers between `limits`; with `whole` of whole numbers alone."""
    at_most = max(at_most, 2)
    if scale == "log":
        on_powers = _log_ticks(limits, at_most)
        if len(on_powers) >= 2:
            return on_powers
    marks = _linear_ticks(limits, at_most, 1.0 if whole else 0.0)
    return marks if scale == "linear" else [tick for tick in marks if tick[0] > 0]  # 0 has no place on a log axis


def _linear_ticks(limits: tuple[float, float], at_most: int, least: float = 0.0) -> list[tuple[float, str]]:
    low, high = limits
    rough = (high / 2 - low / 2) / at_most * 2
    if not 0 < rough < math.inf:
        return [(low, number_text(low))]
    magnitude = 10.0 ** min(max(math.floor(math.log10(max(rough, least))), -300), 307)
    for factor in _STEPS:
        step = factor * magnitude
        if least and step % least:
            continue
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= at_most:
            break
    values = [index * step for index in range(first, last + 1)] or [low]
    return list(zip(values, _tick_texts(values, step), strict=True))


def _tick_texts(values: list[float], step: float) -> list[str]:
    """Return texts of the same form for all ticks of one axis."""
    largest = max((abs(value) for value in values), default=0.0)
    if largest and not 1e-4 <= largest < 1e7:
        exponent = math.floor(math.log10(largest) + 1e-9)
        decimals = max(0, exponent - math.floor(math.log10(step) + 1e-9) + (1 if _is_2_5(step) else 0))
        return ["0" if value == 0 else f"{value / 10.0**exponent:.{min(decimals, 12)}f}e{exponent}" for value in values]
    decimals = min(max(0, -math.floor(math.log10(step) + 1e-9) + (1 if _is_2_5(step) else 0)), 15)
    comma = "," if largest >= 9999.5 else ""
    return [f"{value + 0.0:{comma}.{decimals}f}" if value else f"{0:.{decimals}f}" for value in values]


def _is_2_5(step: float) -> bool:
    return abs(step / 10.0 ** math.floor(math.log10(step) + 1e-9) - 2.5) < 1e-6


def _log_ticks(limits: tuple[float, float], at_most: int) -> list[tuple[float, str]]:
    first, last = (math.log10(value) for value in limits)
    low, high = math.ceil(first - 1e-9), math.floor(last + 1e-9)
    decades = high - low + 1
    if decades >= 3 or decades > at_most:
        step = -(-decades // at_most)
        step = next(nice for nice in (1, 2, 3, 5, 10, 20, 25, 50, 100, 200, 400) if nice >= step)
        exponents = list(range(-(-low // step) * step, high + 1, step))
        values = [10.0**exponent for exponent in exponents if -323 <= exponent <= 308]
        return list(zip(values, power_texts(exponents), strict=True))
    for digits in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        values = [digit * 10.0**power for power in range(low - 1, high + 1) for digit in digits]
        values = [value for value in values if limits[0] * (1 - 1e-9) <= value <= limits[1] * (1 + 1e-9)]
        if 2 <= len(values) <= at_most:
            return [(value, number_text(value)) for value in values]
    return []


def power_texts(exponents: list[int]) -> list[str]:
    """Return the texts of powers of ten: all plain (0.01) where all are short, else all as 10⁻⁸."""
    if all(-3 <= exponent <= 4 for exponent in exponents):
        return [number_text(10.0**exponent) for exponent in exponents]
    return ["1" if exponent == 0 else "10" + str(exponent).translate(_SUPERSCRIPTS) for exponent in exponents]


def number_text(value: float, digits: int = 4) -> str:
    """Return a number in few characters: 0.025, 12,000, 3.2e-5, 1e12."""
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    if 1e-3 * (1 - 1e-9) <= abs(value) < 1e7:
        text = f"{value:.{max(digits - 1 - math.floor(math.log10(abs(value))), 0)}f}"
        whole, _, decimals = text.partition(".")
        decimals = decimals.rstrip("0")
        whole = f"{int(whole):,}" if len(whole.lstrip("-")) > 4 else whole
        return f"{whole}.{decimals}" if decimals else whole
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}"


def spread_out(places: Sequence[float], apart: float) -> list[float]:
    """Return places near `places` that are at least `apart` from each other.

    They lie in [0, 1] as far as all of them fit there. Labels keep their order; those that would overlap are set around
    the mean of their own places.
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    groups: list[tuple[float, list[int]]] = []
    for index in order:
        groups.append((places[index], [index]))
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < apart * (len(groups[-1][1]) + len(groups[-2][1])) / 2:
            members = groups[-2][1] + groups[-1][1]
            half = apart * (len(members) - 1) / 2
            centre = sum(places[member] for member in members) / len(members)
            groups[-2:] = [(min(max(centre, half), max(1 - half, half)), members)]
    spread = list(places)
    for centre, members in groups:
        for rank, member in enumerate(members):
            spread[member] = centre + apart * (rank - (len(members) - 1) / 2)
    return spread
