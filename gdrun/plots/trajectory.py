"""Trajectories of parameters on the contours of the loss: of a run, of several runs, of a sweep's trials.

Two numbers are their own plane. More are shown in the plane through the common start and both ends of two trajectories,
or in that of the first two principal components of all. Shape letters: R rows, P numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from gdrun.errors import GdrunError, UsageError
from gdrun.rundir.run import Run
from gdrun.rundir.settings import differing
from gdrun.suggest import listed
from gdrun.text import exact, plural, safe_text

from .braille import clipped
from .columns import PARAMETERS, Component, RecordedColumns, components, named_components
from .downsampling import evenly
from .figure import Figure, FigureAxis, Grid, Mark, Series, SeriesStyle, numbers
from .loss_surface import (
    TrajectoryPlane,
    around,
    finite,
    formula_grid,
    plane_grid,
    plane_of,
    recorded_points,
    share_text,
    slice_grid,
)
from .names import heading_of, run_labels, title_of
from .palette import LINES
from .picture import picture
from .run_pictures import FEW_POINTS, subtitle, with_rows
from .scales import number_text
from .trial_columns import read_trials

if TYPE_CHECKING:
    from gdrun.training.prepare import Prepared

Load = Callable[[], "Prepared"]
"""Builds the run's experiment."""

_FAR = 100.0
"""Rows whose loss is so many times the first one are not drawn of a run that diverged."""
_FEWEST = 3
_MOST_TRIALS = 30
_RECORDS = "`record: {parameters: true}` in the config records them"


@dataclass(frozen=True, eq=False)
class Track:
    """The recorded rows of a run or of a trial; `surface` is the run whose config gives the loss around them."""

    id: str
    label: str
    metrics: Mapping[str, np.ndarray]
    diverged: bool
    surface: Run

    @property
    def steps(self) -> np.ndarray:
        """float64 (R,)."""
        return self.metrics["step"].astype(np.float64)

    @property
    def beyond(self) -> np.ndarray:
        """The rows whose loss is a hundred times the first one or not finite, of a trajectory that ends so."""
        losses = numbers(self.metrics["loss"]) if "loss" in self.metrics else np.zeros(0)
        if not len(losses):
            return np.zeros(0, int)
        with np.errstate(invalid="ignore"):
            far = ~(np.abs(losses) <= _FAR * max(abs(losses[0]), 1e-300))
        return np.flatnonzero(far) if self.diverged or far[-1] else np.zeros(0, int)

    @property
    def num_drawn(self) -> int:
        """The number of rows that are drawn: all, but where it diverged those before its loss became large."""
        count = len(self.steps)
        return max(int(self.beyond[0]), min(count, _FEWEST)) if self.diverged and len(self.beyond) else count

    @property
    def leaves(self) -> bool:
        """True where it goes to where its loss is large, and stays there."""
        return self.diverged or bool(len(self.beyond))


def _on_page(run: Run) -> bool:
    """Return whether a run's contours need no TensorFlow: its loss is a formula of two recorded numbers."""
    parts = [] if run.is_sweep else _parts(run, ())
    return len(parts) == 2 and formula_grid(run, [part.label for part in parts], *np.eye(2)) is not None


@picture("trajectory", of="any", computes=True, on_page=_on_page)
def trajectory(subject: Run | Sequence[Run], *, columns: Sequence[str] = (), load: Load) -> Figure:
    """Return the trajectories of runs' or trials' parameters on the contours of the loss over all training data.

    Args:
        subject: a run, several runs of one problem, or a sweep; rows hold the parameters.
        columns: two recorded numbers. By default the parameters; where more than two of their numbers change, a plane.
        load: called only where TensorFlow is needed. Where the experiment cannot be built the trajectories are drawn
            without contours, and a note says why.
    Raises:
        UsageError: no two numbers are recorded, or the runs have different problems.
    """
    tracks, notes = _tracks(subject)
    parts = [_parts(track, columns) for track in tracks]
    labels = [part.label for part in parts[0]]
    if any([part.label for part in other] != labels for other in parts):
        raise UsageError("these runs recorded different numbers, so their ways have no common plane")
    if len(labels) > 2 and not columns:
        moving = [
            index for index in range(len(labels)) if any(np.ptp(finite(other[index].values)) > 0 for other in parts)
        ]
        parts = [[other[index] for index in moving] for other in parts] if len(moving) > 1 else parts
    if len(parts[0]) > 2:
        figure = _in_plane(subject, tracks, parts, load)
    elif len(parts[0]) == 2:
        figure = _of_two(subject, tracks, parts, load)
    else:
        names = listed([part.label for part in parts[0]], 6)
        raise UsageError(
            f"a trajectory takes two numbers; {tracks[0].id} has {len(parts[0])} "
            + (f"({names})" if parts[0] else "recorded"),
            hint="--columns a,b chooses two" if parts[0] else _RECORDS,
        )
    return replace(figure, notes=(*notes, *figure.notes))


def _tracks(subject: Run | Sequence[Run]) -> tuple[list[Track], list[str]]:
    """Return the rows of runs or trials, and notes."""
    if isinstance(subject, Run) and subject.is_sweep:
        return _trial_tracks(subject)
    runs = with_rows(subject)
    _check_one_problem([(run.id, run.settings) for run in runs])
    seeds = (
        {exact(run.settings.get("seed", run.settings.get("seed.data"))) for run in runs}
        if any("data.kind" in run.settings for run in runs)
        else ()
    )
    notes = [f"seeds differ: the contours are of the data of {runs[0].id}"] if len(seeds) > 1 else []
    tracks = [
        Track(run.id, label, run.metrics, not run.problem and bool(run.info.diverged), runs[0])
        for run, label in zip(runs, run_labels([[run] for run in runs]), strict=True)
    ]
    return tracks, notes


def _trial_tracks(sweep: Run) -> tuple[list[Track], list[str]]:
    curves, trials = dict(sweep.curves), read_trials(sweep)
    ids = curves.pop("trial", np.zeros(0, int)).tolist()
    steps = curves.pop("step", np.zeros(0, int))
    if not any(name.startswith(PARAMETERS) for name in curves):
        raise UsageError(f"{sweep.id} recorded no parameters of its trials", hint=_RECORDS)
    _check_one_problem([(f"trial {row['trial']}", {key: row[key] for key in trials.axes}) for row in sweep.trials])
    labels, surface = trials.trial_labels(), sweep.best_run or sweep
    diverged = dict(zip(trials.numbers, trials.diverged.tolist(), strict=True))
    known = [number for number in trials.numbers if number in ids]
    tracks = []
    for number in [known[index] for index in evenly(len(known), _MOST_TRIALS)]:
        row = ids.index(number)
        # After its end a trial has nan.
        end = int(np.flatnonzero(np.isfinite(curves["loss"][row]) | diverged[number])[-1:].sum()) + 1
        metrics = {"step": steps[:end]} | {name: values[row][:end] for name, values in curves.items()}
        tracks.append(
            Track(f"trial {number}", labels.get(number, f"trial {number}"), metrics, diverged[number], surface)
        )
    few = len(tracks) < len(known)
    return tracks, [f"{len(tracks)} of {len(known)} trials are drawn"] if few else []


_NO_PROBLEM = re.compile(
    r"(optimizer|schedule|record|metrics|seed|random|precision|compile|device|threads|memory)(\..*)?"
    r"|model\.parameters\.[^.]+(\.(value|raw|init))?|model\..*(initializer|kernel|bias)"
)
"""Settings that leave the loss of a problem what it is: how it is descended, and where from."""


def _check_one_problem(settings: Sequence[tuple[str, Mapping[str, object]]]) -> None:
    """Raise UsageError where runs or trials have different losses: there is no surface that all of them are on."""
    first, values = settings[0]
    for name, other in settings[1:]:
        paths = [path for path in differing([values, other]) if not _NO_PROBLEM.fullmatch(path)]
        if paths:
            path = paths[0]
            raise UsageError(
                f"{first} and {name} have different problems, so no surface has both ways: "
                f"{path} is {exact(values.get(path, 'unset'))} and {exact(other.get(path, 'unset'))}",
                hint="runs that differ in optimizer, schedule or initial values alone share a surface",
            )


def _parts(track: RecordedColumns, columns: Sequence[str]) -> list[Component]:
    if columns:
        return named_components(track, columns)
    return [part for name in track.metrics if name.startswith(PARAMETERS) for part in components(track, name)]


# --- two numbers ------------------------------------------------------------------------------------------------------


def _of_two(
    subject: Run | Sequence[Run], tracks: Sequence[Track], parts: Sequence[Sequence[Component]], load: Load
) -> Figure:
    """Return trajectories in the plane of two recorded numbers."""
    labels = [part.label for part in parts[0]]
    points = [
        np.stack([part.values for part in each], axis=1)[: track.num_drawn]
        for track, each in zip(tracks, parts, strict=True)
    ]
    extent = _extent(tracks, points)
    x, y = extent.T
    grid: Grid | None = None
    note: tuple[str, ...] = ()
    problem = None
    if all(part.column == PARAMETERS + part.label for part in parts[0]):
        grid = formula_grid(tracks[0].surface, labels, x, y)
    if grid is None and all(part.column.startswith(PARAMETERS) for part in parts[0]):
        try:
            grid, note = slice_grid(load(), tracks[0].surface, parts[0], x, y)
        except GdrunError as error:
            problem = error
    return _figure(subject, tracks, points, labels, grid, note, problem)


def _extent(tracks: Sequence[Track], points: Sequence[np.ndarray]) -> np.ndarray:
    """Return the points that must be seen, (N, 2): where others stay, of those that leave the start alone."""
    staying = [not track.leaves for track in tracks]
    kept = [
        each if stays or not any(staying) else each[:1] for each, stays in zip(points, staying, strict=True)
    ]  # fmt: skip
    whole = np.concatenate(kept)
    return whole[np.isfinite(whole).all(axis=1)]


# --- a plane ----------------------------------------------------------------------------------------------------------


def _in_plane(
    subject: Run | Sequence[Run], tracks: Sequence[Track], parts: Sequence[Sequence[Component]], load: Load
) -> Figure:
    """Return trajectories of more than two numbers in a plane."""
    from gdrun.analysis.evaluation_point import at_step

    problem = end = None
    try:
        end = at_step(load(), tracks[0].surface, None)
        ways = [recorded_points(end, track) for track in tracks]
    except GdrunError as error:
        problem = error
        ways = [np.stack([part.values for part in each], axis=1) for each in parts]
    ways = [way[: track.num_drawn] for way, track in zip(ways, tracks, strict=True)]
    good = [np.isfinite(way).all(axis=1) for way in ways]
    finite_ways = [way[rows] for way, rows in zip(ways, good, strict=True)]
    if any(len(way) < 3 or np.ptp(way, axis=0).max() == 0 for way in finite_ways):
        index = next(k for k, way in enumerate(finite_ways) if len(way) < 3 or np.ptp(way, axis=0).max() == 0)
        raise UsageError(
            f"{tracks[index].id} recorded its parameters at {plural(len(finite_ways[index]), 'step')}, "
            "too few for a plane of their trajectory",
            hint="`record: {every: ...}` in the config records more rows; --columns a,b draws two numbers",
        )
    plane = plane_of(finite_ways, [track.label for track in tracks])
    points = [plane.coordinates(way) for way in ways]
    extent = _extent(tracks, points)
    grid = None
    if end is not None and problem is None:
        try:
            grid = plane_grid(end, plane, extent)
        except GdrunError as error:
            problem = error
    count, several = len(parts[0]), len(tracks) > 1
    note = f"the {'trajectories' if several else 'trajectory'} of {count:,} numbers in {plane.words}"
    notes = (f"{note}; {_shares(plane, finite_ways)}",)
    return replace(_figure(subject, tracks, points, plane.labels, grid, notes, problem), square=True)


def _shares(plane: TrajectoryPlane, ways: Sequence[np.ndarray]) -> str:
    """Return how much of the length of the ways lies in the plane."""
    shares = [plane.share(way) for way in ways]
    low, high = share_text(min(shares)), share_text(max(shares))
    if len(shares) == 1:
        return f"{low} of the way lies in it"
    return f"{low} of each way lies in it" if low == high else f"{low} to {high} of their ways lie in it"


def _about_contours(grid: Grid | None, problem: GdrunError | None) -> tuple[str, ...]:
    """Return a note of the range of the loss, or of why there are no contours."""
    if problem is not None:
        return (f"no contours: {safe_text(problem.message, limit=200)}",)
    if grid is None:
        return ()
    values = finite(grid.values)
    low, high = number_text(float(values.min()), 3), number_text(float(values.max()), 3)
    return (f"contours of the loss, from {low} to {high}",)


# --- the figure -------------------------------------------------------------------------------------------------------


def _figure(
    subject: Run | Sequence[Run],
    tracks: Sequence[Track],
    points: Sequence[np.ndarray],
    labels: Sequence[str],
    grid: Grid | None,
    notes: Sequence[str],
    problem: GdrunError | None,
) -> Figure:
    """Return trajectories through a plane, their starts and ends marked; points are (R, 2) each."""
    several, extent = len(tracks) > 1, _extent(tracks, points)
    frame = (grid.x, grid.y) if grid is not None else (around(extent[:, 0], 2), around(extent[:, 1], 2))
    starts = {tuple(each[0]) for each in points if len(each)}
    series: list[Series] = []
    marks: list[Mark] = []
    num_left = 0
    for slot, (track, each) in enumerate(zip(tracks, points, strict=True)):
        steps = track.steps[: len(each)]
        left = None
        if several and track.leaves:
            each, steps, left = _until_it_leaves(each, steps, frame)
            num_left += left is not None
        good = np.flatnonzero(np.isfinite(each).all(axis=1))
        style: SeriesStyle = "both" if len(good) <= FEW_POINTS else "line"
        series.append(Series(each[:, 0], each[:, 1], track.label, style, slot=slot, steps=steps))
        if not len(good):
            continue
        start, end = ((float(each[row, 0]), float(each[row, 1])) for row in (good[0], good[-1]))
        first, last = (float(steps[row]) for row in (good[0], good[-1]))
        if not several:
            ending = "diverges" if track.diverged else "end"
            both = (Mark(*start, "start", "start"), Mark(*end, "end", ending, step=last))
            marks += [Mark(*start, "start", "start and end")] if start == end else both
            continue
        if len(starts) > 1 or slot == 0:
            marks.append(
                Mark(*start, "start", "start" if len(starts) == 1 else "", None if len(starts) == 1 else slot, first)
            )
        marks.append(Mark(*end, "diverged" if track.leaves else "end", slot=slot, step=last))
    rows = sum(map(len, points)), sum(len(track.steps) for track in tracks)
    cut = (f"the first {rows[0]:,} of {rows[1]:,} rows",) if not several and rows[0] < rows[1] else ()
    away = (f"× {plural(num_left, 'trajectory leaves', 'trajectories leave')} the picture",) if num_left else ()
    title, under = _heading(subject, tracks)
    return Figure(
        title, FigureAxis(labels[0]), FigureAxis(labels[1]), under, tuple(series), tuple(marks), grid=grid,
        notes=(*notes, *cut, *away, *_about_contours(grid, problem)), name="trajectory",
        graded=len(tracks) > len(LINES),
    )  # fmt: skip


def _heading(subject: Run | Sequence[Run], tracks: Sequence[Track]) -> tuple[str, str]:
    if isinstance(subject, Run) and subject.is_sweep:
        return title_of(subject, "trajectories"), read_trials(subject).counts
    runs = [subject] if isinstance(subject, Run) else subject
    if len(tracks) == 1:
        return title_of(with_rows(runs)[0], "trajectory"), subtitle(with_rows(runs)[0])
    return heading_of(with_rows(runs), "trajectories")


def _until_it_leaves(
    points: np.ndarray, steps: np.ndarray, frame: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, int | None]:
    """Return the points up to the edge of the frame, their steps, and the row of the first one beyond, if any."""
    low, high = (np.array([end(axis) for axis in frame]) for end in (np.min, np.max))
    outside = np.flatnonzero(~((points >= low) & (points <= high)).all(axis=1))
    if not len(outside) or outside[0] == 0:
        return points, steps, None
    row = int(outside[0])
    before, after = points[row - 1], points[row]
    if not np.isfinite(after).all():
        return points[:row], steps[:row], row
    _, edge = clipped(before[None] - low, after[None] - low, high - low)
    return np.append(points[:row], low + edge, axis=0), steps[: row + 1], row


# --- from arrays ------------------------------------------------------------------------------------------------------


def trajectory_figure(
    grid_x: ArrayLike,
    grid_y: ArrayLike,
    losses: ArrayLike,
    path: ArrayLike | None = None,
    *,
    x_label: str = "",
    y_label: str = "",
    title: str = "trajectory",
    subtitle: str = "",
    best: tuple[float, float] | None = None,
    paths: Mapping[str, ArrayLike] | None = None,
) -> Figure:
    """Return the trajectory of a descent over the contours of the loss.

    Args:
        grid_x, grid_y: coordinates of the grid, increasing, (X,) and (Y,).
        losses: at its points, (Y, X): a row for each y. What is not finite is left blank.
        path: the points passed, (N, 2); it may leave the grid, which stays the picture's frame.
        best: where the minimum is known to be.
        paths: label -> path, for several.
    """
    grid = Grid(np.asarray(grid_x), np.asarray(grid_y), np.asarray(losses), "contours", "loss")
    trajectories = dict(paths or {}) | ({"": path} if path is not None else {})
    series, marks = [], []
    for slot, (label, points) in enumerate(trajectories.items()):
        x, y = np.asarray(points, np.float64).reshape(-1, 2).T
        series.append(Series(x, y, label, "both" if len(x) <= 8 * FEW_POINTS else "line", slot=slot))
        good = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        alone = len(trajectories) == 1
        if len(good):
            first, last = good[0], good[-1]
            marks.append(Mark(float(x[first]), float(y[first]), "start", "start" if alone else "", slot))
            there = best is not None and _near(grid, (x[last], y[last]), best)
            marks.append(Mark(float(x[last]), float(y[last]), "end", "end" if alone and not there else "", slot))
    if best is not None:
        marks.append(Mark(float(best[0]), float(best[1]), "best", "minimum"))
    return Figure(
        title,
        FigureAxis(x_label),
        FigureAxis(y_label),
        subtitle,
        tuple(series),
        tuple(marks),
        grid=grid,
        name="trajectory",
    )


def _near(grid: Grid, point: tuple[float, float], other: tuple[float, float]) -> bool:
    """Return whether the labels of two points would overlap."""
    spans = (np.ptp(grid.x) or 1.0, np.ptp(grid.y) or 1.0)
    return all(abs(a - b) < 0.08 * span for a, b, span in zip(point, other, spans, strict=True))
