"""Which character of the file a character of a scalar's value came from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.config.document import read_document


@pytest.mark.parametrize(
    "text",
    [
        "k: a + $ * b",
        "k: 'it''s $ here'",
        'k: "tab\\there $ x"',
        'k: "\\u00e9 $ x"',
        "k: |\n  a +\n  b $ c\n",
        "k: |\n  a +\n\n    b $ c\n\n",
        "k: >\n  a +\n  b $ c\n",
        "k: >-\n  a +\n\n  b $ c\n",
        "k: a +\n  b $ c\n",
        "k: 'a +\n  b $ c'\n",
        'k: "a +\n   b \\\n   $ c"\n',
        "k: [x, a + $]\n",
    ],
)
def test_the_character_is_found_in_every_style(text):
    node = read_document(text.encode(), "f").child("k")
    if isinstance(node.value, list):
        node = node.value[1]
    span = node.part(node.value.index("$"), 1)
    assert span.source.text[span.start : span.end] == "$"


@given(st.text(alphabet="ab'\" \\\n$é\t", min_size=1, max_size=30), st.data())
def test_double_quoted_texts_with_escapes_map_back(value, data):
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    node = read_document(f'k: "{escaped}"'.encode(), "f").child("k")
    assert node.value == value
    offset = data.draw(st.integers(0, len(value) - 1))
    span = node.part(offset, 1)
    written = span.source.text[span.start]
    assert written == (value[offset] if value[offset] not in '\\"\n\t' else "\\")


def test_a_place_outside_the_text_is_the_whole_scalar():
    node = read_document(b"k: abc", "f").child("k")
    assert node.part(99, 1) == node.span


def test_lines_end_as_on_every_system():
    root = read_document(b"a: 1\r\nb: 2\r\nc: $", "f")
    place = root.child("c").span.place()
    assert (place.line, place.column, place.text) == (3, 4, "c: $")
