"""The command line: a small file for each command, which parses, calls a library function and prints its result.

Only this package prints, catches and exits. Results go to stdout, messages to stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one gdrun command and return its exit code (see `gdrun.errors.ExitCode`).

    Args:
        arguments: what follows the program's name. None takes them from `sys.argv`, as the installed command does; then
            the process may end here instead of returning.
    """
    from .app import run  # typer takes 0.1 s: not paid by who only imports this package

    code = run(arguments)
    if arguments is None and "tensorflow" in sys.modules:
        _leave(code)
    return code


def _leave(code: int) -> None:
    """End the process at once, after what is registered to run at its end.

    Python would take TensorFlow's modules apart first, one by one: half a second to two for nothing, in which a Ctrl-C
    seems not to be heard.
    """
    import atexit
    import os
    import threading

    from . import terminal

    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if all(thread.daemon for thread in others):
        atexit._run_exitfuncs()
        terminal.flush()
        os._exit(code)
