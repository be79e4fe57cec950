"""Options of plugins' parts, checked by the plugin's own model and told as every other mistake of a config."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from gdrun.errors import ConfigPath, Problem
from gdrun.suggest import closest, did_you_mean

from .messages import reword

if TYPE_CHECKING:
    from .plugins import Entry

_INTEGER_ERRORS = ("int_type", "int_from_float")


def validated(model: Any, given: Mapping[str, Any]) -> Any:
    """Return an instance of a pydantic model, checked as strictly as gdrun's own sections.

    Args:
        model: the class.
        given: as in a config: mappings, lists or tuples, texts, numbers, truth values, null.
    Raises:
        pydantic.ValidationError: what does not fit, keys that the model does not know included.
    """
    values = json.loads(json.dumps(given))
    try:
        return _strictly(model, values)
    except ValidationError as error:
        # YAML reads 1e4 as a float; where an integer is meant, a float without a fraction is one, as everywhere.
        wrong = [one["loc"] for one in error.errors(include_url=False) if one["type"] in _INTEGER_ERRORS]
        mended = [_make_integer(values, place) for place in wrong]
        if not any(mended):
            raise
    return _strictly(model, values)


def _strictly(model: Any, values: Any) -> Any:
    # From JSON, since strict models take a list for a tuple there; extra=, so that no key is overlooked.
    text = json.dumps(values)
    try:
        return model.model_validate_json(text, strict=True, extra="forbid")
    except TypeError as error:
        if "extra" not in str(error):
            raise
        strict: Any = type(model.__name__, (model,), {"model_config": {"extra": "forbid"}})  # pydantic before 2.12
        return strict.model_validate_json(text, strict=True)


def _make_integer(values: Any, place: tuple[Any, ...]) -> bool:
    """Replace 1e4 by 10000 in place; return whether there was such a float."""
    try:
        for step in place[:-1]:
            values = values[step]
        value = values[place[-1]]
    except (KeyError, IndexError, TypeError):
        return False
    if not isinstance(value, float) or not value.is_integer() or abs(value) >= 2**63:
        return False
    values[place[-1]] = int(value)
    return True


def option_problems(entry: Entry, options: Mapping[str, Any], path: ConfigPath) -> Iterator[Problem]:
    """Yield what is wrong with the options that a config gives to a plugin's part, without places."""
    model = entry.registration.options
    if model is None:
        for name in options:
            yield Problem(f"unknown key '{name[:64]}': {entry} takes no options", (*path, name), key=True)
        return
    try:
        entry.options(options)
    except ValidationError as error:
        yield from _told(error.errors(include_url=False), entry, path)
    except (TypeError, ValueError) as error:
        yield Problem(f"{entry} cannot take these options: {error}"[:600], path, key=True)


def _told(details: list[Any], entry: Entry, path: ConfigPath) -> Iterator[Problem]:
    """pydantic's errors as problems; an unknown key and the missing one that it was meant to be are one."""
    model, halves = entry.registration.options, set()
    missing = [one["loc"] for one in details if one["type"] == "missing"]
    for one in details:
        if one["type"] == "extra_forbidden":
            above, name = one["loc"][:-1], str(one["loc"][-1])
            wanted = closest(name, [loc[-1] for loc in missing if loc[:-1] == above])
            halves.add((*above, wanted))
            hint = did_you_mean(name, [wanted] if wanted else _named(_inner(model, above)), allowed="allowed")
            yield Problem(f"unknown key '{name[:64]}' in the options of {entry}", (*path, *one["loc"]), hint, key=True)
    for one in details:
        where = (*path, *one["loc"])
        if one["type"] == "missing" and one["loc"] not in halves:
            hint = _description(model, one["loc"])
            yield Problem(f"'{one['loc'][-1]}' is missing in the options of {entry}", where, hint)
        elif one["type"] not in ("missing", "extra_forbidden"):
            message, hint = reword(one["type"], one.get("ctx") or {}, one.get("input"), one["msg"])
            yield Problem(message, where, hint)


def _inner(model: Any, above: tuple[Any, ...]) -> Any:
    """The model that stands at `above` in the options; None where it cannot be told."""
    for step in above:
        if isinstance(step, str):
            annotation = getattr(_named(model).get(step), "annotation", None)
            model = next((one for one in (annotation, *get_args(annotation)) if hasattr(one, "model_fields")), None)
    return model


def _named(model: Any) -> dict[str, Any]:
    """The fields of a model by the names that configs use."""
    return {field.alias or name: field for name, field in getattr(model, "model_fields", {}).items()}


def _description(model: Any, loc: tuple[Any, ...]) -> str | None:
    text = getattr(_named(_inner(model, loc[:-1])).get(loc[-1]), "description", None)
    return f"{loc[-1]}: {text}" if text else None
