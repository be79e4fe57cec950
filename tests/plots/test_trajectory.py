"""The trajectory of a run on the contours of its loss: beside the loss in NumPy, and eigenvectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gdrun
from gdrun.errors import UsageError
from gdrun.plots import as_text
from gdrun.plots.loss_surface import plane_of
from gdrun.plots.trajectory import trajectory

from .fake_sweeps import write_sweep

LINE = """\
precision: float64
compile: graph
data: {kind: values, inputs: {x: [1, 2, 3, 4]}, target: [2, 1, 4, 3]}
model:
  kind: formula
  formula: a * x + b
  parameters: {a: 0, b: 0}
loss: mse
optimizer: {kind: sgd, learning_rate: 0.02}
schedule: {steps: 20}
"""
NETWORK = """\
precision: float64
compile: graph
seed: 1
data: {kind: moons, size: 60, noise: 0.1}
model: {kind: mlp, hidden: [4], activation: tanh}
loss: {kind: binary_crossentropy, from_logits: true}
optimizer: {kind: sgd, learning_rate: 0.5}
schedule: {steps: 20}
record: {parameters: true, every: 1}
"""
X, Y = np.arange(1.0, 5), np.array([2.0, 1, 4, 3])


def line_loss(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.mean((a[..., None] * X + b[..., None] - Y) ** 2, axis=-1)


def never() -> Any:
    raise AssertionError("TensorFlow was not needed")


def test_the_contours_of_a_line_are_its_mean_squared_error(trained):
    run = trained(LINE)
    figure = gdrun.plot(run, kind="trajectory")
    assert (figure.x.label, figure.y.label, figure.name) == ("a", "b", "trajectory")
    a, b = np.meshgrid(figure.grid.x, figure.grid.y)
    np.testing.assert_allclose(figure.grid.values, line_loss(a, b), rtol=1e-12)
    np.testing.assert_array_equal(figure.series[0].x, run.metrics["parameters.a"])
    assert [(mark.kind, mark.x, mark.y) for mark in figure.marks] == [
        ("start", 0, 0),
        ("end", figure.series[0].x[-1], figure.series[0].y[-1]),
    ]
    assert as_text(figure).splitlines()[0] == "case: trajectory"


def test_two_of_several_parameters_are_a_slice_through_the_end(trained):
    run = trained(LINE.replace("a * x + b", "a * x + b + c[0] + 2 * c[1]").replace("b: 0}", "b: 0, c: [0, 0]}"))
    figure = gdrun.plot(run, kind="trajectory", columns=["c[1]", "a"])
    c, a = np.meshgrid(figure.grid.x, figure.grid.y)
    rest = run.parameters["b"] + run.parameters["c"][0]
    np.testing.assert_allclose(figure.grid.values, line_loss(a, rest + 2 * c), rtol=1e-12)
    assert figure.notes[0] == "the loss where the other 2 numbers ended"


def test_parameters_that_do_not_move_do_not_count(trained):
    run = trained(LINE.replace("b: 0}", "b: 0, c: {value: 3, trainable: false}}").replace("x + b", "x + b * c"))
    figure = gdrun.plot(run, kind="trajectory")
    assert (figure.x.label, figure.y.label) == ("a", "b")
    a, b = np.meshgrid(figure.grid.x, figure.grid.y)
    np.testing.assert_allclose(figure.grid.values, line_loss(a, 3 * b), rtol=1e-12)


def test_a_transform_s_axis_is_what_formulas_see_and_blank_outside_its_range(trained):
    run = trained(LINE.replace("{a: 0,", "{a: {value: 0.1, transform: exp},").replace("s: 20", "s: 2000"))
    figure = gdrun.plot(run, kind="trajectory")
    a, b = np.meshgrid(figure.grid.x, figure.grid.y)
    inside = a > 0
    assert 0 < inside.sum() < inside.size
    np.testing.assert_allclose(figure.grid.values[inside], line_loss(a, b)[inside], rtol=1e-9)
    assert np.isnan(figure.grid.values[~inside]).all()


def test_a_complex_parameter_moves_in_its_plane(trained):
    run = trained(
        LINE.replace("a * x + b", "abs(z - 1 - 2j)**2 + 0 * sum(x)")
        .replace("{a: 0, b: 0}", "{z: 0j}")
        .replace(", target: [2, 1, 4, 3]", "")
        .replace("loss: mse", "loss: output")
        .replace("0.02", "0.1")
    )
    figure = gdrun.plot(run, kind="trajectory")
    re, im = np.meshgrid(figure.grid.x, figure.grid.y)
    np.testing.assert_allclose(figure.grid.values, (re - 1) ** 2 + (im - 2) ** 2, rtol=1e-12)


def test_points_without_a_loss_are_blank_and_the_others_are_not(trained):
    """A matrix that is not positive definite has no Cholesky factor; TensorFlow refuses all of a batch for it."""
    run = trained(
        LINE.replace("a * x + b", "sum(cholesky([[a, 0.5], [0.5, b]])**2) + 0 * sum(x)")
        .replace("{a: 0, b: 0}", "{a: 2, b: 1}")
        .replace(", target: [2, 1, 4, 3]", "")
        .replace("loss: mse", "loss: output")
        .replace("steps: 20", "steps: 3")
    )
    figure = gdrun.plot(run, kind="trajectory")
    a, b = np.meshgrid(figure.grid.x, figure.grid.y)
    good = np.isfinite(figure.grid.values)
    np.testing.assert_allclose(figure.grid.values[good], (a + b)[good], rtol=1e-12)  # the trace
    assert good[a * b > 0.26].all()


def network_loss(weights: list[np.ndarray], inputs: np.ndarray, target: np.ndarray) -> float:
    first, bias, second, last = weights
    score = (np.tanh(inputs @ first + bias) @ second + last)[:, 0]
    return float(np.mean(np.logaddexp(0, score) - target.reshape(-1) * score))


def test_a_network_moves_in_the_plane_of_its_first_two_principal_components(trained, shared_lab):
    prepared = shared_lab.prepare(NETWORK)
    run = trained(NETWORK)
    figure = gdrun.plot(run, kind="trajectory")
    names = [name for name in run.metrics if name.startswith("parameters.")]
    shapes = [run.metrics[name].shape[1:] for name in names]
    assert len(names) == 4
    points = np.concatenate([run.metrics[name].reshape(len(run.metrics["step"]), -1) for name in names], axis=1)

    values, vectors = np.linalg.eigh(np.cov(points.T))
    axes = vectors[:, [-1, -2]]
    way = (points - points[-1]) @ axes
    axes, way = axes * -np.sign(way[0]), way * -np.sign(way[0])
    np.testing.assert_allclose(np.stack([figure.series[0].x, figure.series[0].y], axis=1), way, atol=1e-9)
    assert figure.x.label == f"first component ({100 * values[-1] / values.sum():.3g} %)"
    assert figure.square

    data = prepared.built.data
    inputs = np.stack([value.numpy() for value in prepared.built.named_inputs.values()], axis=1)
    grid = figure.grid
    for row, column in [(0, 0), (5, 60), (40, 40), (80, 3), (77, 80)]:
        flat = points[-1] + axes @ [grid.x[column], grid.y[row]]
        parts = np.split(flat, np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1])
        weights = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        expected = network_loss(in_order(weights), inputs, data.target.numpy())
        np.testing.assert_allclose(grid.values[row, column], expected, rtol=1e-9)


def in_order(weights: list[np.ndarray]) -> list[np.ndarray]:
    """Kernel and bias of the first layer, then of the last."""
    return sorted(weights, key=lambda value: (value.shape[-1] == 1, -value.ndim))


def test_principal_components_of_a_flat_way_are_its_plane():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(7, 2)))[0]
    inside = np.array([[-3, 0], [-2, 0.5], [-1, 0.4], [0, 0.0]])
    points = inside @ basis.T + rng.normal(size=7)
    plane = plane_of([points], [""])
    coordinates = plane.coordinates(points)
    assert plane.share(points) == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(np.linalg.norm(coordinates, axis=1), np.linalg.norm(inside, axis=1), rtol=1e-9)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-12)
    np.testing.assert_array_equal(coordinates[-1], [0, 0])


def test_two_ways_from_one_start_are_shown_in_the_plane_of_start_and_ends():
    start, first, second = np.array([1.0, 2, 3, 4]), np.array([2.0, 0, 0, 0]), np.array([1.0, 1, 0, 0])
    out = np.array([0.0, 0, 3, 0])
    straight = start + np.outer(np.linspace(0, 1, 5), first)
    # A detour out of the plane and back: 1 along it, 3 out, 3 back.
    away = np.stack([start, start + out, start + second + out, start + second])
    plane = plane_of([straight, away], ["a", "b"])
    np.testing.assert_allclose(plane.coordinates(np.stack([start, straight[-1], away[-1]])), [[0, 0], [2, 0], [1, 1]])
    assert plane.share(straight) == pytest.approx(1)
    assert plane.share(away) == pytest.approx(np.sqrt(2) / (6 + np.sqrt(2)))
    assert plane.labels[0] == "towards the end of a"


def test_ways_of_different_starts_are_shown_in_their_common_principal_components():
    rng = np.random.default_rng(1)
    ways = [rng.normal(size=(6, 5)) * [9, 5, 0.1, 0.1, 0.1] for _ in range(3)]
    plane = plane_of(ways, ["a", "b", "c"])
    values, vectors = np.linalg.eigh(np.cov(np.concatenate(ways).T))
    np.testing.assert_allclose(abs(plane.directions @ vectors[:, [-1, -2]]), np.eye(2), atol=1e-9)
    assert plane.labels[0] == f"first component ({100 * values[-1] / values.sum():.3g} %)"
    np.testing.assert_allclose(plane.origin, np.mean([way[-1] for way in ways], axis=0))


def test_a_trajectory_goes_from_start_to_end(make_run):
    rows = [{"step": k, "loss": 1.0, "parameters.p": [k, k * k]} for k in range(4)]
    figure = trajectory(make_run(rows), load=never_built)
    np.testing.assert_array_equal(figure.series[0].y, [0, 1, 4, 9])
    assert [(mark.kind, mark.x, mark.y) for mark in figure.marks] == [("start", 0, 0), ("end", 3, 9)]
    with pytest.raises(UsageError, match="two numbers") as caught:
        trajectory(make_run([{"step": 0, "loss": 1.0, "parameters.x": 1.0}]), load=never)
    assert "--columns a,b" in (caught.value.hint or "")


def test_a_trajectory_of_a_complex_number_is_in_its_plane(make_run):
    figure = trajectory(make_run([{"step": k, "parameters.c": complex(k, 2 * k)} for k in range(3)]), load=never_built)
    assert (figure.x.label, figure.y.label) == ("c.re", "c.im")


def test_a_formula_of_two_numbers_needs_no_tensorflow(make_run):
    rows = [{"step": k, "loss": 1.0, "parameters.x": 0.1 * k, "parameters.y": 1.0} for k in range(4)]
    config = 'model: {kind: formula, formula: x**2 + y**2, parameters: {x: 0, "y": 1}}\n'
    config += "optimizer: {kind: sgd, learning_rate: 0.1}\nschedule: {steps: 3}\n"
    figure = trajectory(make_run(rows, config=config), load=never)
    x, y = np.meshgrid(figure.grid.x, figure.grid.y)
    np.testing.assert_allclose(figure.grid.values, x**2 + y**2)
    assert trajectory(make_run(rows, config=config), columns=["loss", "x"], load=never).grid is None


def test_what_cannot_be_built_any_more_costs_the_contours_only(make_run):
    rows = [{"step": k, "loss": 1.0, "parameters.p": [k, -k, k * k]} for k in range(5)]
    for columns in ([], ["p[0]", "p[2]"]):
        figure = gdrun.plot(make_run(rows), kind="trajectory", columns=columns)
        assert figure.grid is None
        assert len(figure.series[0].x) == 5
        assert figure.notes[-1].startswith("no contours: ")


@pytest.mark.parametrize(
    ("rows", "message", "hint"),
    [
        ([{"step": 0, "loss": 1.0}], "has 0", "record: {parameters: true}"),
        ([{"step": 0, "loss": 1.0, "parameters.a": 1.0}], "has 1", "--columns"),
        ([{"step": 0, "loss": 1.0, "parameters.a": [1.0, 2.0, 3.0]}], "at 1 step", "record: {every: ...}"),
    ],
    ids=["none", "one", "one row"],
)
def test_what_has_no_way_is_refused_with_the_mend(make_run, rows, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        gdrun.plot(make_run(rows), kind="trajectory")
    assert hint in (caught.value.hint or "")


def test_a_run_that_diverged_is_shown_until_it_does(make_run):
    rows = [{"step": k, "loss": 4.0**k, "parameters.x": (-2.0) ** k, "parameters.y": 1.0} for k in range(9)]
    config = 'model: {kind: formula, formula: x**2 + y**2, parameters: {x: 1, "y": 1}}\n'
    config += "optimizer: {kind: sgd, learning_rate: 0.1}\nschedule: {steps: 9}\n"
    run = make_run(rows, config=config, status="diverged", diverged={"step": 8, "reason": "loss_not_finite"})
    figure = trajectory(run, load=never)
    np.testing.assert_array_equal(figure.series[0].x, [1, -2, 4, -8])  # losses up to 100
    assert [mark.label for mark in figure.marks] == ["start", "diverges"]
    assert figure.notes[0] == "the first 4 of 9 rows"
    assert figure.grid.x[-1] < 16


def test_a_run_that_stands_still_starts_and_ends_there(make_run):
    rows = [{"step": 0, "loss": 1.0, "parameters.x": 1.0, "parameters.y": 1.0}]
    assert [mark.label for mark in trajectory(make_run(rows), load=never_built).marks] == ["start and end"]


def never_built() -> Any:
    raise UsageError("no data")


# --- several ----------------------------------------------------------------------------------------------------------

BOWL = """\
model: {{kind: formula, formula: x**2 + y**2, parameters: {{x: 1, "y": 1}}}}
optimizer: {{kind: sgd, learning_rate: {rate}}}
schedule: {{steps: 8}}
"""


def bowl_rows(rate: float) -> list[dict[str, Any]]:
    """Gradient descent on x**2 + y**2 from (1, 1): a factor of 1 - 2 rate a step."""
    points = (1 - 2 * rate) ** np.arange(9)
    return [{"step": k, "loss": 2 * p**2, "parameters.x": p, "parameters.y": p} for k, p in enumerate(points.tolist())]


@pytest.fixture
def bowl(make_run):
    """(rate) -> a descent of a bowl; from a rate of 1 on it diverges."""

    def make(rate: float, **record: Any) -> Any:
        settings = {"model.formula": "x**2 + y**2", "optimizer.learning_rate": rate} | record.pop("settings", {})
        return make_run(bowl_rows(rate), config=BOWL.format(rate=rate), settings=settings, **record)

    return make


def test_several_runs_share_one_surface_with_a_name_and_an_end_each(bowl):
    runs = [bowl(0.1), bowl(0.3)]
    figure = trajectory(runs, load=never)
    assert [series.label for series in figure.series] == ["lr 0.1", "lr 0.3"]
    x, y = np.meshgrid(figure.grid.x, figure.grid.y)
    np.testing.assert_allclose(figure.grid.values, x**2 + y**2)
    assert [(mark.kind, mark.slot) for mark in figure.marks] == [("start", None), ("end", 0), ("end", 1)]
    np.testing.assert_array_equal(figure.series[1].steps, np.arange(9))


def test_one_that_diverges_ends_with_a_cross_where_it_leaves_the_others_frame(bowl):
    diverging = bowl(1.5, status="diverged", diverged={"step": 8, "quantity": "loss"})
    figure = trajectory([bowl(0.1), diverging], load=never)
    (cross,) = [mark for mark in figure.marks if mark.kind == "diverged"]
    # The second point, (-2, -2), is outside: the line is cut where it meets the edge.
    assert (cross.x, cross.y) == (pytest.approx(figure.grid.x[0]), pytest.approx(figure.grid.y[0]))
    assert figure.grid.x[0] > -2
    assert figure.notes[0] == "× 1 trajectory leaves the picture"
    alone = trajectory([bowl(0.1), bowl(0.2)], load=never)
    assert not [note for note in alone.notes if "leaves" in note]


def test_runs_of_different_problems_are_refused_with_what_differs(bowl):
    other = bowl(0.1, settings={"model.formula": "x**4"})
    with pytest.raises(UsageError, match=r"model\.formula is x\*\*2 \+ y\*\*2 and x\*\*4"):
        trajectory([bowl(0.1), other], load=never)
    starts = [bowl(0.1, settings={"model.parameters.x": value}) for value in (1.0, 2.0)]
    assert len(trajectory(starts, load=never).series) == 2


def test_trials_of_a_sweep_are_drawn_as_far_as_they_went(shared_lab, tmp_path):
    config = """\
precision: float64
model: {kind: formula, formula: x**2 + 2 * y**2, parameters: {x: 1, y: 1}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 6}
record: {parameters: true}
sweep: {over: {learning_rate: [0.1, 0.2, 3.0]}}
"""
    sweep = gdrun.sweep(shared_lab.load(config), runs_dir=shared_lab.runs)
    figure = gdrun.plot(sweep, kind="trajectory")
    assert [series.label for series in figure.series] == ["lr 0.1", "lr 0.2", "lr 3"]
    for series, rate in zip(figure.series[:2], (0.1, 0.2), strict=True):
        np.testing.assert_allclose(series.x, (1 - 2 * rate) ** np.arange(7), rtol=1e-12)
        np.testing.assert_allclose(series.y, (1 - 4 * rate) ** np.arange(7), rtol=1e-12)
    assert [mark.kind for mark in figure.marks] == ["start", "end", "end", "diverged"]
    with pytest.raises(UsageError, match="no parameters of its trials") as caught:
        gdrun.plot(write_sweep(tmp_path / "sweep", {"optimizer.learning_rate": [0.1, 0.2]}), kind="trajectory")
    assert "record: {parameters: true}" in (caught.value.hint or "")


def test_two_networks_from_one_start_say_how_much_of_their_ways_is_seen(trained):
    runs = [trained(NETWORK), trained(NETWORK.replace("0.5}\nschedule", "0.1}\nschedule"))]
    figure = gdrun.plot(runs, kind="trajectory")
    assert figure.x.label == "towards the end of lr 0.5"
    assert "the plane of their start and both ends" in figure.notes[0]
    assert figure.notes[0].endswith("of their ways lie in it")
    assert figure.grid is not None
    np.testing.assert_allclose([series.x[0] for series in figure.series], 0, atol=1e-12)
    np.testing.assert_allclose(figure.series[0].y[-1], 0, atol=1e-9)
