"""Compiled programs, kept from one batch of a search to the next: compiling takes longer than most batches train.

What decides about a program is what would put two trials into one group, so that trials of one batch may run in the
program of another as they would beside each other. Groups whose data differs are left out: a program may hold parts of
it, such as the validation set.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gdrun.training.prepare import plugin_hashes

from .grouping import switches

if TYPE_CHECKING:
    from gdrun.engine.lane_drive import LaneProgram

    from .grouping import Group
    from .inputs import GroupInputs
    from .trials import SweepSpec

MOST = 8
"""Programs that are kept; the one that was not used for longest goes first."""

_kept: OrderedDict[Any, LaneProgram] = OrderedDict()


def kept_program(spec: SweepSpec, group: Group, inputs: GroupInputs, make: Callable[[], LaneProgram]) -> LaneProgram:
    """Return the program of an earlier batch of the same search, if it is the one that `make` would return.

    Args:
        group: trials of a batch.
        inputs: what they start from.
    """
    if spec.search is None or "parts" in group.changes:
        return make()
    key = _key(spec, group, inputs)
    program = _kept.pop(key, None) or make()
    _kept[key] = program
    while len(_kept) > MOST:
        _kept.popitem(last=False)
    return program


def _key(spec: SweepSpec, group: Group, inputs: GroupInputs) -> tuple[Any, ...]:
    """What decides about a program: the config, the values that are built into it, and the form of its arguments."""
    built, lanes = inputs.built, inputs.lanes
    values = spec.values(int(group.trials[0]))
    fixed = [repr(value) for value, change in zip(values, group.changes, strict=True) if change == "program"]
    switched = tuple(switches(spec, group))
    everywhere = tf.nest.map_structure(lambda _: True, lanes.state)
    flags = tf.nest.flatten((everywhere, lanes.setting_varies, lanes.data_varies))
    leaves = tf.nest.flatten((lanes.state, lanes.setting, lanes.data))
    forms = [_form(leaf, varies) for leaf, varies in zip(leaves, flags, strict=True)]
    names = (*lanes.setting.constants, *lanes.setting.optimizer)
    files = built.datasets.files if built.datasets else {}
    config = hashlib.sha256(spec.config_text().encode()).hexdigest()
    where = (str(spec.base.directory), repr(sorted(files.items())), repr(plugin_hashes(spec.base)))
    return config, *where, group.changes, tuple(fixed), switched, names, tuple(forms), lanes.own_order


def _form(leaf: tf.Tensor | None, varies: bool) -> Any:
    # The number of lanes is not part of it: a program has a loop for each.
    return None if leaf is None else (leaf.dtype.name, varies, tuple(leaf.shape[1:] if varies else leaf.shape))
