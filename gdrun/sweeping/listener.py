"""What hears how a sweep goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gdrun.rundir.run import Run


class SweepListener:
    """Hears how a sweep goes; the ground of those that show it. Every method does nothing here.

    Methods are called from the process that the sweep was started in, none of them at the same time as another.
    """

    def planned(self, total: int, groups: Sequence[Any]) -> None:
        """The trials are known, and how they are grouped; nothing has run.

        Args:
            total: trials that are going to run; of a search, at most.
            groups: what runs together, each with a `len`; empty for a search.
        """

    def progress(
        self,
        done: int,
        diverged: int,
        best_value: float | None,
        best_trial: int | None,
        total: int,
        seconds: float,
        steps_per_second: float | None = None,
    ) -> None:
        """Some trials went on.

        Args:
            done: trials that have a result, those taken over from before included.
            diverged: how many of these diverged.
            best_value, best_trial: the best so far and whose it is; None while there is none.
            total: all trials.
            seconds: since the sweep began.
            steps_per_second: of all lanes together; None while unknown.
        """

    def warned(self, message: str) -> None:
        """Something is odd and does not end the sweep."""

    def finished(self, run: Run) -> None:
        """The sweep is over and its directory complete."""

    def close(self) -> None:
        """Nothing more will come, however the sweep ended."""
