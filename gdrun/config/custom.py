"""Common part of the sections of kind `custom`: a name that is looked up among the plugins, and options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, PrivateAttr, ValidationInfo, WithJsonSchema, field_validator

from gdrun.errors import Problem
from gdrun.plugin import Part
from gdrun.suggest import did_you_mean, listed

from .plugins import Entry, Plugins
from .section import Section, refusal

PluginName = Annotated[str, Field(min_length=1, max_length=64)]
AnyValue = Annotated[Any, WithJsonSchema({"title": "whatever the plugin allows"})]


@dataclass(frozen=True)
class PluginContext:
    """Validation context of an experiment: the plugins among which its sections of kind `custom` are looked up.

    Args:
        directory: the config's folder; a run directory holds a copy of its plugins.
    """

    plugins: Plugins
    directory: Path

    def find(self, part: Part, name: str) -> Entry:
        """Return the part that is registered as `name`. Raises: PydanticCustomError, if there is none."""
        entry = self.plugins.find(part, name)
        if entry is not None:
            return entry
        if self.plugins.loaded:
            message = f"no plugin has a {part} '{name}'"
            loaded = f"loaded: {listed([plugin.short for plugin in self.plugins.loaded])}"
            names = self.plugins.names(part)
            near = did_you_mean(name, names, allowed=f"their kinds of {part}") or f"they bring no {part} at all"
            hint = f"{near} ({loaded})"
        else:
            message = f"the {part} '{name}' is of a plugin, and none is loaded"
            hint = "give the plugin that brings it: --plugin FILE_OR_MODULE"
            is_run = (self.directory / "run.json").is_file()
            if is_run and (copies := sorted((self.directory / "source" / "plugins").glob("*.py"))):
                hint += f"; the run's own copy is {copies[0]}"
        raise refusal(Problem(message, hint=hint))


class CustomSection(Section):
    """A part of an experiment that a plugin brings. Without a PluginContext, name and options are not looked up."""

    part: ClassVar[Part]
    """The part that it is registered as."""

    name: PluginName
    """The name that the plugin registers it under."""
    options: dict[str, AnyValue] = Field(default_factory=dict, validate_default=True)
    """Its settings, checked by the plugin's own pydantic model."""
    _entry: Any = PrivateAttr(None)

    @property
    def entry(self) -> Entry:
        """The registration that `name` stands for."""
        return self._entry

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str, info: ValidationInfo) -> str:
        if info.context is not None:
            info.context.find(cls.part, name)
        return name

    @field_validator("options")
    @classmethod
    def _check_options(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """Return the options with the plugin's defaults; they are checked even where other keys are wrong."""
        if info.context is None or "name" not in info.data:
            return options
        return info.context.find(cls.part, info.data["name"]).complete(options)

    def model_post_init(self, context: Any) -> None:
        """Look up the registration."""
        if context is not None:
            self._entry = context.find(self.part, self.name)
