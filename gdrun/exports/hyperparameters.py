"""Which settings describe a run: those that somebody wrote, and the optimizer's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gdrun.rundir.describing import written_settings

from .flat import cell

if TYPE_CHECKING:
    from gdrun.rundir.run import Run

_LEFT_OUT = ("name", "description")
_ALWAYS = ("optimizer.",)


def hyperparameters(run: Run) -> dict[str, Any]:
    """Return dotted path -> number, bool or text. Runs of several configs have the optimizer's in common."""
    settings = run.settings
    written = written_settings(run, settings)
    chosen = {
        path: cell(value)
        for path, value in settings.items()
        if value is not None and path not in _LEFT_OUT and (path in written or path.startswith(_ALWAYS))
    }
    return chosen or {path: cell(value) for path, value in settings.items() if value is not None}
