"""Sentences of `show`, `stability`, `lr`, `grad` and `check-grad` on six awkward runs, each against a closed form or an
independent loop: a sentence that would be false is not printed."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from tests.awkward import AWKWARD

pytestmark = pytest.mark.usefixtures("tensorflow")


@pytest.fixture(scope="module")
def awkward(tensorflow, tmp_path_factory):
    """Name -> config and run directory, trained once."""
    from gdrun.training.train import train

    folder = tmp_path_factory.mktemp("awkward")
    runs = {}
    for name, text in AWKWARD.items():
        config = folder / f"{name}.yaml"
        config.write_text("compile: graph\n" + text)
        runs[name] = SimpleNamespace(config=str(config), run=train(config, runs_dir=folder / "runs"))
    return runs


@pytest.fixture(scope="module")
def outputs():
    """Lines of the commands that were run: several tests look at one output."""
    return {}


@pytest.fixture
def said(gdrun, awkward, outputs):
    """Run a command on a run or its config: said("diverging", "show", "--convergence") -> lines."""

    def lines(name, command, *options, of="run"):
        key = (name, command, *options, of)
        if key not in outputs:
            target = awkward[name].config if of == "config" else str(awkward[name].run.directory)
            result = gdrun(command, target, *options)
            outputs[key] = result.out.splitlines() + result.err.splitlines()
        return outputs[key]

    return lines


def line_of(lines, beginning):
    """The only line that begins so, without what it begins with."""
    (line,) = (line for line in lines if line.startswith(beginning))
    return line.removeprefix(beginning).strip()


def sgd_of_one():
    """The run of one example a batch, in NumPy: losses over all data before each epoch, means of the losses seen."""
    x, y = np.asarray([0.0, 1, 1, 0]), np.asarray([0.0, 1, 2, 1])
    a = b = 5.0
    whole, means = [], []
    for _ in range(40):
        seen = []
        whole.append(np.mean((a * x + b - y) ** 2))
        for xi, yi in zip(x, y, strict=True):
            error = a * xi + b - yi
            seen.append(error**2)
            a, b = a - 0.25 * 2 * error * xi, b - 0.25 * 2 * error
        means.append(np.mean(seen))
    return np.asarray(means), np.mean((a * x + b - y) ** 2), (a, b)


# --- show -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "ends"), [("oscillating", "loss from 3 to 3"), ("chaotic", "loss from 0.8281 to ")])
def test_a_run_that_never_settles_has_no_sentence_beyond_its_ends(said, name, ends):
    """Every second row of the one that swings between 3 and 7 says 3."""
    lines = said(name, "show", "--convergence")
    assert lines[0] == "completed after 200 steps: the schedule's end, 200 steps"
    assert lines[1].startswith(ends)
    assert len(lines) == 2


def test_of_batches_of_one_only_means_over_epochs_and_the_loss_over_all_data_are_said(said):
    means, final, (a, b) = sgd_of_one()
    lines = said("batch-of-one", "show", "--convergence")
    assert lines[1] == f"an epoch's mean loss from {means[0]:.4g} to {means[-1]:.4g}"
    assert lines[2] == f"loss over all data at the end {final:.4g}"
    (tenth,) = np.flatnonzero(np.maximum.accumulate(means[::-1])[::-1] <= means[0] / 10)[:1]
    assert lines[3].endswith(f"in every row from there on: 1e-1 at {4 * (tenth + 1)}")
    still = np.flatnonzero(np.abs(means - means[-1]) > 0.01 * means[-1])[-1] + 1
    # Row 4 (k + 1) is the end of epoch k; it has the mean of epoch k, and 10 epochs are a tenth of the run and more.
    assert lines[4] == f"an epoch's mean loss stands still at {means[-1]:.4g} from step {4 * (still + 1)} on"
    # The least squares are at slope 1, intercept 1/2, with a loss of 1/4.
    assert f"distance to the minimum {np.hypot(a - 1, b - 0.5):.4g}" in lines[5]
    assert lines[5].endswith(f"loss above it {final - 0.25:.4g}")
    assert len(lines) == 6
    page = "\n".join(said("batch-of-one", "show"))
    assert "loss: first and best are of one batch, final is over all data" in page


def test_one_epoch_of_batches_of_one_has_no_course(gdrun, tmp_path):
    (tmp_path / "one.yaml").write_text("compile: graph\n" + AWKWARD["batch-of-one"].replace("epochs: 40", "epochs: 1"))
    run = gdrun("train", "one.yaml").out.strip()
    lines = gdrun("show", run, "--convergence").out.splitlines()
    assert [line.split(" ")[0] for line in lines] == ["completed", "loss", "distance"]
    assert lines[1].startswith("loss over all data at the end")


def test_a_loss_that_becomes_negative_has_no_ratios(said):
    lines = said("negative", "show", "--convergence")
    assert not any("first value" in line for line in lines)
    excess = 3.69**2 * 0.64 ** np.arange(301)
    still = int(np.argmax(excess <= 0.01 * 0.187))
    assert f"the loss stands still at -0.187 from step {still} on" in lines
    assert any(line.startswith("converges linearly: the gradient shrinks by 0.8 a step") for line in lines)
    assert "learning rate 0.1: 10 % of the limit 1 at the end" in lines
    assert f"distance to the minimum {3.69 * 0.8**300:.4g}, of 3.69 at the start" in "\n".join(lines)


def test_a_diverged_run_grew_and_has_no_distance_to_a_minimum(said):
    lines = said("diverging", "show", "--convergence")
    assert "the loss grew 2.25-fold a step at the end" in lines
    assert "learning rate 0.25: 1.25 times the limit 0.2 at the start" in lines
    assert not any(word in line for line in lines for word in ("distance", "stands still", "predicted", "%"))


def test_an_update_by_rule_has_no_sentence_about_gradient_descent(said):
    """Its loss is 1000 * 4**-k: what it reaches and how fast is true, whatever the rule."""
    lines = said("by-rule", "show", "--convergence")
    assert any("in every row from there on: 1e-4 at 7, 1e-8 at 14" in line for line in lines)
    assert any("the gradient shrinks by 0.5 a step" in line for line in lines)
    assert not any(word in line for line in lines for word in ("condition number", "limit", "predicted"))


# --- stability and lr -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["config", "run"])
@pytest.mark.parametrize("name", ["oscillating", "chaotic"])
def test_where_the_loss_curves_down_no_rate_is_called_harmless(said, name, of):
    lines = said(name, "stability", of=of)
    assert line_of(lines, "limit of sgd").startswith("none: the loss curves upward in no direction here")
    assert not any("no rate is too large" in line or line.startswith("learning rate") for line in lines)


def test_trials_that_swing_or_are_chaotic_are_not_called_stable(said):
    swinging = line_of(said("oscillating", "stability", "--verify", of="config"), "observed edge")
    assert re.fullmatch(r"none found: no trial up to \S+ diverged or ended above the start \(.*\)", swinging)
    chaotic = line_of(said("chaotic", "stability", "--verify", of="config"), "observed edge")
    assert "beyond it some did and some did not" in chaotic
    # x -> x - 4 r x (x**2 - 1) comes to 1 from 0.3 while |1 - 8 r| < 1, which is below a rate of 1/4.
    assert float(re.search(r"no trial up to (\S+)", chaotic)[1]) > 0.25


def test_of_batches_the_limit_of_all_data_comes_with_a_caveat(said):
    lines = said("batch-of-one", "stability", of="config")
    assert any("may lie lower" in line for line in lines)
    assert any("may lie lower" in line for line in said("batch-of-one", "lr", of="config"))


@pytest.mark.parametrize(
    ("name", "command", "limit"), [("negative", ("lr",), 1.0), ("diverging", ("stability", "--verify"), 0.2)]
)
def test_an_edge_is_said_as_the_rates_between_which_it_lies(said, name, command, limit):
    edge = line_of(said(name, *command, of="config"), "observed edge")
    low, high = map(float, re.match(r"between (\S+) and (\S+) \(", edge).groups())
    assert low <= limit <= high
    assert edge.endswith("where it was predicted")


def test_a_share_of_the_limit_beyond_it_is_a_factor(said):
    assert line_of(said("diverging", "stability", of="config"), "learning rate") == "0.25, 1.25 times the limit"
    assert line_of(said("negative", "stability", of="config"), "learning rate") == "0.1, 10 % of the limit"


def test_an_update_by_rule_has_no_limit(said):
    lines = said("by-rule", "stability", of="config")
    assert line_of(lines, "limit of formula") == "none: no limit is known for optimizer formula"
    assert not any("the limit" in line for line in lines)


def test_a_suggestion_says_which_rates_came_to_the_same(said):
    search = json.loads("\n".join(said("chaotic", "lr", "--json", of="config")))
    rates, losses = np.asarray(search["rates"]), np.asarray(search["losses"], float)
    low, high, loss = map(
        float,
        re.search(r"of the rates from (\S+) to (\S+) that come to (\S+) or", search["suggestion"]["reason"]).groups(),
    )
    between = (rates >= 0.999 * low) & (rates <= 1.001 * high)
    assert np.all(losses[between] <= 1.01 * loss)
    assert losses[np.argmin(np.abs(rates - search["suggestion"]["rate"]))] <= 1.01 * loss


def test_of_batches_no_rate_is_called_the_first_to_be_there(said):
    """On the way only losses of batches are known."""
    assert "comes to the lowest loss" in line_of(said("batch-of-one", "lr", of="config"), "suggestion")


def test_a_ramp_says_where_it_was_lowest_and_where_it_blew_up(said):
    lines = said("chaotic", "lr", "--range-test", of="config")
    assert line_of(lines, "loss blew up") == "nowhere"
    assert line_of(lines, "lowest").startswith("smoothed loss")
    assert not any(line.startswith(("best", "observed")) for line in lines)


# --- grad and check-grad ----------------------------------------------------------------------------------------------

SLOPES = {
    "oscillating": 10.0,
    "chaotic": 4 * 0.3 * (0.3**2 - 1),
    "negative": 2 * 3.69,
    "diverging": 10.0,
    "by-rule": -2000.0,
}


@pytest.mark.parametrize("name", SLOPES)
def test_derivatives_are_the_closed_forms_and_agree_with_differences(said, name):
    assert float(line_of(said(name, "grad", of="config"), "  d/dx")) == pytest.approx(SLOPES[name], rel=1e-14)
    (line,) = said(name, "check-grad", of="config")
    assert line.startswith("ok     x: the tape agrees with differences")


def test_derivatives_of_batches_are_over_all_data(said):
    lines = said("batch-of-one", "grad", of="config")
    residuals = np.asarray([5.0, 9, 8, 4])
    assert lines[0] == f"loss = {np.mean(residuals**2):g}"
    assert float(line_of(lines, "  d/da")) == 2 * residuals[1:3].sum() / 4
    assert float(line_of(lines, "  d/db")) == 2 * residuals.mean()


def test_at_a_minimum_differences_have_a_bound_that_means_something(said):
    """x is 3e-29 there, which is no size to take steps of: the bound was 7e15."""
    (line,) = said("negative", "check-grad")
    assert "both are 0 within the bound" in line
    assert float(re.search(r"bound (\S+)\)", line)[1]) < 1e-10


def test_where_the_loss_is_not_finite_nothing_is_called_wrong(said):
    first, mend = said("diverging", "check-grad")
    assert "the loss at step 874 is inf: it has no gradient to check" in first
    assert mend.strip() == "check at other values: give them as NAME=VALUE"
    assert said("diverging", "check-grad", "x=1")[0].startswith("ok ")
    assert any("is not finite: 5 * 6.41979" in line for line in said("diverging", "grad"))


def test_the_summary_of_a_run_advises_by_what_happened(gdrun, awkward):
    result = gdrun("train", awkward["diverging"].config)
    assert "a smaller learning rate may hold" in result.err
    falling = gdrun("train", awkward["diverging"].config, "model.formula=-x**2", "lr=1")
    assert falling.code == 3
    assert "learning rate may" not in falling.err
