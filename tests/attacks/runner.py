"""Meet every case in this process, which imports no TensorFlow, and print a JSON line for each.

    python -m tests.attacks.runner

`seconds` is processor time; `megabytes` is how far the process's peak grew; `events` are audit events (PEP 578) that
nothing hostile may cause: a program started, a connection made, code compiled.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gdrun.errors import GdrunError
from gdrun.experiment.experiment import Experiment

from . import places, texts
from .case import Case

SECONDS = 60
HANGS_AFTER_SECONDS = 60
_BAD = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "socket.connect",
    "pickle.find_class",
    "exec",
)

_events: list[str] = []
_listening = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _listening and event in _BAD:
        # Modules are executed when they are first imported, dataclasses when they are made; only these have such names.
        name = getattr(arguments[0], "co_filename", "") if event == "exec" else ""
        if not (event == "exec" and (name.endswith(".py") or name.startswith("<frozen") or _is_ours())):
            _events.append(f"{event} {arguments!r:.100}")


def _is_ours() -> bool:
    """Return whether a module is being imported."""
    frame: Any = sys._getframe()
    while frame is not None:
        code = frame.f_code
        if code.co_name in ("_call_with_frames_removed", "exec_module"):
            return True
        frame = frame.f_back
    return False


def meet(case: Case) -> dict[str, Any]:
    """Return what came of a case."""
    global _listening
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.process_time()
    _events.clear()
    outcome, said, code = "accepted", "", 0
    with tempfile.TemporaryDirectory(prefix="gdrun-") as folder:
        _listening = True
        faulthandler.dump_traceback_later(HANGS_AFTER_SECONDS, exit=True)
        try:
            case.meet(Path(folder))
        except GdrunError as error:
            outcome, said, code = "refused", error.message, int(error.exit_code)
        except BaseException as error:
            outcome, said = "a bug", f"{type(error).__name__}: {error}"
        faulthandler.cancel_dump_traceback_later()
        _listening = False
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "name": case.name,
        "outcome": outcome,
        "code": code,
        "said": said[:2000],
        "seconds": round(time.process_time() - began, 3),
        # macOS counts bytes, Linux kilobytes.
        "megabytes": round((after.ru_maxrss - before.ru_maxrss) / 2 ** (20 if sys.platform == "darwin" else 10), 1),
        "events": list(_events),
    }


def main() -> None:
    """Meet them all."""
    sys.addaudithook(_hook)
    # What is imported once is not what a case costs.
    for module in (
        "gdrun.experiment.loading",
        "gdrun.formula.evaluate",
        "gdrun.rundir.verifying",
        "gdrun.rundir.store",
    ):
        __import__(module)
    # Building the sections' validators evaluates annotations.
    Experiment.model_rebuild()
    for case in (*texts.cases(), *places.cases()):
        print(json.dumps(meet(case)), flush=True)
    assert "tensorflow" not in sys.modules


if __name__ == "__main__":
    main()
