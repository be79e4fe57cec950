"""`gdrun evaluate RUN [DATA]`: how good the trained model is."""

from __future__ import annotations

from gdrun.errors import ExitCode
from gdrun.text import human_number

from . import session, terminal
from .arguments import Device, Json, Plugins, RunsDir
from .predict import Examples, RunArgument


def command(
    run: RunArgument,
    data: Examples = None,
    runs_dir: RunsDir = None,
    device: Device = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> int:
    """Print a finished run's loss and metrics, on its own data or on other examples with a target."""
    from gdrun.rundir.run import load_run
    from gdrun.training.predict import evaluate, load_trained, read_examples

    from .output import print_json
    from .tables import table

    trained = load_run(run, runs_dir)
    with session.quiet():
        prepared = load_trained(trained, device=device, plugins=session.load_plugins(plugins))
        examples = read_examples(prepared, data, target=True) if data else None
        values = evaluate(prepared, trained, examples)
    if as_json:
        print_json({"run": str(trained.directory), "values": values})
    else:
        rows = [[name, human_number(value, digits=9)] for name, value in values.items()]
        terminal.data(*table(rows))
    return ExitCode.DONE
