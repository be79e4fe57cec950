"""`gdrun check-grad CONFIG...`: gradients compared with finite differences."""

from __future__ import annotations

from gdrun.analysis.gradient_checks import check_grad, describe
from gdrun.errors import ExitCode

from . import session, terminal
from .arguments import Device, Json, Targets, split
from .results import Results


def command(configs: Targets, device: Device = None, as_json: Json = False) -> int:
    """Compare gradients: the tape's with finite differences, and those that a config writes by hand with the tape's.

    Exit code 4 where one is wrong.
    """
    sources, overrides = split(configs)
    results = Results("configs", as_json=as_json)
    for source in sources:
        try:
            with session.quiet():
                check = check_grad(source, overrides, device=device)
        except Exception as error:  # a bug too: the others are to be checked
            results.add_error(error, {"config": source, "ok": False})
            continue
        results.add(ExitCode.DONE if check.ok else ExitCode.EXPECTATION, check.as_dict())
        prefix = f"{check.config}: " if len(sources) > 1 else ""
        if not as_json:
            verdicts = ("ok    " if row.ok else "WRONG " for row in check.comparisons)
            terminal.data(*(f"{v} {prefix}{describe(row)}" for v, row in zip(verdicts, check.comparisons, strict=True)))
    return results.finish()
