"""`kind: custom`: the one open arm of each union, which looks in the table that plugins have filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from gdrun.losses.sections import LossSection

from .base import Bounds, Identifier, Section, default
from .unions import Check

if TYPE_CHECKING:
    from .plugins import Entry

_ENTRY = "_entry"

PluginName = Annotated[str, Bounds(min_length=1, max_length=64)]
AnyValue = Annotated[Any, Check(lambda value: value, "whatever the plugin allows", {})]


class CustomSection(Section):
    """What every part that a plugin brings has."""

    name: PluginName
    """What the plugin calls it."""
    options: dict[str, AnyValue] = default(dict)
    """Its settings, checked by the plugin's own model."""

    @property
    def entry(self) -> Entry:
        """What `name` stands for."""
        return vars(self)[_ENTRY]

    def bound(self, entry: Entry, options: dict[str, Any]) -> CustomSection:
        """Return the section with what it stands for and all its options."""
        return self.model_copy(update={_ENTRY: entry, "options": options})


class CustomModel(CustomSection):
    """A model that a plugin makes."""

    kind: Literal["custom"]


class CustomLoss(CustomSection, LossSection):
    """A loss that a plugin computes of target and prediction."""

    kind: Literal["custom"]
    reduction: Literal["mean", "sum"] = "mean"
    """Over the examples, where the plugin gives a number an example."""


class CustomMetric(CustomSection):
    """A metric that a plugin computes of target and prediction, over all examples."""

    kind: Literal["custom"]
    name: Identifier
    """What the plugin calls it, and what it is called in rows and summaries."""
