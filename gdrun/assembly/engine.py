"""Choice of the engine: XLA or a graph, one loop or the host's. `assemble` has the rules for lanes.

Each choice is a rule of the config and the device, never of a measured time: the same config gives the same bits. The
bounds come from measurements; docs/log.md has them, benchmarks/families.py shows whether they choose well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from gdrun.engine.loop import Compile
from gdrun.engine.state import Moment
from gdrun.experiment.formulas import loop_formulas
from gdrun.formula.parse import parse
from gdrun.formula.table import functions_slow_in_xla, functions_without_xla
from gdrun.optimizers.base import Update

from .parts import Parts

_MANY_TENSORS = 24
_FEW_STEPS = 1000
"""XLA takes a few tenths of a second to compile what belongs to one trained tensor, and saves it some 300 us a step."""


@dataclass(frozen=True)
class Engine:
    """Way in which steps are run."""

    compile: Compile
    reason: str
    """A phrase: why this mode."""
    host_loop: bool = False
    """Loop on the host over compiled steps."""
    warnings: tuple[str, ...] = ()


def choose_engine(parts: Parts, optimizer: Any, metrics: Mapping[str, Any], *, total_steps: int) -> Engine:
    """Return how the steps of an experiment are run.

    Args:
        optimizer, metrics: as they are built of `parts`.
    """
    experiment, convolves = parts.experiment, parts.objective.model.convolutional
    if experiment.compile in ("graph", "eager"):
        return Engine(experiment.compile, "compile says so")  # type: ignore[arg-type]
    used: frozenset[str] = frozenset().union(*(parse(text).functions for text in loop_formulas(experiment)))
    missing = sorted(functions_without_xla(used))
    if not missing and (operation := _operation_without_xla(parts, optimizer, metrics)):
        missing = [f"the plugin's {operation}"]
    if missing:
        names = ", ".join(missing)
        warning = f"{names} cannot be compiled by XLA; running as a graph instead"
        return Engine("graph", f"XLA cannot compile {names}", warnings=(warning,))
    if experiment.compile == "xla":
        return Engine("xla", "compile says so", host_loop=convolves)
    if "CPU" not in parts.setting.learning_rate.device:
        return Engine("xla", "the fastest on a GPU", host_loop=convolves)
    if convolves:
        return Engine("graph", "XLA is slower at convolutions on a CPU")
    if slow := sorted(functions_slow_in_xla(used)):
        return Engine("graph", f"XLA is slower at {', '.join(slow)} on a CPU")
    count = len(parts.state.parameters)
    if count > _MANY_TENSORS and total_steps < _FEW_STEPS:
        return Engine("graph", f"compiling {count} trained tensors by XLA takes longer than {total_steps:,} steps")
    return Engine("xla", "the fastest for this config")


def _operation_without_xla(parts: Parts, optimizer: Any, metrics: Mapping[str, Any]) -> str | None:
    """Return the name of an operation in a plugin's code that XLA has no kernel for, or None.

    Nothing is run: a step is traced and translated.
    """
    if all(path[0] == "data" for path, _ in parts.experiment.custom_parts()):
        return None
    objective, state = parts.objective, parts.state

    def step() -> list[tf.Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(state.parameters)
            evaluation = objective.evaluate(
                state.parameters, state.model_state, parts.setting, parts.data, Moment.at(0), training=True
            )
        results: list[Any] = [metric(evaluation, parts.data.target) for metric in metrics.values()]
        gradients = tape.gradient(evaluation.loss, state.parameters)
        if isinstance(optimizer, Update):
            memory, rate = optimizer.initial_state(state.parameters), tf.constant(0.0, tf.float64)
            results.append(optimizer.apply(memory, gradients, state.parameters, rate))
        return [value for value in tf.nest.flatten([results, gradients, evaluation.loss]) if value is not None]

    try:
        tf.function(step, autograph=False, jit_compile=True).experimental_get_compiler_ir()(stage="hlo")
    except (ValueError, tf.errors.OpError) as error:
        text = str(error)
        if "unsupported operations" in text:
            return text.partition("No registered '")[2].partition("'")[0] or "an operation"
        # Any other mistake is raised with a better message when the first step is tried.
    return None
