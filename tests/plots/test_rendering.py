"""Figures as files."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from gdrun.errors import ResourceError, RunDirectoryError, UsageError
from gdrun.plots import save
from gdrun.plots.figure import Figure, Series
from gdrun.plots.rendering import draw, suffix_of

from .test_text_renderer import all_figures, two_lines

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("figure", all_figures(), ids=lambda figure: figure.title[:8].strip())
@pytest.mark.parametrize("size", [None, (2, 1.5)], ids=["usual", "small"])
def test_every_figure_can_be_drawn_without_a_word(figure, size, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert draw(figure, "png", size).startswith(b"\x89PNG")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_same_figure_gives_the_same_bytes_without_a_date_or_version(suffix, start):
    import matplotlib

    first = draw(two_lines(), suffix)
    assert first.startswith(start)
    assert draw(two_lines(), suffix) == first
    assert matplotlib.__version__.encode() not in first
    assert b"Date" not in first


def test_a_picture_has_the_size_that_was_asked_for():
    png = draw(two_lines(), "png", (5, 3))
    assert (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")) == (800, 480)


def test_a_person_s_own_settings_change_nothing_and_are_left_alone():
    import matplotlib

    expected = draw(two_lines(), "png")
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "text.usetex": True}):
        assert draw(two_lines(), "png") == expected
        assert matplotlib.rcParams["axes.facecolor"] == "red"


def test_drawing_leaves_pyplot_alone():
    program = (
        "import sys; from gdrun.plots.rendering import draw; from gdrun.plots.figure import Figure; "
        "draw(Figure('a'), 'png'); print(sorted({'matplotlib.pyplot', 'tensorflow', 'keras'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_foreign_backend_in_the_environment_does_no_harm(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "no such thing")
    assert draw(Figure("a"), "png")


def test_100000_points_are_drawn_thinned_with_their_peak():
    y = np.random.default_rng(0).normal(size=100_000)
    y[54_321] = 100
    svg = draw(Figure("a", series=(Series(np.arange(100_000), y),)), "svg")
    assert len(svg) < 300_000


def test_without_matplotlib_it_says_how_to_get_it(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ResourceError, match="matplotlib is not installed") as caught:
        draw(Figure("a"), "png")
    assert caught.value.hint == "pip install 'gdrun[plot]'"
    assert "image/png" not in Figure("a")._repr_mimebundle_()


def test_the_suffix_decides(tmp_path: Path):
    for name, start in (
        ("a.png", b"\x89PNG"),
        ("b.SVG", b"<?xml"),
        ("c.pdf", b"%PDF"),
        ("d.txt", b"title"),
        ("e.html", b"<!doctype html>"),
    ):
        path = save(two_lines(), tmp_path / "new" / name)
        assert path.read_bytes().startswith(start)


def test_other_suffixes_are_refused_with_what_there_is():
    with pytest.raises(UsageError, match=r"cannot be \.jpg") as caught:
        suffix_of("a.jpg")
    assert caught.value.hint == "one of .png, .svg, .pdf, .txt, .html"
    with pytest.raises(UsageError) as caught:
        suffix_of("a.pgn")
    assert caught.value.hint == "did you mean .png?"
    with pytest.raises(UsageError, match="the suffix says"):
        suffix_of("a")


def test_a_place_that_cannot_be_written_is_disk_trouble(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError, match="cannot write"):
        save(two_lines(), tmp_path / "file" / "a.txt")
