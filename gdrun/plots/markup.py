"""HTML from texts that may hold anything: each is escaped here, and nowhere else."""

from __future__ import annotations

import hashlib
import html
import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any

from gdrun.text import safe_text


class Html(str):
    """A text that is markup already."""

    __slots__ = ()


def escaped(value: object, *, limit: int | None = 500, lines: bool = False) -> Html:
    """Return `value` as markup that shows its text; what is `Html` stays as it is."""
    return value if isinstance(value, Html) else Html(html.escape(safe_text(value, limit=limit, lines=lines)))


def tag(name: str, *content: object, **attributes: object) -> Html:
    """Return an element. `class_` and `data_sort` become class and data-sort; None leaves an attribute out."""
    attributes_text = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(safe_text(value, limit=1000))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{attributes_text}>" + ("" if name == "input" else f"{joined(content)}</{name}>"))


def joined(parts: Iterable[object], between: str = "") -> Html:
    """Return the markup of several parts, one after the other."""
    return Html(between.join(escaped(part) for part in parts))


def pairs(rows: Iterable[tuple[object, object]]) -> Html:
    """Return names and values side by side; rows without a value are left out."""
    items = [tag("div", tag("dt", name), tag("dd", value)) for name, value in rows if value not in (None, "")]
    return tag("dl", *items, class_="pairs") if items else Html()


def table(
    titles: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    numeric: Iterable[int] = (),
    label: str = "",
    **attributes: object,
) -> Html:
    """Return a table that scrolls sideways where it is too wide.

    Args:
        titles: of the columns.
        rows: of cells: values, or whole `td` elements as `Html`.
        numeric: the columns that stand to the right.
        label: what it is, for those who hear the page.
        attributes: of the table element.
    """
    right = set(numeric)
    kinds = ["n" if at in right else None for at in range(len(titles))]
    head = tag("tr", *(tag("th", text, class_=kind, scope="col") for text, kind in zip(titles, kinds, strict=True)))
    body = [
        tag("tr", *(_cell(value, kind) for value, kind in zip(row, kinds, strict=True)))
        for row in rows
    ]  # fmt: skip
    inner = tag("table", tag("thead", head), tag("tbody", *body), **attributes)
    return tag("div", inner, class_="scroll", tabindex="0", role="region", aria_label=label or "table")


def _cell(value: object, kind: str | None) -> Html:
    if isinstance(value, Html) and value.startswith("<td"):
        return value
    return tag("td", value, class_=kind)


def folded(title: object, *content: object, opened: bool = False) -> Html:
    """Return content under a title that folds it away."""
    start = "<details open>" if opened else "<details>"
    return Html(start + tag("summary", title) + joined(content) + "</details>")


def code(text: str, *, limit: int = 200_000) -> Html:
    """Return a file's text as it is, cut where it is longer than `limit` characters."""
    return tag("pre", tag("code", escaped(text, limit=limit, lines=True)), tabindex="0")


def data_block(name: str, value: object) -> Html:
    """Return a script element that holds strict JSON; no text in it can end it."""
    text = json.dumps(harmless(value), separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Html(f'<script type="application/json" id="{html.escape(name)}">{text}</script>')


def policy_hash(text: str) -> str:
    """Return what a content security policy calls an inline script or style."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def harmless(value: Any) -> Any:
    """Return JSON data with its texts without control characters: the script puts them on the page as texts."""
    if isinstance(value, str):
        return safe_text(value, limit=500)
    if isinstance(value, dict):
        return {key: harmless(item) for key, item in value.items()}
    if isinstance(value, list):
        # Most items are numbers, and there are many: a call for each would take longer than all else.
        return [harmless(item) if isinstance(item, (str, dict, list)) else item for item in value]
    return value
