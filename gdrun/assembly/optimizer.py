"""Update of the trained parameters by `optimizer:`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import tensorflow as tf

from gdrun.config.located import at_config_path
from gdrun.engine.objective import Objective
from gdrun.optimizers.base import OptimizerSection, Parameters, PointUpdate, Update


def build_optimizer(
    section: OptimizerSection, objective: Objective, per_lane: Mapping[str, tf.Tensor] = MappingProxyType({})
) -> Update | PointUpdate:
    """Return the update of the trained parameters of `objective`.

    Args:
        per_lane: settings of `section` that differ between lanes, as scalar tensors; the update can then only
            be used in the trace that they belong to.
    Raises:
        ConfigError: located below `optimizer`.
    """
    initial = objective.model.initial
    complex_dtype = tf.complex64 if objective.dtype == tf.float32 else tf.complex128
    specs = {}
    for name in objective.trainable_names:
        raw = initial[name].raw
        specs[name] = tf.TensorSpec(raw.shape, complex_dtype if raw.dtype.kind == "c" else objective.dtype)
    with at_config_path("optimizer"):
        return section.build(Parameters(specs, objective.dtype, objective.constants, objective.ops, per_lane))
