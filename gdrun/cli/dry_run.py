"""What `gdrun train --dry-run` shows: parameters, memory, steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.text import Text

from gdrun.text import human_bytes, plural

from . import terminal
from .tables import table

if TYPE_CHECKING:
    from gdrun.training.prepare import Prepared

MOST_PARAMETERS = 40
"""Lines of the table of parameters."""


def describe(prepared: Prepared) -> dict[str, Any]:
    """Return what `--json` says of an experiment that is built but not run."""
    import tensorflow as tf

    from gdrun.training.train import plan

    chosen, built = plan(prepared), prepared.built
    trained = set(built.objective.trainable_names)
    values = built.objective.named(built.state.parameters, built.setting)
    parameters = [
        {"name": name, "shape": list(value.shape), "size": int(np.prod(value.shape)), "trained": name in trained}
        for name, value in values.items()
    ]
    state, data = (_size(tf.nest.flatten(tree)) for tree in (built.state, built.data))
    return {
        "config": prepared.loaded.source,
        "name": chosen.name,
        "description": chosen.description,
        "steps": chosen.total_steps,
        "steps_per_epoch": chosen.steps_per_epoch,
        "epochs": chosen.total_epochs,
        "num_parameters": chosen.num_parameters,
        "parameters": parameters,
        "state_bytes": state,
        "data_bytes": data,
        "num_examples": built.num_examples,
        "device": chosen.device,
        "compile": chosen.compile,
        "precision": chosen.precision,
    }


def show(plan: dict[str, Any]) -> None:
    """Print it on stderr."""
    terminal.say(Text.assemble((plan["name"], "bold"), f" {plan['description']}".rstrip()))
    per_epoch = f" ({plural(plan['steps_per_epoch'], 'step')} an epoch)" if plan["steps_per_epoch"] > 1 else ""
    rows = [
        ("steps", f"{plan['steps']:,}{per_epoch}"),
        ("runs as", f"{plan['compile']}, {plan['precision']}, {plan['device']}"),
        ("data", "none" if plan["num_examples"] is None else _data(plan)),
        ("state", f"{human_bytes(plan['state_bytes'])}, with the optimizer's"),
        ("parameters", f"{plan['num_parameters']:,} trained"),
    ]
    parameters = plan["parameters"]
    for parameter in parameters[:MOST_PARAMETERS]:
        shape = "x".join(str(size) for size in parameter["shape"]) or "number"
        rows.append((f"  {parameter['name']}", shape + ("" if parameter["trained"] else ", fixed")))
    if len(parameters) > MOST_PARAMETERS:
        rows.append(("  ...", f"and {len(parameters) - MOST_PARAMETERS} more"))
    for line in table(rows, indent=2):
        terminal.say(line)


def _data(plan: dict[str, Any]) -> str:
    return f"{plural(plan['num_examples'], 'example')}, {human_bytes(plan['data_bytes'])}"


def _size(tensors: list[Any]) -> int:
    return sum(int(np.prod(value.shape)) * value.dtype.size for value in tensors if hasattr(value, "dtype"))
