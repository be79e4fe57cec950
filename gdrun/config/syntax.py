"""Messages for YAML syntax errors, by the mistakes that people make."""

from __future__ import annotations

import yaml

from gdrun.errors import Problem

from .source import Source, balanced_length, in_quotes

_QUOTE_IT = "put the formula in quotes"
_OPENING = {"a flow mapping": "{", "a flow sequence": "[", "a quoted scalar": "quote"}


def explain(error: yaml.MarkedYAMLError, source: Source, start: int) -> Problem:
    """Return the problem that `error` stands for; its marks count from character `start` of `source`."""
    mark = error.problem_mark or error.context_mark
    index = start + (mark.index if mark is not None else 0)
    opened = start + error.context_mark.index if error.context_mark is not None else index
    context, problem = error.context or "", error.problem or "this is not YAML"
    at_end = index >= len(source.text.rstrip())
    for position in (index, opened) if "block scalar" not in context else (opened,):
        sign = source.text[position : position + 1]
        trap = _trap(sign, context, problem, at_end)
        if trap:
            return _quote_it(source, position, trap)
    for what, sign in _OPENING.items():
        if what in context and (at_end or "end of stream" in problem):
            message = "the quote that opens here is never closed" if sign == "quote" else f"'{sign}' is never closed"
            return Problem(message, place=source.place(opened, opened + 1))
    if at_end and "flow" in context:
        return Problem("a bracket before the end of the text is never closed", place=source.place(index - 1, index))
    if source.text[index : index + 1] == "\t":
        return Problem("tabs do not indent in YAML", place=source.place(index, index + 1), hint="use spaces")
    if "mapping values are not allowed" in problem:
        return Problem(
            "':' is not allowed here", place=source.place(index, index + 1), hint="put a text that holds ': ' in quotes"
        )
    message, hint = _in_our_words(context, problem)
    return Problem(message, place=source.place(index, index + 1), hint=hint)


def _trap(sign: str, context: str, problem: str, at_end: bool) -> str | None:
    """Return the message for a character that YAML takes for an indicator where a formula was meant, or None."""
    if sign and sign in "@`%" and "cannot start any token" in problem:
        return f"no plain text begins with '{sign}' in YAML"
    if sign == "*" and "alias" in context:
        return "'*' begins an alias in YAML"
    if sign == "&" and "anchor" in context:
        return "'&' begins an anchor in YAML"
    if sign == "!" and "tag" in context:
        return "'!' begins a tag in YAML"
    if sign and sign in "|>" and "block scalar" in context:
        return f"'{sign}' begins a text of several lines in YAML"
    if sign == "[" and not at_end and ("did not find expected" in problem or "expected" in problem):
        return "'[' begins a list in YAML"
    return None


def _quote_it(source: Source, position: int, reason: str) -> Problem:
    """Return the problem at the value that holds the character at `position`, with the mend."""
    line_start, line_end = source.line_span(source.line_of(position))
    before = source.text[line_start:position]
    begin = line_start + _value_start(before)
    written = source.text[begin:line_end].split(" #")[0].rstrip()
    if {"{", "["} & set(source.text[line_start:begin]):
        written = written[: balanced_length(written)].rstrip()
    return Problem(
        f"{reason}; {_QUOTE_IT}", place=source.place(position, position + 1), hint=f"write {in_quotes(written)}"
    )


def _value_start(before: str) -> int:
    """Return the index in a line at which the value begins that is still open at the line's end.

    Brackets within a value are its own: of `{x: exp(s[` it begins at `exp`.
    """
    start = 0
    opened: list[tuple[str, int]] = []  # what a bracket is a part of, and where the value with it begins
    for position, character in enumerate(before):
        first = not before[start:position].strip()
        in_text = bool(opened) and opened[-1][0] == "text"
        ends_word = before[position + 1 : position + 2] in (" ", "")
        if character in "([{":
            begins = first and not in_text and character != "("
            opened.append(("flow" if begins else "text", start))
            start = position + 1 if begins else start
        elif character in ")]}" and opened:
            start = opened.pop()[1]
        elif in_text:
            continue
        elif (character == "," and opened) or (ends_word and (character == ":" or (character == "-" and first))):
            start = position + 1
    return start + len(before[start:]) - len(before[start:].lstrip())


def _in_our_words(context: str, problem: str) -> tuple[str, str | None]:
    if "did not find expected ',' or" in problem or "expected ',' or" in problem:
        return "a comma or the closing bracket is missing before this", "or put the text in quotes"
    if "block mapping" in context:
        return "this line fits no key above it", "check the indentation and the quotes of the lines before"
    if "block collection" in context or "block sequence" in context:
        return "this line fits no list above it", "check the indentation"
    if "could not find expected ':'" in problem:
        return "':' is missing after this key", None
    if "escape" in problem:
        return "unknown escape in a double-quoted text", "in single quotes a backslash is only a backslash"
    return problem, None
