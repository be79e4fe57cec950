"""Phases of an experiment: partial configs that are trained one after the other, each merged over the whole file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gdrun.config.forms import Form
from gdrun.config.merge import merge
from gdrun.config.source import Node, Span
from gdrun.errors import Problem

from .experiment import PHASE_KEYS, Experiment


def phase_roots(root: Node, form: Form) -> list[Node]:
    """Return the config of each phase of `root`; `root` itself where it has none, or where they are no mappings.

    The first one has the list of phases too.
    """
    phases = root.child("phases")
    if phases is None or not isinstance(phases.value, list) or not all(phase.is_mapping for phase in phases.value):
        return [root]
    assert isinstance(root.value, dict)
    keys = root.keys or {}
    base = Node({key: value for key, value in root.value.items() if key != "phases"}, root.span, keys)
    roots = [merge(base, _own(phase), form) for phase in phases.value] or [base]
    assert isinstance(roots[0].value, dict)
    return [replace(roots[0], value={**roots[0].value, "phases": phases}), *roots[1:]]


def _own(phase: Node) -> Node:
    """Return what a phase may change; `phase_problems` refuses the rest."""
    assert isinstance(phase.value, dict)
    return replace(phase, value={key: value for key, value in phase.value.items() if key in PHASE_KEYS})


def phase_problems(experiments: Sequence[Experiment]) -> Iterator[Problem]:
    """Yield what is wrong with the phases of an experiment, each of which is right by itself; their first one is it."""
    first = experiments[0]
    if "phases" in first.model_fields_set and not first.phases:
        yield Problem(
            "phases has no phase", ("phases",), "leave it out, or give a list: phases: [{schedule: {steps: 100}}]"
        )
    for number, phase in enumerate(first.phases):
        for key in phase:
            if key not in PHASE_KEYS:
                hint = f"write it above phases, for all of them; a phase has {', '.join(PHASE_KEYS)}"
                yield Problem(f"a phase cannot have its own '{key[:64]}'", ("phases", number, key), hint, key=True)
    for number, experiment in enumerate(experiments[1:], 1):
        if _untrained(experiment.model.model_dump()) != _untrained(first.model.model_dump()):
            of = number if "model" in first.phases[number] else 0
            hint = "leave it out of the phase, but for what is trainable"
            yield Problem("all phases have one model", ("phases", of, "model"), hint, key=True)


def unseen_problems(changes: Sequence[tuple[Node, Span]], roots: Sequence[Node]) -> Iterator[Problem]:
    """Yield overrides, or axes of a trial, that no phase sees, since each has a value of its own there.

    Args:
        changes: (value, where its key stands).
        roots: the config of each phase.
    """
    if roots[0].child("phases") is None:
        return
    seen = {id(leaf) for root in roots for leaf in root.leaves()}
    for value, span in changes:
        leaves = {id(leaf) for leaf in value.leaves() if leaf.value is not None}
        if leaves and not leaves & seen:
            key = span.source.text[span.start : span.end]
            yield span.problem(f"each phase has its own '{key[:64]}'", f"give one of them another: phases.0.{key}")


def _untrained(value: Any) -> Any:
    """Return the settings of a model without those that say what is trained."""
    if isinstance(value, dict):
        return {key: _untrained(item) for key, item in value.items() if key != "trainable" or isinstance(item, dict)}
    return [_untrained(item) for item in value] if isinstance(value, list | tuple) else value
