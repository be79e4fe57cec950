"""Which characters a terminal can show, and how wide they are."""

from __future__ import annotations

import unicodedata

TO_ASCII = str.maketrans(
    "│└─┤┬┼×◎○●▲■◆△□▽┊▒░…•·⁻⁰¹²³⁴⁵⁶⁷⁸⁹",
    "|+-|++xOo*^#%A@v:::.*.-0123456789",
)
"""Our own characters -> what stands for them in ASCII."""


def can_show(encoding: str | None) -> bool:
    """Return whether an encoding has the characters of text pictures."""
    try:
        ("\u28ff" + "┤×●▽⁻").encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def display_width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def merged(line: str) -> str:
    """Return `line` without escape codes that only repeat the one before them."""
    if "\x1b" not in line:
        return line
    out: list[str] = []
    before = ""
    for part in line.split("\x1b[0m"):
        start = part.find("\x1b[")
        if start == 0 and before:
            code, _, rest = part.partition("m")
            if code == before:
                out[-1] = out[-1].removesuffix("\x1b[0m") + rest + "\x1b[0m"
                continue
        before = part.partition("m")[0] if start == 0 else ""
        if start > 0:
            before = part[start:].partition("m")[0]
        out.append(part + ("\x1b[0m" if start >= 0 else ""))
    return "".join(out)
