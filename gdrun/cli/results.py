"""Results of commands over several configs, runs or sweeps: shown as they come, as JSON at the end; the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from gdrun.rundir.run import Run

from . import failures, terminal
from .output import print_json
from .summary import summary_of


class Results:
    """Results and exit codes so far, in order.

    Args:
        key: of the results in the JSON document: "runs", "sweeps", "configs".
        as_json: print the document at the end, and no paths of run directories before.
    """

    def __init__(self, key: str, *, as_json: bool) -> None:
        self.key = key
        self.as_json = as_json
        self.codes: list[int] = []
        self._facts: list[dict[str, Any]] = []

    @property
    def is_interrupted(self) -> bool:
        """True where a signal ended the last one."""
        return self.codes[-1] in failures.INTERRUPTS

    def add(self, code: int, facts: Mapping[str, Any]) -> None:
        """Add what `--json` says of one."""
        self.codes.append(code)
        self._facts.append(dict(facts))

    def add_error(self, error: Exception, facts: Mapping[str, Any]) -> None:
        """Show the error that ended one, and add it; `facts` stand before it."""
        self.add(failures.show_error(error), {**facts, "error": failures.describe(error)})

    def add_run(
        self,
        run: Run,
        facts: Mapping[str, Any],
        *,
        quiet: bool,
        label: str = "",
        verbose: bool = False,
        kept: bool = True,
    ) -> None:
        """Show a run or a sweep that has ended, and add it; `facts` stand before what its summary says.

        Args:
            quiet: do not show it.
            label, verbose: as in `RunEnd.show`.
            kept: its directory stays, and goes to stdout.
        """
        end = summary_of(run)
        self.add(end.exit_code, {**facts, **end.as_dict()})
        if not quiet:
            end.show(label=label, verbose=verbose)
        if kept and not self.as_json:
            with suppress(terminal.OutputClosed):
                terminal.data(str(run.directory))

    def finish(self) -> int:
        """Print the JSON document, where that was asked for, and return the exit code of all."""
        code = failures.worst(self.codes)
        if self.as_json:
            print_json({self.key: self._facts, "exit_code": int(code)})
        return code
