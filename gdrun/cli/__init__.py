"""The command line: one small file per command, each a thin face of one library function.

Only this package prints, catches and exits. stdout is data, stderr is talk.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one gdrun command and return its exit code (see `gdrun.errors.ExitCode`).

    Args:
        arguments: what follows the program's name; None takes them from `sys.argv`.
    """
    from gdrun.cli.app import run  # typer takes 0.1 s: not paid by who only imports this package

    return run(arguments)
