"""Animations: one picture over the steps of training, as a figure for each frame.

What grew over the steps (a line, a trajectory) is revealed; what is computed anew (a fit, decisions) is a figure for
each step. Frames have the same axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gdrun.errors import UsageError

from .figure import Figure, Mark, Series
from .scales import Frame

SECONDS, FRAMES_PER_SECOND = 6.0, 12.0
MOST_FRAMES = 600


@dataclass(frozen=True)
class Animation:
    """The frames of an animation, the last of them the whole picture, with the step of each."""

    frames: tuple[Figure, ...]
    steps: tuple[int, ...]
    seconds: float

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.frames[-1].name


def revealed(figure: Figure, num_frames: int, seconds: float) -> Animation:
    """Return an animation in which lines and trajectories grow; the heads of trajectories are marked.

    Raises:
        UsageError: nothing in the figure has steps.
    """
    steps = spaced(figure, num_frames)
    if len(steps) < 2:
        raise UsageError(
            "this picture has no steps to be animated over", hint="--kind loss, trajectory, fit, decisions"
        )
    return _joined([_until(figure, step) for step in steps], steps, seconds)


def computed(at_step: Callable[[int], Figure], steps: Sequence[int], seconds: float) -> Animation:
    """Return an animation of figures that are each computed for a step."""
    return _joined([at_step(step) for step in steps], steps, seconds)


def spaced(figure: Figure, count: int, known: Sequence[int] | None = None) -> list[int]:
    """Return at most `count` steps, the first and the last among them, more of them where more happens in the picture.

    Half of the frames are spread over the length of the lines as drawn, of each line alike, half over the steps.

    Args:
        known: the steps to choose from; default: those of the figure.
    """
    frame = Frame(figure)
    lines = [(item, item.steps) for item in figure.series if item.steps is not None and len(item.steps) > 1]
    every = np.unique(np.concatenate([steps for _, steps in lines])) if lines else np.zeros(0)
    if known is not None:
        every = np.unique(np.asarray(known, np.float64))
    if len(every) < 2:
        return every.astype(int).tolist()
    shares = [(every - every[0]) / np.ptp(every)]
    for item, steps in lines:
        places = np.clip(np.nan_to_num(np.stack([frame.across(item.x), frame.up(item.y)])), 0, 1)
        ways = np.append(0.0, np.cumsum(np.hypot(*np.diff(places))))
        if ways[-1] > 0:
            shares.append(np.interp(every, steps, ways / ways[-1]))
    share = shares[0] / 2 + np.mean(shares[1:] or shares, axis=0) / 2
    index = np.searchsorted(share, np.linspace(share[0], share[-1], count) - 1e-12)
    return every[np.unique(np.append(index, [0, len(every) - 1]).clip(max=len(every) - 1))].astype(int).tolist()


def _until(figure: Figure, step: int) -> Figure:
    """Return a figure as far as it has come at a step."""
    series: list[Series] = []
    heads: list[Mark] = []
    marks = [mark for mark in figure.marks if mark.step is None or mark.step <= step]
    left = {mark.slot for mark in marks if mark.kind == "diverged"}
    for item, slot in figure.slotted():
        if item.steps is not None:
            item = item.kept(item.steps <= step)
            good = np.flatnonzero(np.isfinite(item.x) & np.isfinite(item.y))
            if len(good) and item.weight == "strong" and slot not in left:
                heads.append(Mark(float(item.x[good[-1]]), float(item.y[good[-1]]), "end", slot=slot))
        series.append(replace(item, slot=slot))
    return replace(figure, series=tuple(series), marks=(*marks, *heads))


def _joined(frames: Sequence[Figure], steps: Sequence[int], seconds: float) -> Animation:
    """Return an animation whose frames have the axes of all of them, and say their step."""
    limits = [(frame.x_limits, frame.y_limits) for frame in map(Frame, frames)]
    x, y = ((min(low for low, _ in each), max(high for _, high in each)) for each in zip(*limits, strict=True))
    joined = tuple(
        replace(
            figure,
            x=replace(figure.x, limits=x),
            y=replace(figure.y, limits=y),
            subtitle=f"step {step:,} of {steps[-1]:,}",
        )
        for figure, step in zip(frames, steps, strict=True)
    )  # fmt: skip
    return Animation(joined, tuple(steps), seconds)
