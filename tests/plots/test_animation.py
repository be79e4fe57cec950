"""Animations: what their frames show, at which steps, and what they are as files."""

from __future__ import annotations

import io
import re
import shutil

import numpy as np
import pytest

import gdrun
from gdrun.errors import ResourceError, UsageError
from gdrun.plots.animation import Animation, revealed, spaced
from gdrun.plots.choose import animate
from gdrun.plots.figure import Figure, FigureAxis, Mark, Series
from gdrun.plots.plotly_renderer import plotly_frames
from gdrun.plots.rendering import movie

from .test_trajectory import LINE, NETWORK, X


def falling(num_rows: int = 101) -> Figure:
    """A loss that falls by a factor of ten in each of its first ten steps, then rests."""
    steps = np.arange(num_rows)
    return Figure(
        "t", FigureAxis("step"), FigureAxis("loss", "log"), marks=(Mark(5, None, "diverged", step=5),),
        series=(Series(steps, 10.0 ** -np.minimum(steps, 10), steps=steps),),
    )  # fmt: skip


def test_frames_lie_closer_where_more_happens():
    steps = spaced(falling(), 21)
    assert (steps[0], steps[-1]) == (0, 100)
    early = sum(step <= 10 for step in steps)
    assert early / len(steps) > 0.3  # a tenth of the steps, with all of the fall
    flat = Figure("t", series=(Series([0, 50, 100], [1, 1, 1], steps=[0, 50, 100]),))
    assert spaced(flat, 30, range(101))[1] == pytest.approx(100 / 29, abs=1)


def test_a_line_grows_and_marks_appear_at_their_step():
    animation = revealed(falling(), 30, 2.0)
    for step, frame in zip(animation.steps, animation.frames, strict=True):
        assert frame.series[0].x[-1] == step
        assert ("diverged" in {mark.kind for mark in frame.marks}) == (step >= 5)
        assert frame.subtitle == f"step {step} of 100"
    assert len({(frame.x.limits, frame.y.limits) for frame in animation.frames}) == 1


def test_a_page_keeps_each_line_once_and_how_much_of_it_each_frame_shows():
    drawn = plotly_frames(revealed(falling(), 10, 2.0))
    line = drawn["data"][0]
    assert len(line["x"]) == 101
    for frame in drawn["frames"]:
        place = frame["traces"].index(0)
        assert frame["data"][place] == {"points": int(frame["name"]) + 1}


def test_what_has_no_steps_is_refused():
    with pytest.raises(UsageError, match="no steps"):
        revealed(Figure("t", series=(Series([0, 1], [0, 1]),)), 10, 1.0)


def test_a_fit_moves_through_the_recorded_parameters(trained):
    run = trained(LINE)
    animation = animate(run, kind="fit", seconds=1, fps=8)
    assert (animation.steps[0], animation.steps[-1]) == (0, 20)
    for step, frame in zip(animation.steps, animation.frames, strict=True):
        curve = frame.series[-1]
        a, b = (run.metrics[f"parameters.{name}"][step] for name in "ab")
        np.testing.assert_allclose(curve.y, a * curve.x + b, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(animation.frames[0].series[0].x, X)


def test_a_run_without_parameters_is_told_which_record_would_have_them(trained):
    run = trained(NETWORK.replace("parameters: true, ", ""))
    with pytest.raises(UsageError, match="recorded no parameters") as caught:
        animate(run, kind="decisions")
    assert "record: {parameters: true}" in (caught.value.hint or "")


def test_decisions_at_the_start_are_those_of_the_initial_network(trained):
    run = trained(NETWORK)
    figure = gdrun.plot(run, kind="decisions", at="0")
    x, y = np.meshgrid(figure.grid.x, figure.grid.y)
    values = {name: run.metrics[name][0] for name in run.metrics if name.startswith("parameters.")}
    first, second = (values[name] for name in values if name.endswith("kernel"))
    bias, last = (values[name] for name in values if name.endswith("bias"))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    scores = np.tanh(points @ first + bias) @ second + last
    np.testing.assert_array_equal(figure.grid.values.ravel(), scores[:, 0] > 0)


def test_a_gif_has_the_frames_their_time_and_a_limit_of_bytes():
    image = pytest.importorskip("PIL.Image")
    animation = revealed(falling(), 6, 1.2)
    data = movie(animation, "gif", (6, 4))
    with image.open(io.BytesIO(data)) as opened:
        assert (opened.n_frames, opened.size) == (len(animation.frames), (600, 400))
        assert opened.info["duration"] == pytest.approx(1200 / len(animation.frames), abs=10)
    smaller = movie(animation, "gif", (6, 4), most_bytes=len(data) // 2)
    assert len(smaller) <= len(data) // 2


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_an_mp4_is_written_by_ffmpeg():
    assert b"ftyp" in movie(revealed(falling(), 3, 0.5), "mp4", (3, 2))[:16]


def test_an_mp4_needs_ffmpeg_and_says_so(monkeypatch):
    animation = revealed(falling(), 3, 0.5)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ResourceError, match="ffmpeg is not installed") as caught:
        movie(animation, "mp4", (3, 2))
    assert ".gif" in (caught.value.hint or "")


def test_other_formats_do_not_move(tmp_path):
    animation = Animation((falling(),), (100,), 1.0)
    for suffix in ("png", "svg"):
        with pytest.raises(UsageError, match=re.escape(f"cannot be .{suffix}")):
            gdrun.plots.save(animation, tmp_path / f"a.{suffix}")
    with pytest.raises(UsageError, match="moves"):
        gdrun.plots.save(falling(), tmp_path / "a.gif")
