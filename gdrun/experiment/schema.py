"""The JSON Schema of the language, for editors: from the sections, their marks and the strings below their fields."""

from __future__ import annotations

from types import NoneType
from typing import Any, get_args

from gdrun.config.base import FormulaType, Section
from gdrun.config.unions import ByForm, Check, Kinds

from .experiment import Experiment
from .forms import Form, fields, form
from .reference import limits, meaning, summary

_SIMPLE = {bool: "boolean", int: "integer", float: "number", str: "string"}
_LIMITS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "pattern": "pattern",
}
_SIZES = {
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
    "string": ("minLength", "maxLength"),
}


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a config file.

    Short forms are allowed as in the language itself. A file that extends another may leave out what is required. What
    a formula says, and which settings go together, is beyond it: `gdrun validate` knows more.
    """
    writer = _Writer()
    whole, part = writer.section(Experiment, partial=False), writer.section(Experiment, partial=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gdrun config",
        "description": summary(Experiment),
        "if": {"required": ["extends"]},
        "then": part,
        "else": whole,
        "$defs": dict(sorted(writer.definitions.items())),
    }


class _Writer:
    """Collects the definitions of sections. A partial section requires nothing: the rest is inherited."""

    def __init__(self) -> None:
        self.definitions: dict[str, dict[str, Any]] = {}

    def section(self, section: type[Section], *, partial: bool, names: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return a reference to the definition of `section`; `names` are further words for its kind."""
        name = section.__name__ + ("Part" if partial else "")
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name].update(self.definition(section, partial, names))
        return {"$ref": f"#/$defs/{name}"}

    def definition(self, section: type[Section], partial: bool, names: tuple[str, ...]) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        required: list[str] = []
        if section is Experiment:
            properties["extends"] = {
                "type": "string",
                "description": "A config that this one extends: in its folder or below.",
            }
        for (key, of), field in zip(fields(section).items(), section.model_fields.values(), strict=True):
            text = meaning(section, key)
            properties[key] = {
                **({"description": text} if text else {}),
                **(
                    {"enum": [*of.literals, *names]}
                    if key == "kind" and of.literals
                    else self.value(of, partial=partial)
                ),
            }
            default = field.get_default(call_default_factory=True)
            if field.is_required():
                required.append(key)
            elif isinstance(default, str | int | float | None):
                properties[key]["default"] = default
        result: dict[str, Any] = {"type": "object", "description": summary(section), "properties": properties}
        if required and not partial:
            result["required"] = [key for key in required if key != section.gathers]
        rest = fields(section)[section.gathers].values if section.gathers else None
        result["additionalProperties"] = False if rest is None else self.value(rest, partial=partial)
        return result

    def value(self, of: Form, *, partial: bool) -> dict[str, Any]:
        """Return the schema of what may stand at one place."""
        result = self.filled(of, partial)
        return {"anyOf": [*result.get("anyOf", [result]), {"type": "null"}]} if of.optional else result

    def filled(self, of: Form, partial: bool) -> dict[str, Any]:
        union, check = of.mark(ByForm), of.mark(Check)
        if union is not None:
            # A data block for validation inherits from the data what it leaves out.
            arms = [self.value(form(arm), partial=partial or name == "data") for name, arm in union.arms.items()]
            return _any_of(arms)
        if check is not None:
            return dict(check.json_schema)
        if of.mark(FormulaType) is not None:
            return {"type": ["string", "number", "array"]}
        if of.kinds is not None:
            return self.kinds(of.kinds, partial)
        if of.section is not None:
            nested, short = self.section(of.section, partial=partial), of.short
            if short is None:
                return nested
            return _any_of([self.value(fields(of.section)[short], partial=partial), nested])
        return self.simple(of, partial)

    def kinds(self, union: Kinds, partial: bool) -> dict[str, Any]:
        variants = []
        for kind in union.variants:
            others = tuple(name for name, stands_for in union.short.items() if stands_for["kind"] == kind)
            variants.append(self.section(union.variant(kind), partial=partial, names=others))
        return {"anyOf": [{"enum": [*union.variants, *union.short]}, *variants]}

    def simple(self, of: Form, partial: bool) -> dict[str, Any]:
        if of.literals:
            return {"enum": list(of.literals)}
        if of.annotation is Any:
            return {}
        if of.annotation in _SIMPLE:
            result: dict[str, Any] = {"type": _SIMPLE[of.annotation]}
        elif of.items is not None:
            result = {"type": "array", "items": self.value(of.items, partial=partial)}
        elif of.values is not None:
            keys = form(get_args(of.annotation)[0])
            result = {"type": "object", "additionalProperties": self.value(of.values, partial=partial)}
            check = keys.mark(Check)
            if check is not None:
                result["propertyNames"] = {"pattern": check.json_schema["pattern"]}
        else:
            arms = [form(arm) for arm in get_args(of.annotation) if arm is not NoneType]
            return _any_of([self.value(arm, partial=partial) for arm in arms])
        for name, value in limits(of).items():
            if name in _LIMITS:
                result[_LIMITS[name]] = value
            elif result["type"] in _SIZES:
                result[_SIZES[result["type"]][name == "max_length"]] = value
        return result


def _any_of(arms: list[dict[str, Any]]) -> dict[str, Any]:
    flat = [inner for arm in arms for inner in (arm["anyOf"] if set(arm) == {"anyOf"} else [arm])]
    unique = [arm for position, arm in enumerate(flat) if arm not in flat[:position]]
    return unique[0] if len(unique) == 1 else {"anyOf": unique}
