"""Figures on HTML pages, drawn by plotly (the extra `report`): whole in themselves, or with its script beside them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files as package_files
from importlib.util import find_spec

import numpy as np

from gdrun.extras import require
from gdrun.version import __version__

from .animation import Animation
from .figure import Figure
from .markup import Html, data_block, escaped, joined, policy_hash, tag
from .palette import LINES, graded
from .plotly_renderer import STOPS, hex_colour, plotly_figure, plotly_frames, resolved

PLOTLY_FILE = "plotly.min.js"

_DARK_LINES = ("#3f9bd8", "#ea7a33", "#1fb488", "#d993bc", "#edaa24", "#a9dbf7", "#f0f0ee")
_NAMES = ("back", "panel", "text", "quiet", "rule", "grid", "accent", "good", "bad", "odd", "shade")
_SCHEMES = (
    (LINES, "#ffffff #f6f6f4 #1c1c1e #61656b #e2e2de #ebebe8 #0067a3 #00694c #b04400 #7a5b00 #f6e9e3", (0.05, 0.85)),
    (
        _DARK_LINES,
        "#131518 #1b1e22 #e7e6e3 #a0a5ac #2d3137 #24282d #6bb8ea #45c79c #f0894a #e3b341 #2b211d",
        (0.35, 1.0),
    ),
)
"""Of the light and the dark scheme: lines, the colours called `_NAMES`, the readable stretch of the graded palette."""
_MARKUP = (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="color-scheme" content="light dark">\n'
    '<meta http-equiv="Content-Security-Policy" content="{policy}">\n{more}'
    '<meta name="generator" content="gdrun {version}">\n'
    "<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n{data}\n{plotly}\n"
    "<script>{script}</script>\n</body>\n</html>\n"
)


def plotly_script() -> str:
    """Return plotly.js. Raises ResourceError where plotly is not installed."""
    return str(require("plotly.offline", extra="report", what="a page").get_plotlyjs())


def document(
    title: str,
    body: Html,
    figures: Sequence[Figure | Animation],
    *,
    plotly: str | None = None,
    script: str = "",
    refresh: int | None = None,
) -> str:
    """Return an HTML page.

    Args:
        body: with a `figure_slot` for each figure.
        plotly: where plotly.js lies, from the page; None puts it into the page.
        script: what runs after the figures are drawn.
        refresh: after so many seconds the browser reads the page anew.
    Raises:
        ResourceError: plotly is not installed, and the page needs it.
    """
    style, script = (
        own_file("page.css") + palette_css(),
        f'"use strict";\n(() => {{\n{own_file("page.js")}{script}}})();\n',
    )
    data = [plotly_frames(figure) if isinstance(figure, Animation) else plotly_figure(figure) for figure in figures]
    if plotly is not None:
        source, allowed = tag("script", src=plotly), "'self' file:"
    else:
        text = plotly_script().replace("</script", "<\\/script") if figures else ""
        source, allowed = Html(f"<script>{text}</script>"), policy_hash(text)
    # No script but these can run and nothing can be loaded, whatever a text on the page says. plotly sets styles.
    policy = f"default-src 'none'; script-src {allowed} {policy_hash(script)}; style-src 'unsafe-inline'"
    return _MARKUP.format(
        policy=f"{policy}; img-src data: blob:; base-uri 'none'; form-action 'none'",
        more=f'<meta http-equiv="refresh" content="{refresh}">\n' if refresh else "",
        version=__version__,
        title=escaped(f"{title} - gdrun", limit=200),
        style=style,
        body=body,
        data=data_block("figures", data),
        plotly=source if figures or plotly else "",
        script=script,
    )


def figure_slot(figure: Figure | Animation, index: int) -> Html:
    """Return the place of a page's figure `index`: its texts, and where the script draws it."""
    moving = isinstance(figure, Animation)
    whole = figure.frames[-1] if isinstance(figure, Animation) else figure
    return tag(
        "figure",
        tag("figcaption", tag("b", whole.title), " ", tag("span", "" if moving else whole.subtitle, class_="quiet")),
        tag("div", class_="tools"),
        tag("div", class_="plot", role="img", aria_label=whole.title),
        tag("div", class_="player"),
        tag("div", class_="legend"),
        *(tag("p", note, class_="quiet note") for note in whole.notes),
        class_="chart",
        data_figure=index,
    )


def figure_page(figure: Figure | Animation) -> str:
    """Return a page with one figure. Raises ResourceError where plotly is not installed."""
    title = (figure.frames[-1] if isinstance(figure, Animation) else figure).title
    without = tag("noscript", "The picture needs JavaScript.")
    return document(title, tag("main", joined([without, figure_slot(figure, 0)])), [figure])


def notebook_json(figure: Figure) -> dict[str, object] | None:
    """Return a figure as plotly's JSON for notebooks, in the light scheme; None where plotly is not installed."""
    if find_spec("plotly") is None:
        return None
    made = plotly_figure(figure)
    titles = {"text": f"{escaped(figure.title)}<br><sub>{escaped(figure.subtitle)}</sub>"}
    made["layout"] |= {"template": "plotly_white", "title": titles}
    plain: dict[str, object] = resolved(made, _variables()[0])
    return plain


@cache
def _variables() -> tuple[dict[str, str], dict[str, str]]:
    """Return name -> colour of the light and of the dark scheme; lines are s0, ..., lines in an order g0, ..."""
    light, dark = (
        dict(zip(_NAMES, ground.split(), strict=True))
        | {f"s{index}": colour for index, colour in enumerate(lines)}
        | {f"g{index}": hex_colour(stop) for index, stop in enumerate(graded(np.linspace(*ends, STOPS)))}
        for lines, ground, ends in _SCHEMES
    )
    return light, dark


def palette_css() -> str:
    """Return the CSS that defines the colours of both schemes; a printed page has those of the light one."""
    light, dark = ("".join(f"--{name}: {colour}; " for name, colour in scheme.items()) for scheme in _variables())
    return (
        f":root {{ {light}}}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}\n"
        f"@media print {{ :root {{ color-scheme: light; {light}}} }}\n"
    )


def own_file(name: str) -> str:
    """Return one of the files beside this one."""
    return (package_files("gdrun.plots") / name).read_text(encoding="utf-8")
