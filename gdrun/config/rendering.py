"""Text of problems for a person: place, message, the line, a caret below the mistake, the mend."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from rich.cells import cell_len

from gdrun.errors import Place, Problem
from gdrun.text import plural, safe_text

_WIDTH = 110
_MOST = 25


def render(problems: Sequence[Problem], source: str) -> str:
    """Return `problems` as text, without a line break at the end.

        configs/pi.yaml:12:3: unknown key 'learning_rte' in optimizer (kind: sgd)
           12 |   learning_rte: 0.2
              |   ^^^^^^^^^^^^ did you mean 'learning_rate'?
        1 problem in configs/pi.yaml

    Everything that could act on a terminal is escaped, long lines are cut round the mistake, and of more than 25
    problems the first 25 are shown.

    Args:
        problems: located where possible, in the order to show.
        source: the name of the config.
    """
    lines = [line for problem in problems[:_MOST] for line in _lines(problem, source)]
    if len(problems) > _MOST:
        lines.append(f"... and {plural(len(problems) - _MOST, 'more problem')}")
    return "\n".join([*lines, f"{plural(len(problems), 'problem')} in {safe_text(source, limit=200)}"])


def _lines(problem: Problem, source: str) -> list[str]:
    place = problem.place
    message = safe_text(problem.message, limit=500)
    hint = safe_text(problem.hint, limit=500) if problem.hint else ""
    if place is None:
        return [f"{safe_text(source, limit=200)}: {message}", *([f"      {hint}"] if hint else [])]
    name = safe_text(place.source, limit=200)
    if not place.text.strip():
        return [f"{name}:{place.line}:{place.column}: {message}", *([f"      {hint}"] if hint else [])]
    is_file = not place.source.startswith(("argument ", "override of "))
    head = f"{name}:{place.line}:{place.column}: {message}" if is_file else f"{name}: {message}"
    number = str(place.line) if is_file else ""
    text, indent, length = _window(place)
    caret = " " * indent + "^" * length
    lines = [head, f"{number:>5} | {text}"]
    if hint and indent + length + len(hint) > _WIDTH:
        return [
            *lines,
            f"      | {caret}",
            *(f"      | {part}" for part in wrap(hint, _WIDTH, break_long_words=False, break_on_hyphens=False)),
        ]
    return [*lines, f"      | {caret} {hint}".rstrip()]


def _window(place: Place) -> tuple[str, int, int]:
    """Return the part of the line to show, the indentation of its caret, and the length of the caret."""
    start = place.column - 1
    end = min(start + place.length, len(place.text))
    first, last = 0, len(place.text)
    before, after = "", ""
    if last > _WIDTH:
        first = max(0, min(start - _WIDTH // 3, last - _WIDTH))
        last = min(len(place.text), first + _WIDTH)
        before, after = ("…" if first else ""), ("…" if last < len(place.text) else "")
    lead = before + _printable(place.text[first:start])
    marked = _printable(place.text[start : min(end, last)])
    tail = _printable(place.text[min(end, last) : last])
    return f"{lead}{marked}{tail}{after}".rstrip(), cell_len(lead), max(1, cell_len(marked))


def _printable(text: str) -> str:
    return safe_text(text.replace("\t", " "))
