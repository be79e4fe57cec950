"""The end of a run or a sweep: its exit code, its short tables on stderr, its JSON."""

from __future__ import annotations

import shutil
import signal
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from rich.text import Text

from gdrun.errors import ExitCode, GdrunError
from gdrun.reporting import sections
from gdrun.rundir.run import Run
from gdrun.sweeping.summary import summarize
from gdrun.text import exact, human_seconds, plural_count, plural_number

from . import terminal
from .tables import status_style, table

FEW_NUMBERS = 20
"""Parameters are printed up to so many numbers."""

PICTURE_COLUMNS, PICTURE_ROWS = 100, 20
_DETAILS = ("gradient_norm", "learning_rate")


def summary_of(run: Run) -> RunEnd:
    """Return the summary of a run or a sweep that has ended."""
    return SweepEnd(run) if run.is_sweep else RunEnd(run)


class RunEnd:
    """The end of a run.

    Raises:
        RunDirectoryError: its files cannot be read.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.info = run.info
        self.status = str(run.status)

    @property
    def exit_code(self) -> int:
        """The exit code of the command that ran it: 143 after SIGTERM or SIGHUP, 130 after any other signal, ..."""
        if self.status == "submitted":
            return ExitCode.DONE
        if self.status == "interrupted":
            terminated = self.info.signal in (signal.SIGTERM, signal.SIGHUP)
            return ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED
        return self._outcome()

    def _outcome(self) -> int:
        return {"diverged": ExitCode.DIVERGED, "failed": ExitCode.BUG}.get(self.status, ExitCode.DONE)

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` says of it."""
        run, info = self.run, self.info
        return {
            "id": run.id, "name": info.name, "directory": str(run.directory.absolute()), "status": self.status,
        } | self._facts()  # fmt: skip

    def _facts(self) -> dict[str, Any]:
        names = ("stopped_by", "why", "steps", "epochs", "seconds", "device", "precision", "compile")
        values = {name: getattr(self.info, name) for name in (*names, "final", "best", "diverged", "warnings")}
        parameters = self.run.known_parameters
        size = sum(array.size for array in parameters.values())
        return values | {"num_parameters": size, "parameters": parameters if size <= FEW_NUMBERS else None}

    def show(self, *, label: str = "", verbose: bool = False, picture: bool = True) -> None:
        """Print it on stderr.

        Args:
            label: what to call it; default its name.
            verbose: with the gradient norm, the learning rate and where the run ran.
            picture: with the picture of a sweep in characters.
        """
        style = f"bold {status_style(self.status)}"
        terminal.message(Text.assemble((label or self.info.name, "bold"), " ", (self.status, style), self._head()))
        self._show(verbose=verbose, picture=picture)

    def _head(self) -> str:
        return f": {self.info.why}" if self.info.why else ""

    def _show(self, *, verbose: bool, picture: bool) -> None:
        terminal.message(*table(self._rows(verbose), indent=2))
        if advice := self._advice():
            terminal.message(Text(f"  {advice}", "dim"))

    def _advice(self) -> str:
        """Return what may help, as far as what happened says; "" where it says nothing."""
        info = self.info
        missed = (info.why or "").partition("no stop rule fired before: ")[2]
        if self.status == "completed" and missed:
            rule = missed.split(",")[0].split(" ")[0]
            return f"`expect: {{stopped_by: {rule}}}` lets `gdrun check` insist on it"
        if self.status != "diverged" or any(
            mend in (info.why or "") for mend in ("compile=graph", "precision=float64")
        ):
            return ""
        if (info.diverged or {}).get("step") == 0:
            # No update has been made.
            return "the initial values give that; `gdrun grad` of the config names the operation"
        settings = info.settings
        by_hand = settings.get("optimizer.kind") == "formula" or settings.get("gradients.use")
        if by_hand or any("stop_gradient(" in str(value) for value in settings.values()):
            # The updates need not follow the loss downhill: where two play a min-max game, no rate may hold.
            return ""
        rate, columns = settings.get("optimizer.learning_rate"), self.run.metrics
        losses = columns["loss"] if "loss" in columns and "epoch" not in columns else ()
        finite = [loss for loss in losses if abs(loss) < float("inf")]
        if not isinstance(rate, int | float) or rate == 0 or (finite and finite[-1] < finite[0]):
            return ""
        advice = "a smaller learning rate may hold (`gdrun lr` finds one)"
        is_scaled = any(name.startswith("data.scale") for name in settings)
        return (
            advice
            if "data.kind" not in settings or is_scaled
            else (f"{advice}; data far from 1 wants `scale: standardize`")
        )

    def _rows(self, verbose: bool) -> list[tuple[str, str]]:
        """Return steps, time, final and best values, and the parameters."""
        info, rows = self.info, []
        if info.steps is not None:
            epochs = "" if info.epochs in (None, info.steps) else f" ({plural_number(info.epochs, 'epoch')})"
            rows.append(("steps", f"{info.steps:,}{epochs}"))
        if isinstance(info.seconds, int | float):  # "nan" is a text
            rows.append(("time", human_seconds(info.seconds)))
        rows += [(name, exact(value)) for name, value in info.final.items() if verbose or name not in _DETAILS]
        if info.best:
            rows.append(("best", exact(info.best)))
        parameters = self.run.known_parameters
        size = sum(array.size for array in parameters.values())
        # Beside a network's weights, the numbers that a formula names are what was asked for.
        few = parameters if size <= FEW_NUMBERS else {name: a for name, a in parameters.items() if not a.ndim}
        rows += [(name, exact(array)) for name, array in list(few.items())[:FEW_NUMBERS]]
        if size > FEW_NUMBERS:
            rows.append(("parameters", f"{size:,} numbers, in parameters.npz"))
        if verbose:
            rows.append(("ran as", f"{info.compile}, {info.precision}, {info.device}"))
        return rows


class SweepEnd(RunEnd):
    """The end of a sweep: its best settings, where training begins to diverge, the picture."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.sweep = summarize(self.run)

    def _outcome(self) -> int:
        counts = self.sweep.counts
        if counts["failed"] or counts["missing"]:
            return ExitCode.INCOMPLETE
        return ExitCode.DIVERGED if counts["diverged"] == counts["total"] else ExitCode.DONE

    def _facts(self) -> dict[str, Any]:
        info, sweep = self.info, self.sweep
        ranked = [asdict(setting) for setting in sweep.ranked]
        for setting in ranked:
            del setting["row"]
        return {
            "trials": sweep.counts,
            "seconds": info.seconds,
            "steps": info.steps,
            "metric": sweep.metric,
            "direction": "maximize" if sweep.maximize else "minimize",
            "axes": list(sweep.axes),
            "best": ranked,
            "edges": [asdict(edge) for edge in sweep.edges],
            "prediction": sweep.prediction,
            "warnings": list(info.warnings),
        }

    def _head(self) -> str:
        counts = self.sweep.counts
        parts = [f"{counts[name]:,} {name}" for name in ("stopped", "diverged", "failed", "missing") if counts[name]]
        seconds = f" in {human_seconds(self.info.seconds)}" if self.info.seconds is not None else ""
        return f": {plural_count(counts['total'], 'trial')}" + (f" ({', '.join(parts)})" if parts else "") + seconds

    def _show(self, *, verbose: bool, picture: bool) -> None:
        titles, rows, _ = sections.best_settings(self.sweep)
        if rows:
            terminal.message(*table([[f"trial {row[0]}", *row[1:]] for row in rows], ["best", *titles[1:]], indent=2))
        titles, medians, _ = sections.seed_medians(self.sweep)
        if 0 < len(medians) <= FEW_NUMBERS:
            terminal.message(*table(medians, titles, indent=2))
        for sentence in sections.edges(self.sweep):
            terminal.message(f"  {sentence}")
        if picture and rows:
            self._show_picture()
        why = next((row.get("why") for row in self.run.trials if row.get("status") == "failed"), None)
        if why:
            terminal.warn(f"a trial failed: {why}")
        if self.sweep.counts["failed"] or self.sweep.counts["missing"]:
            failed = " --failed" if self.sweep.counts["failed"] else ""
            terminal.message(f"gdrun resume {self.run.id}{failed} runs the trials that have no result")

    def _show_picture(self) -> None:
        """Print the sensitivity picture, where there is an axis of numbers to draw it over."""
        with suppress(ImportError, GdrunError):
            from gdrun.plots import sensitivity_figure

            width = min(shutil.get_terminal_size().columns, PICTURE_COLUMNS)
            terminal.message(*terminal.picture(sensitivity_figure(self.run), width, PICTURE_ROWS, "stderr"))
