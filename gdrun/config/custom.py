"""What every part of kind `custom` has: a name that is looked up among the plugins, and options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, PrivateAttr, WithJsonSchema

from .section import Section

if TYPE_CHECKING:
    from .plugins import Entry

PluginName = Annotated[str, Field(min_length=1, max_length=64)]
AnyValue = Annotated[Any, WithJsonSchema({"title": "whatever the plugin allows"})]


class CustomSection(Section):
    """What every part that a plugin brings has."""

    name: PluginName
    """What the plugin calls it."""
    options: dict[str, AnyValue] = Field(default_factory=dict)
    """Its settings, checked by the plugin's own model."""
    _entry: Any = PrivateAttr(None)

    @property
    def entry(self) -> Entry:
        """What `name` stands for."""
        return self._entry

    def bound(self, entry: Entry, options: dict[str, Any]) -> CustomSection:
        """Return the section with what it stands for and all its options."""
        section = self.model_copy(update={"options": options})
        section._entry = entry
        return section
