"""Pages in a real browser: they draw without an error, sort, filter, toggle, play, follow the scheme and the width.

Playwright drives the system's Chromium; without either the tests are skipped.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdrun
from gdrun.plots.animation import revealed
from gdrun.plots.figure import Figure, FigureAxis, ReferenceLine, Series
from gdrun.reporting.site import write_site
from gdrun.rundir.listing import runs as all_runs
from gdrun.rundir.run import Run
from tests.plots.fake_sweeps import write_sweep

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def show(browser: Any) -> Iterator[Open]:
    """Open a page from the disk: show(path, scheme="dark", width=400); at the end no error was on its console."""
    problems: list[str] = []
    contexts = []

    def opened(path: Path, scheme: str = "light", width: int = 1000) -> Any:
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: problems.append(request.url) if request.url[:5] == "http:" else None)
        page.goto(path.resolve().as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


def wait(page: Any, condition: str) -> None:
    """Wait until a condition in JavaScript holds; Playwright's own way is forbidden by the page's policy."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(condition)


@pytest.fixture
def run(make_run: Callable[..., Run]) -> Run:
    """A run with a training and a validation loss."""
    steps = np.arange(40)
    return make_run({"step": steps, "loss": 0.7**steps, "validation_loss": 0.8**steps})


def test_lines_are_drawn_toggled_and_put_on_another_scale(show: Open, run: Run) -> None:
    page = show(gdrun.report(run))
    assert page.locator(".scatterlayer .trace").count() == 2
    validation = page.get_by_role("button", name="validation")
    validation.focus()
    page.keyboard.press("Enter")
    assert validation.get_attribute("aria-pressed") == "false"
    assert page.locator(".scatterlayer .trace").count() == 1
    assert page.evaluate("document.querySelector('.plot').layout.yaxis.type") == "log"
    page.get_by_role("button", name="log y").click()
    assert page.evaluate("document.querySelector('.plot').layout.yaxis.type") == "linear"


def test_a_stretch_is_zoomed_into_and_reset(show: Open, run: Run) -> None:
    page = show(gdrun.report(run))
    ends = "document.querySelector('.plot').layout.xaxis.range"
    whole = page.evaluate(ends)
    box = page.locator(".plot .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 105, steps=4)
    page.mouse.up()
    wait(page, f"{ends}[1] < {whole[1] - 5}")
    page.get_by_role("button", name="reset", exact=True).click()
    wait(page, f"Math.abs({ends}[1] - {whole[1]}) < 1")


def test_the_table_of_trials_sorts_by_any_column(show: Open, tmp_path: Path) -> None:
    rates = [0.3, 0.01, 0.1, 3.0]
    page = show(gdrun.report(write_sweep(tmp_path / "s", {"optimizer.learning_rate": rates})))
    cells = "[...document.querySelectorAll('table.sortable tbody tr')].map((row) => Number(row.cells[1].textContent))"
    page.locator(".sortable thead button", has_text="lr").click()
    assert page.evaluate(cells) == sorted(rates)
    page.locator(".sortable thead button", has_text="lr").click()
    assert page.evaluate(cells) == sorted(rates, reverse=True)


def test_the_index_filters_and_compares(show: Open, run: Run, make_run: Callable[..., Run], tmp_path: Path) -> None:
    make_run({"step": np.arange(9), "loss": 0.5 ** np.arange(9)}, name="other", settings={"lr": 0.5})
    page = show(write_site(tmp_path / "site", all_runs(run.directory.parent)).file)
    page.locator("input.filter").fill("other")
    assert page.locator("tbody tr:visible").count() == 1
    assert page.locator("#count").inner_text() == "1 of 2"
    page.locator("input.filter").fill("")
    for box in page.locator("input.pick").all():
        box.check()
    wait(page, "document.querySelectorAll('#compared .scatterlayer .trace').length === 2")
    assert "lr" in page.locator("#differences").inner_text()
    page.get_by_role("link", name=run.id).click()
    wait(page, "document.querySelectorAll('.scatterlayer .trace').length === 2")
    assert page.locator("h1").inner_text() == "line"


def test_an_animation_plays_and_its_slider_moves_it(show: Open, tmp_path: Path) -> None:
    steps = np.arange(20)
    figure = Figure("falls", FigureAxis("step"), series=(Series(steps, 0.5**steps, steps=steps),))
    page = show(gdrun.plots.save(revealed(figure, 10, 0.5), tmp_path / "a.html"))
    shown = "document.querySelector('.plot').data[0].x.length"
    assert page.evaluate(shown) == 20
    page.locator("input[type=range]").fill("0")
    assert page.evaluate(shown) == 1
    page.get_by_role("button", name="play").click()
    wait(page, f"{shown} > 5")
    wait(page, f"{shown} === 20")
    page.get_by_role("button", name="play").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_follows_the_scheme_and_fits_a_phone(show: Open, scheme: str, tmp_path: Path) -> None:
    axes = {"optimizer.learning_rate": np.geomspace(0.01, 2, 12).tolist(), "optimizer.momentum": [0.0, 0.5, 0.9]}
    page = show(gdrun.report(write_sweep(tmp_path / "s", axes)), scheme, 400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    ground, text = (
        sum(page.evaluate(f"getComputedStyle({element}).{name}.match(/[0-9]+/g).slice(0, 3).map(Number)"))
        for element, name in (("document.body", "backgroundColor"), ("document.querySelector('.xtick text')", "fill"))
    )
    assert (ground < 200 < 450 < text) if scheme == "dark" else (text < 400 < 700 < ground)


_TEXTS_THAT_OVERLAP = """() => {
    const texts = [...document.querySelector(".plot").querySelectorAll(".xtick text, .shape-label text")];
    const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
    const cross = ([, p], [, q]) => p.left < q.right && q.left < p.right && p.top < q.bottom && q.top < p.bottom;
    return boxes.flatMap((p, k) => boxes.slice(k + 1).filter((q) => cross(p, q)).map((q) => [p[0], q[0]]));
}"""


@pytest.mark.parametrize(("low", "high"), [(0.025, 0.4), (0.25, 0.4), (0.05, 0.8), (0.001, 5.0)])
def test_the_labels_of_a_sensitivity_picture_do_not_overlap(
    show: Open, low: float, high: float, tmp_path: Path
) -> None:
    rates = np.geomspace(low, high, 9).tolist()
    sweep = write_sweep(tmp_path / "s", {"optimizer.learning_rate": rates}, prediction={"limit": 0.35})
    page = show(gdrun.report(sweep), width=400)
    assert page.get_by_text("predicted limit").count() >= 1
    assert page.evaluate(_TEXTS_THAT_OVERLAP) == []


def test_the_label_of_a_vertical_line_is_clear_of_plotlys_buttons(show: Open, tmp_path: Path) -> None:
    line = Series(np.arange(20.0), np.arange(20.0))
    figure = Figure("line", series=(line,), rules=(ReferenceLine(x=18.5, label="phases.1"),))
    page = show(gdrun.plots.save(figure, tmp_path / "line.html"))
    label = page.locator("text", has_text="phases.1").bounding_box()
    buttons = [button.bounding_box() for button in page.locator(".modebar-btn").all()]
    assert label["x"] + label["width"] > min(button["x"] for button in buttons)
    assert label["y"] >= max(button["y"] + button["height"] for button in buttons)
