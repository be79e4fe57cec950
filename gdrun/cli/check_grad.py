"""`gdrun check-grad CONFIG...`: whether gradients are right."""

from __future__ import annotations

from gdrun.errors import ExitCode

from . import session, terminal
from .arguments import Device, Json, Targets, split


def command(configs: Targets, device: Device = None, as_json: Json = False) -> int:
    """Compare gradients: the tape's with finite differences, and those that a config writes by hand with the tape's.

    Exit code 4 where one is wrong.
    """
    from gdrun.analysis.gradient_checks import check_grad, describe

    from .output import print_json

    sources, overrides = split(configs)
    with session.quiet():
        found = [check_grad(source, overrides, device=device) for source in sources]
    code = ExitCode.DONE if all(check.ok for check in found) else ExitCode.EXPECTATION
    if as_json:
        print_json({"configs": [check.as_dict() for check in found], "exit_code": int(code)})
        return code
    for check in found:
        for row in check.comparisons:
            mark = "ok    " if row.ok else "WRONG "
            prefix = f"{check.config}: " if len(found) > 1 else ""
            terminal.data(f"{mark} {prefix}{describe(row)}")
    return code
