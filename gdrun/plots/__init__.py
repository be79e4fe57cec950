"""Pictures of runs, of sweeps and of what is asked about them. TensorFlow is imported by ways.py and models.py alone,
where a picture has to be computed from a run's model.

    figure = gdrun.plots.loss_figure(gdrun.load_run("latest"))
    print(figure)                                # in the terminal
    gdrun.plots.save(figure, "loss.svg")         # .png, .svg, .pdf (needs matplotlib, the extra `plot`) or .txt

figure.py                        a picture as plain data
runs.py paths.py views.py                 data from runs and from arrays
ways.py models.py                what is computed from a run's config: its way on the loss, fit, decisions, spectrum
sensitivity.py sweep_maps.py sweep_lines.py    data from sweeps
choose.py                        which picture a run gets
picture.py canvas.py labelling.py grids.py style.py    drawn by matplotlib, imported when a picture is made
text.py text_grid.py braille.py characters.py    drawn in characters
scales.py thin.py palette.py     what both have in common
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .characters import can_show as can_show
    from .choose import KINDS as KINDS
    from .choose import plot as plot
    from .figure import Axis as Axis
    from .figure import Figure as Figure
    from .figure import Grid as Grid
    from .figure import Mark as Mark
    from .figure import Region as Region
    from .figure import Rule as Rule
    from .figure import Series as Series
    from .paths import path_figure as path_figure
    from .runs import column_figure as column_figure
    from .runs import columns_figure as columns_figure
    from .runs import gradient_norm_figure as gradient_norm_figure
    from .runs import learning_rate_figure as learning_rate_figure
    from .runs import loss_figure as loss_figure
    from .runs import metrics_figure as metrics_figure
    from .runs import parameters_figure as parameters_figure
    from .runs import validation_figure as validation_figure
    from .saving import save as save
    from .sensitivity import sensitivity_figure as sensitivity_figure
    from .sweep_lines import curves_figure as curves_figure
    from .sweep_maps import heatmap_figure as heatmap_figure
    from .text import as_text as as_text
    from .views import decision_figure as decision_figure
    from .views import fit_figure as fit_figure
    from .views import spectrum_figure as spectrum_figure
    from .views import trajectory_figure as trajectory_figure

_PLACES = {
    "Axis": "figure",
    "Figure": "figure",
    "Grid": "figure",
    "KINDS": "choose",
    "Mark": "figure",
    "Region": "figure",
    "Rule": "figure",
    "Series": "figure",
    "as_text": "text",
    "can_show": "characters",
    "column_figure": "runs",
    "columns_figure": "runs",
    "curves_figure": "sweep_lines",
    "decision_figure": "views",
    "fit_figure": "views",
    "gradient_norm_figure": "runs",
    "heatmap_figure": "sweep_maps",
    "learning_rate_figure": "runs",
    "loss_figure": "runs",
    "metrics_figure": "runs",
    "parameters_figure": "runs",
    "path_figure": "paths",
    "plot": "choose",
    "save": "saving",
    "sensitivity_figure": "sensitivity",
    "spectrum_figure": "views",
    "trajectory_figure": "views",
    "validation_figure": "runs",
}
__all__ = [
    "KINDS",
    "Axis",
    "Figure",
    "Grid",
    "Mark",
    "Region",
    "Rule",
    "Series",
    "as_text",
    "can_show",
    "column_figure",
    "columns_figure",
    "curves_figure",
    "decision_figure",
    "fit_figure",
    "gradient_norm_figure",
    "heatmap_figure",
    "learning_rate_figure",
    "loss_figure",
    "metrics_figure",
    "parameters_figure",
    "path_figure",
    "plot",
    "save",
    "sensitivity_figure",
    "spectrum_figure",
    "trajectory_figure",
    "validation_figure",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
