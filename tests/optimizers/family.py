"""The members of the family of optimizers, for tests that run over all of them."""

from __future__ import annotations

from gdrun.optimizers.functional_keras import KerasUpdate
from gdrun.optimizers.keras import KerasOptimizer
from tests.families import members

MEMBERS = members("optimizers")
KERAS = {kind: section for kind, section in MEMBERS.items() if issubclass(section, KerasOptimizer)}


def keras_update(kind, *, settings=None, per_lane=None, parameter_names=None):
    """Return the update of a Keras optimizer with settings that Keras's constructor takes."""
    section = KERAS[kind]
    return KerasUpdate(
        section.keras_class(),
        settings=settings or {},
        per_lane=per_lane or {},
        counts=section.counts,
        parameter_names=parameter_names,
    )
