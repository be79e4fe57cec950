"""`gdrun train --dry-run`: parameters, memory and steps of experiments that are built but not run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.text import Text

from gdrun.text import human_bytes, plural
from gdrun.training.listener import plan_of
from gdrun.training.prepare import Prepared

from . import terminal
from .output import print_json
from .tables import table

MOST_PARAMETERS = 40
"""Lines of the table of parameters."""


def describe(prepared: Prepared) -> dict[str, Any]:
    """Return what `--json` says of an experiment that is built but not run."""
    import tensorflow as tf

    chosen, built = plan_of(prepared, None), prepared.built
    last = prepared.last.built
    lengths = list(dict.fromkeys(phase.built.steps_per_epoch for phase in (prepared, *prepared.phases)))
    trained = set(built.objective.trainable_names)
    values = built.objective.named(built.state.parameters, built.setting)
    parameters = [
        {"name": name, "shape": list(value.shape), "size": int(np.prod(value.shape)), "trained": name in trained}
        for name, value in values.items()
    ]
    state, data = (
        sum(int(np.prod(value.shape)) * value.dtype.size for value in tf.nest.flatten(tree) if hasattr(value, "dtype"))
        for tree in (built.state, built.data)
    )
    return {
        "config": prepared.loaded.source,
        "name": chosen.name,
        "description": chosen.description,
        "steps": chosen.total_steps,
        "steps_per_epoch": lengths if len(lengths) > 1 else lengths[0],
        "rows": _num_rows(prepared),
        "record_every": built.rows.every if isinstance(built.rows.every, int | str) else list(built.rows.every),
        "epochs": last.rows.epochs.done(last.total_steps),
        "num_parameters": chosen.num_parameters,
        "parameters": parameters,
        "state_bytes": state,
        "data_bytes": data,
        "num_examples": built.num_examples,
        "device": chosen.device,
        "compile": chosen.compile,
        "why": built.engine.reason,
        "precision": chosen.precision,
    }


MOST_COUNTED_STEPS = 10_000_000
"""Of longer runs the rows are not counted: that makes an array of them."""


def _num_rows(prepared: Prepared) -> int | None:
    """Return the number of rows if no rule ends the run early, the first one included; None of very long runs."""
    if prepared.last.built.total_steps > MOST_COUNTED_STEPS:
        return None
    phases = (prepared.built, *(phase.built for phase in prepared.phases))
    return 1 + sum(len(built.rows.rows(built.begin.step, built.rows.total_steps)) for built in phases)


def show_all(prepared: Sequence[Prepared], *, as_json: bool) -> None:
    """Print what would run, on stderr or as JSON."""
    plans = [describe(experiment) for experiment in prepared]
    if as_json:
        print_json({"plans": plans})
    else:
        for described in plans:
            _show(described)


def _show(plan: dict[str, Any]) -> None:
    lengths = np.atleast_1d(plan["steps_per_epoch"]).tolist()
    counts = [*map(str, lengths[:-1]), plural(lengths[-1], "step")]
    per_epoch = f" ({', then '.join(counts)} an epoch)" if lengths != [1] else ""
    data = "none"
    if plan["num_examples"] is not None:
        data = f"{plural(plan['num_examples'], 'example')}, {human_bytes(plan['data_bytes'])}"
    rows = [
        ("steps", f"{plan['steps']:,}{per_epoch}"),
        *([("rows", f"{plan['rows']:,} (record.every: {plan['record_every']})")] if plan["rows"] is not None else []),
        ("runs as", f"{plan['compile']}, {plan['precision']}, {plan['device']}"),
        ("why", f"{plan['compile']}: {plan['why']}"),
        ("data", data),
        ("state", f"{human_bytes(plan['state_bytes'])}, with the optimizer's"),
        ("parameters", f"{plan['num_parameters']:,} trained"),
    ]
    for parameter in plan["parameters"][:MOST_PARAMETERS]:
        shape = "x".join(str(size) for size in parameter["shape"]) or "number"
        rows.append((f"  {parameter['name']}", shape if parameter["trained"] else f"{shape}, fixed"))
    if len(plan["parameters"]) > MOST_PARAMETERS:
        rows.append(("  ...", f"and {len(plan['parameters']) - MOST_PARAMETERS} more"))
    description = f" {plan['description']}" if plan["description"] else ""
    terminal.message(Text.assemble((plan["name"], "bold"), description), *table(rows, indent=2))
