"""Messages and hints for pydantic's errors, in the words of the config language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gdrun.suggest import did_you_mean

from .scalars import reads_as_number

SYNONYMS = {
    "lr": "learning_rate",
    "eta": "learning_rate",
    "params": "parameters",
    "weights": "parameters",
    "iterations": "steps",
    "num_steps": "steps",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "max_epochs": "epochs",
    "optimiser": "optimizer",
    "objective": "loss",
    "criterion": "loss",
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "l2_loss": "mse",
    "bce": "binary_crossentropy",
    "cross_entropy": "categorical_crossentropy",
    "crossentropy": "categorical_crossentropy",
    "gd": "sgd",
    "gradient_descent": "sgd",
    "nn": "mlp",
    "dense": "linear",
    "sequential": "layers",
    "file": "csv",
    "inline": "values",
    "values": "factors",
}
"""Names of other libraries -> the names of the config language."""

_PATTERNS = {
    r"^[a-z0-9][a-z0-9._-]{0,63}$": "small letters, digits, and . _ - after the first; at most 64",
    r"^(auto|cpu|gpu(:\d+)?)$": "auto, cpu, gpu or gpu:1",
    r"^\d*:\d*$": 'a range of rows, "0:1500"',
}
_NUMBERS = ("int_type", "float_type", "int_parsing", "float_parsing", "finite_number")


def got(value: Any) -> str:
    """Describe a value that is not what it should be."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text '{value if len(value) <= 40 else value[:39] + '…'}'"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return repr(value)


def reword(kind: str, context: Mapping[str, Any], value: Any, fallback: str) -> tuple[str, str | None]:
    """Return (message, hint) for one of pydantic's errors.

    Args:
        kind, context: the error's type and ctx. value: its input. fallback: pydantic's own message.
    """
    if kind in _TYPES:
        return f"expected {_TYPES[kind]}, got {got(value)}", _type_hint(kind, value)
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"must be {words} {_bound(context[key])}, got {got(value)}", None
    if kind in _OTHERS:
        return _OTHERS[kind](context, value)
    return fallback[:1].lower() + fallback[1:], context.get("hint")


_TYPES = {
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "int_parsing_size": "a smaller integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "null",
}
_LIMITS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def _bound(value: float) -> str:
    """Return a bound with all its digits, a whole one without a point."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)


def _type_hint(kind: str, value: Any) -> str | None:
    if isinstance(value, str):
        if kind.startswith("bool") and value.lower() in ("yes", "on", "y", "true"):
            return "write true"
        if kind.startswith("bool") and value.lower() in ("no", "off", "n", "false"):
            return "write false"
        if kind in _NUMBERS and reads_as_number(value):
            return "write it without quotes and underscores"
        if kind == "tuple_type":
            return f"write [{value}]"
        if kind in _NUMBERS and value.isidentifier():
            return f"this key takes a plain number, such as {100 if kind.startswith('int') else 0.1}"
        if kind in _NUMBERS and value.count(":") == 2 and reads_as_number(value.partition(":")[0]):
            return f"for several values write lin:{value} or log:{value}"
        if kind in _NUMBERS:
            return "this key takes a number, or a formula of numbers alone: 1 / 3"
    if kind == "string_type" and isinstance(value, int | float):
        return "put it in quotes"
    if kind == "tuple_type" and isinstance(value, int | float):
        return f"write [{value}]"
    return None


def _literal(context: Mapping[str, Any], value: Any) -> tuple[str, str | None]:
    allowed = [name.strip().strip("'") for name in context["expected"].replace(" or ", ", ").split(",")]
    if len(allowed) > 6 and isinstance(value, str):
        return f"'{value[:64]}' is not known here", _near(value, allowed) or f"allowed: {', '.join(allowed)}"
    return f"expected {_either(allowed)}, got {got(value)}", _near(value, allowed)


def _either(names: list[str]) -> str:
    return f"one of {', '.join(names)}" if len(names) > 2 else " or ".join(names)


def _near(value: Any, allowed: list[str]) -> str | None:
    if not isinstance(value, str):
        return None
    if SYNONYMS.get(value) in allowed:
        return f"did you mean '{SYNONYMS[value]}'?"
    return did_you_mean(value, allowed)


def _pattern(context: Mapping[str, Any], value: Any) -> tuple[str, str | None]:
    words = _PATTERNS.get(context["pattern"], context["pattern"])
    return f"{got(value)} does not fit: {words}", None


def _raised(context: Mapping[str, Any], value: Any) -> tuple[str, str | None]:
    """Return what a check of a section, of a plugin's options or of the command line says, without pydantic's words."""
    return str(context["error"]) or f"{got(value)} is refused", None


def _size(word: str) -> Callable[[Mapping[str, Any], Any], tuple[str, str | None]]:
    def words(context: Mapping[str, Any], value: Any) -> tuple[str, str | None]:
        bound = context.get("min_length", context.get("max_length"))
        what = "character" if isinstance(value, str) else "entry"
        many = "characters" if isinstance(value, str) else "entries"
        return f"needs at {word} {bound} {what if bound == 1 else many}, got {len(value)}", None

    return words


_OTHERS: dict[str, Callable[[Mapping[str, Any], Any], tuple[str, str | None]]] = {
    "literal_error": _literal,
    "string_pattern_mismatch": _pattern,
    "too_short": _size("least"),
    "too_long": _size("most"),
    "string_too_short": _size("least"),
    "string_too_long": _size("most"),
    "finite_number": lambda context, value: (f"must be finite, got {value}", None),
    "value_error": _raised,
    "assertion_error": _raised,
}
