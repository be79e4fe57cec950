"""Draw the thumbnails of the site's gallery anew, from runs made for it: python scripts/thumbnails.py [NAME...]."""

from __future__ import annotations

import io
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import yaml
from PIL import Image

import gdrun
from gdrun.errors import GdrunError
from gdrun.experiment.gallery import gallery
from gdrun.plots.figure import Figure
from gdrun.plots.rendering import draw

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images" / "gallery"
KINDS = ("decisions", "trajectory", "fit", "loss")
"""The first of these that fits a run is drawn."""
SIZE = (2.6, 1.7)
"""Inches."""
NUM_COLOURS = 32


def main(names: list[str]) -> None:
    """Run each config of the gallery, or those named, and write its picture."""
    FOLDER.mkdir(exist_ok=True)
    for name, path in gallery().items():
        if names and name not in names:
            continue
        with tempfile.TemporaryDirectory() as runs_dir:
            execute = gdrun.sweep if "sweep" in yaml.safe_load(path.read_text(encoding="utf-8")) else gdrun.train
            write(name, execute(path, runs_dir=runs_dir))
        print(name)


def write(name: str, run: gdrun.Run) -> None:
    """Write the thumbnail of a run or sweep."""
    figure = _picture(run)
    figure = replace(
        figure,
        title="",
        subtitle="",
        notes=(),
        x=replace(figure.x, label=""),
        y=replace(figure.y, label=""),
        series=tuple(replace(series, label="") for series in figure.series),
    )
    image = Image.open(io.BytesIO(draw(figure, "png", SIZE))).convert("RGB")
    image.quantize(NUM_COLOURS).save(FOLDER / f"{name}.png", optimize=True)


def _picture(run: gdrun.Run) -> Figure:
    """Return the first picture that there is of a run; of a sweep its own."""
    for kind in () if run.is_sweep else KINDS:
        try:
            return gdrun.plot(run, kind=kind)
        except GdrunError:  # it does not fit: not two parameters, no input along an axis
            continue
    return gdrun.plot(run)


if __name__ == "__main__":
    main(sys.argv[1:])
