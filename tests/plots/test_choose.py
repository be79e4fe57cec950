"""Which picture a run gets."""

from __future__ import annotations

import numpy as np
import pytest

import gdrun
from gdrun.errors import RunDirectoryError, UsageError
from gdrun.plots import KINDS, plot
from gdrun.plots.choose import RUN_KINDS

from .fake_sweeps import write_sweep

RATE, MOMENTUM = "optimizer.learning_rate", "optimizer.momentum"
ROWS = [
    {"step": k, "loss": 0.5**k, "validation_loss": 0.6**k, "gradient_norm": 1.0, "learning_rate": 0.1,
     "accuracy": 0.9, "parameters.p": [k, -k], "gradient_norms.p": 1.0, "weight_norms.p": k * 2**0.5}
    for k in range(20)
]  # fmt: skip


@pytest.fixture
def sweep(tmp_path):
    return write_sweep(tmp_path / "sweep", {RATE: np.geomspace(0.01, 1, 6).tolist(), MOMENTUM: [0.0, 0.5]})


def test_each_kind_has_its_picture(make_run, sweep):
    run = make_run(ROWS)
    for kind, picture in KINDS.items():
        assert picture.kind == kind
        assert 20 < len(picture.help) < 120
        # What TensorFlow computes has its own tests.
        if kind == "trajectory" or not picture.computes:
            assert plot(run if kind in RUN_KINDS else sweep, kind=kind).name == kind


def test_a_run_gets_its_loss_and_a_sweep_what_it_varies(make_run, sweep, tmp_path):
    assert plot(make_run(ROWS)).name == "loss"
    assert plot(sweep).name == "sensitivity"
    five = {RATE: np.geomspace(0.01, 1, 6).tolist(), MOMENTUM: [0.0, 0.2, 0.4, 0.6, 0.8]}
    assert plot(write_sweep(tmp_path / "map", five)).name == "heatmap"


def test_runs_are_named_as_everywhere(make_run, monkeypatch, tmp_path):
    run = make_run(ROWS)
    monkeypatch.setenv("GDRUN_RUNS", str(tmp_path / "runs"))
    for name in ("latest", run.id, str(run.directory), run.directory, [run]):
        assert plot(name).title == "line: loss"
    assert gdrun.plot is plot


def test_columns_of_a_run_and_axes_of_a_sweep_can_be_named(make_run, sweep):
    assert [series.label for series in plot(make_run(ROWS), columns=["accuracy", "p[1]"]).series] == [
        "accuracy",
        "p[1]",
    ]
    assert len(plot([make_run(ROWS), make_run(ROWS)], columns=["accuracy"]).series) == 2
    assert plot(sweep, columns=["momentum"]).x.label == "momentum"
    assert plot(sweep, columns=["momentum", "lr"]).y.label == "learning rate"


def test_scales_and_titles_can_be_chosen(make_run):
    figure = plot(make_run(ROWS), scale="linear", x_scale="log", title="mine")
    assert (figure.x.scale, figure.y.scale, figure.title) == ("log", "linear", "mine")


@pytest.mark.parametrize(
    ("what", "options", "message", "hint"),
    [
        ("run", {"kind": "los"}, "no kind of picture 'los'", "did you mean 'loss'?"),
        ("run", {"kind": "\x1b[31m"}, "no kind of picture", "one of"),
        ("run", {"kind": "heatmap"}, "shows a sweep", "one of loss"),
        ("run", {"x": "time"}, "step or epoch", None),
        ("run", {"columns": ["nothing"]}, "no column 'nothing'", "it has"),
        ("run", {"columns": ["loss"], "kind": "loss"}, "does not go with", None),
        ("runs", {"kind": "parameters"}, "shows one run", None),
        ("runs", {"columns": ["loss", "accuracy"]}, "takes one column", None),
        ("run", {"at": "start"}, "chooses the step of .* fit, decisions, confusion, spectrum", "--kind"),
        ("runs", {"kind": "fit"}, "shows one run", None),
        ("sweep", {"kind": "loss"}, "is a sweep", "best"),
        ("sweep", {"kind": "spectrum"}, "is a sweep", "best"),
        ("sweep", {"kind": "heatmap", "columns": ["lr"]}, "takes two axes", None),
        ("both", {}, "drawn alone", "best"),
        ("none", {}, "no run is named", None),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_a_way_out(make_run, sweep, what, options, message, hint):
    given = {"run": lambda: make_run(ROWS), "runs": lambda: [make_run(ROWS)] * 2, "sweep": lambda: sweep,
             "both": lambda: [sweep, make_run(ROWS)], "none": list}[what]()  # fmt: skip
    with pytest.raises(UsageError, match=message) as caught:
        plot(given, **options)
    assert hint is None or hint in (caught.value.hint or "")


def test_damaged_directories_are_told(make_run, sweep):
    run = make_run(ROWS)
    (run.directory / "run.json").write_text("{")
    with pytest.raises(RunDirectoryError, match="corrupt"):
        plot(str(run.directory))
    (sweep.directory / "trials.csv").write_text("nonsense")
    with pytest.raises(RunDirectoryError, match="corrupt"):
        plot(sweep)
