"""Pictures of runs, of sweeps and of questions about them. TensorFlow is imported where a picture is computed.

    figure = gdrun.plots.loss_figure(gdrun.load_run("latest"))
    print(figure)                                # in the terminal
    gdrun.plots.save(figure, "loss.svg")         # .png, .svg, .pdf (needs matplotlib, the extra `plot`) or .txt

figure.py                        a picture as plain data
choose.py picture.py             the table of pictures, and a row of it
run_pictures.py columns.py names.py            of recorded columns
trajectory.py loss_surface.py model_pictures.py     computed from a run's config
sweep_pictures.py trial_columns.py             of a sweep's table
seed_bands.py                    curves over seeds, of runs and of sweeps
animation.py                     a figure for each step
rendering.py                     files, and the renderers: matplotlib_renderer.py, text_renderer.py with braille.py
html_page.py markup.py plotly_renderer.py      pages, page.css and page.js
scales.py downsampling.py palette.py           shared by the renderers
"""

from .choose import KINDS as KINDS
from .choose import animate as animate
from .choose import plot as plot
from .figure import RENDERERS
from .figure import Figure as Figure
from .html_page import notebook_json
from .model_pictures import decision_figure as decision_figure
from .model_pictures import fit_figure as fit_figure
from .model_pictures import spectrum_figure as spectrum_figure
from .rendering import as_text, notebook_png
from .rendering import save as save
from .run_pictures import columns_figure as columns_figure
from .run_pictures import gradient_norm_figure as gradient_norm_figure
from .run_pictures import learning_rate_figure as learning_rate_figure
from .run_pictures import loss_figure as loss_figure
from .run_pictures import metrics_figure as metrics_figure
from .run_pictures import norms_figure as norms_figure
from .run_pictures import parameters_figure as parameters_figure
from .run_pictures import validation_figure as validation_figure
from .sweep_pictures import curves_figure as curves_figure
from .sweep_pictures import heatmap_figure as heatmap_figure
from .sweep_pictures import sensitivity_figure as sensitivity_figure
from .text_renderer import can_show as can_show
from .trajectory import trajectory_figure as trajectory_figure

RENDERERS |= {"text": as_text, "png": notebook_png, "plotly": notebook_json}
