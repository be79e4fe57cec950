"""Common part of the sections of kind `custom`: a name that is looked up among the plugins, and options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, PrivateAttr, WithJsonSchema

from .section import Section

if TYPE_CHECKING:
    from .plugins import Entry

PluginName = Annotated[str, Field(min_length=1, max_length=64)]
AnyValue = Annotated[Any, WithJsonSchema({"title": "whatever the plugin allows"})]


class CustomSection(Section):
    """A part of an experiment that a plugin brings."""

    name: PluginName
    """The name that the plugin registers it under."""
    options: dict[str, AnyValue] = Field(default_factory=dict)
    """Its settings, checked by the plugin's own pydantic model."""
    _entry: Any = PrivateAttr(None)

    @property
    def entry(self) -> Entry:
        """The registration that `name` stands for; set once the plugins are loaded."""
        return self._entry

    def bound(self, entry: Entry, options: dict[str, Any]) -> CustomSection:
        """Return the section with its registration and all options, defaults included."""
        section = self.model_copy(update={"options": options})
        section._entry = entry
        return section
