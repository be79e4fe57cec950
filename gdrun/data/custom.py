"""Data of plugins, checked for its form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from gdrun.config.custom import CustomSection
from gdrun.config.plugin_calls import Caller, as_array, bound_function, checked_name, type_in_words
from gdrun.errors import DataError
from gdrun.text import safe_text

from .dataset import Dataset, dataset
from .section import DataSection, LoadContext


class CustomData(CustomSection, DataSection):
    """Examples that a plugin makes."""

    foreign = True
    part = "data"

    kind: Literal["custom"]

    @property
    def source_name(self) -> str:
        return str(self.entry)

    def examples(self, context: LoadContext) -> Dataset:
        make, caller = bound_function(self)
        return custom_data(lambda: make(context.generator()), caller)


def custom_data(make: Callable[[], Any], caller: Caller) -> Dataset:
    """Return the data set that a plugin makes: {"inputs": {name: array}, "target": array, "weights": array}.

    Raises:
        PluginError: it is something else, or `dataset` refuses it.
    """
    with caller.calling():
        given = make()
    form = 'it must return {"inputs": {name: array}, "target": array}; target and weights may be left out'
    if not isinstance(given, Mapping):
        raise caller.error(f"returned {type_in_words(given)}", form)
    if unknown := sorted(map(str, given.keys() - {"inputs", "target", "weights"})):
        raise caller.error(f"returned the unknown key '{safe_text(unknown[0], limit=60)}'", form)
    inputs = given.get("inputs")
    if not isinstance(inputs, Mapping) or not inputs:
        raise caller.error(f"returned {type_in_words(inputs)} as inputs", form)
    arrays = {
        checked_name(name, caller, "an input"): as_array(value, f"inputs.{name}", caller)
        for name, value in inputs.items()
    }
    target, weights = (
        None if given.get(name) is None else as_array(given[name], name, caller) for name in ("target", "weights")
    )
    try:
        return dataset(arrays, target, weights=weights)
    except DataError as error:
        raise caller.error(f"gives data that does not fit: {error.message}", error.hint) from error
