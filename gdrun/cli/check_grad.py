"""`gdrun check-grad CONFIG...`: gradients compared with finite differences."""

from __future__ import annotations

from gdrun.analysis.gradient_checks import check_grad, describe
from gdrun.errors import ExitCode

from . import session, terminal
from .arguments import Device, Json, Targets, split
from .output import print_json


def command(configs: Targets, device: Device = None, as_json: Json = False) -> int:
    """Compare gradients: the tape's with finite differences, and those that a config writes by hand with the tape's.

    Exit code 4 where one is wrong.
    """
    sources, overrides = split(configs)
    with session.quiet():
        checks = [check_grad(source, overrides, device=device) for source in sources]
    code = ExitCode.DONE if all(check.ok for check in checks) else ExitCode.EXPECTATION
    if as_json:
        print_json({"configs": [check.as_dict() for check in checks], "exit_code": int(code)})
        return code
    for check in checks:
        prefix = f"{check.config}: " if len(checks) > 1 else ""
        for row in check.comparisons:
            terminal.data(f"{'ok    ' if row.ok else 'WRONG '} {prefix}{describe(row)}")
    return code
