"""JSON Schema of the language, for editors: pydantic's, with short forms, and a variant for configs that extend."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from gdrun.config.custom import CustomSection
from gdrun.config.forms import meaning, summary
from gdrun.config.plugins import NO_PLUGINS, Plugins
from gdrun.config.section import LATER_MEMBERS, Section

from .experiment import Experiment

_PART = "Part"
_EXTENDS = {"type": "string", "description": "A config that this one extends, by its path from here."}


_REFERENCE = "#/definitions/{model}"


def schema(plugins: Plugins = NO_PLUGINS) -> dict[str, Any]:
    """Return the JSON Schema (draft-07, which editors know) of a config file; of plugins, with their names and options.

    Short forms are allowed as in the language itself. A file that extends another or has phases may leave out required
    keys. The schema checks neither formulas nor settings against each other; `gdrun validate` does.
    """
    whole = Experiment.model_json_schema(schema_generator=_Generator, ref_template=_REFERENCE)
    definitions: dict[str, Any] = whole.pop("$defs")
    definitions = {name: _with_members(definition, definitions) for name, definition in definitions.items()}
    definitions["Experiment"] = whole
    whole["properties"]["phases"]["items"] = {"$ref": f"#/definitions/Experiment{_PART}"}
    whole["properties"] = {"extends": _EXTENDS, **whole["properties"]}
    for section in CustomSection.__subclasses__():
        _add_plugins(definitions, section, plugins)
    definitions |= {name + _PART: _partial(definition) for name, definition in definitions.items()}
    for definition in definitions.values():
        if "validation" in definition.get("properties", ()):
            # A data block for validation inherits the settings it leaves out from the data.
            definition["properties"]["validation"] = _partial(definition["properties"]["validation"])
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "gdrun config",
        "description": summary(Experiment),
        "if": {"anyOf": [{"required": ["extends"]}, {"required": ["phases"]}]},
        "then": {"$ref": f"#/definitions/Experiment{_PART}"},
        "else": {"$ref": "#/definitions/Experiment"},
        "definitions": dict(sorted(definitions.items())),
    }


def _with_members(tree: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema whose later unions refer to the definitions of their members."""
    if isinstance(tree, list):
        return [_with_members(item, definitions) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if LATER_MEMBERS in tree:
        members = tree[LATER_MEMBERS]
        kinds = [definitions[name]["properties"]["kind"] for name in members]
        words = [word for kind in kinds for word in kind.get("enum", [kind.get("const")])]
        return {"anyOf": [{"enum": words}, *({"$ref": f"#/definitions/{name}"} for name in members)]}
    return {key: _with_members(item, definitions) for key, item in tree.items()}


def _add_plugins(definitions: dict[str, Any], section: type[CustomSection], plugins: Plugins) -> None:
    """Add the names and options that plugins bring for `section` to its definition."""
    definition = definitions[section.__name__]
    if names := plugins.names(section.part):
        definition["properties"]["name"] |= {"enum": names}
    for entry in plugins.entries(section.part):
        name, model = entry.registration.name, entry.registration.options
        options: dict[str, Any] = {"type": "object"}
        if model is not None:
            prefix = f"{section.part}.{name}."
            options = model.model_json_schema(ref_template=_REFERENCE.replace("{", f"{prefix}{{"))
            definitions.update({f"{prefix}{key}": value for key, value in options.pop("$defs", {}).items()})
        options.setdefault("additionalProperties", False)
        condition = {"properties": {"name": {"const": name}}, "required": ["name"]}
        definition.setdefault("allOf", []).append({"if": condition, "then": {"properties": {"options": options}}})


def _partial(tree: Any) -> Any:
    """Return a schema that requires no key: missing ones are inherited."""
    if isinstance(tree, list):
        return [_partial(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if isinstance(tree.get("$ref"), str):
        return {**tree, "$ref": tree["$ref"].removesuffix(_PART) + _PART}
    return {key: _partial(item) for key, item in tree.items() if key != "required" or not isinstance(item, list)}


class _Generator(GenerateJsonSchema):
    """Generator of pydantic's schema with the strings below fields and with short forms."""

    def model_schema(self, schema: Any) -> dict[str, Any]:
        section: type[Section] = schema["cls"]
        result = {**super().model_schema(schema), "description": summary(section)}
        result.pop("title", None)
        for key, value in result["properties"].items():
            text = meaning(section, key)
            value.pop("title", None)
            if text is not None:
                value["description"] = text
            if not isinstance(value.get("default"), str | int | float | None):
                value.pop("default", None)
        if section.gathers is not None:
            result["additionalProperties"] = result["properties"][section.gathers]["additionalProperties"]
            result["required"] = [key for key in result.get("required", ()) if key != section.gathers]
        if section.short is not None:
            # The keywords above only say something of objects.
            result.pop("type")
            result["anyOf"] = [{"type": "object"}, result["properties"][section.short]]
        return result

    def dict_schema(self, schema: Any) -> dict[str, Any]:
        """Return pydantic's schema, but refuse keys that do not fit the pattern of names."""
        result = super().dict_schema(schema)
        for pattern, values in result.pop("patternProperties", {}).items():
            result |= {"additionalProperties": values, "propertyNames": {"pattern": pattern}}
        return result

    def tagged_union_schema(self, schema: Any) -> dict[str, Any]:
        """Return pydantic's schema, but with anyOf, since a parent may omit `kind`, and with kinds as bare strings."""
        choices = [self.generate_inner(choice) for choice in schema["choices"].values()]
        unique = [choice for position, choice in enumerate(choices) if choice not in choices[:position]]
        if schema["discriminator"] == "kind":
            unique.insert(0, {"enum": list(schema["choices"])})
        return {"anyOf": unique}
