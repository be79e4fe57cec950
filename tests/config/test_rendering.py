"""Problems as text for a person."""

from __future__ import annotations

import pytest

from gdrun.config.rendering import render
from gdrun.errors import ConfigError, Place, Problem
from gdrun.experiment.loading import load_config
from tests.experiment.texts import line


def shown(text: str, overrides=()) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(text.encode(), overrides)
    return render(caught.value.problems, caught.value.source)


def test_the_format():
    assert shown(line(optimizer="{kind: sgd, learning_rte: 0.2}")) == (
        "config:4:24: unknown key 'learning_rte' in optimizer (kind: sgd)\n"
        "    4 | optimizer: {kind: sgd, learning_rte: 0.2}\n"
        "      |                        ^^^^^^^^^^^^ did you mean 'learning_rate'?\n"
        "1 problem in config"
    )


def test_an_argument_is_shown_whole_and_has_no_line_number():
    assert shown(line(), ["momentum=2"]) == (
        "argument 1: must be less than 1, got 2\n      | momentum=2\n      |          ^\n1 problem in config"
    )


def test_a_problem_without_a_place_is_one_line():
    assert render([Problem("no", hint="yes")], "c.yaml") == "c.yaml: no\n      yes\n1 problem in c.yaml"


def test_nothing_reaches_the_terminal_unescaped():
    place = Place("a\x1b[2J.yaml", 1, 4, 1, "k: \x1b[31m\u202e")
    text = render([Problem("bad \x07", hint="\x1b]0;x\x07", place=place)], "a\x1b.yaml")
    assert all(character.isprintable() or character == "\n" for character in text)


def test_long_lines_are_cut_round_the_mistake():
    text = "k: [" + "1, " * 5000 + "$$$, " + "2, " * 5000 + "]"
    column = text.index("$") + 1
    lines = render([Problem("no", place=Place("c", 1, column, 3, text))], "c").splitlines()
    assert len(lines[1]) < 140
    start = lines[2].index("^")
    assert lines[1][start : start + 3] == "$$$"


@pytest.mark.parametrize("before", ["日本", "a\t", "e\u0301", "é"])
def test_carets_stand_below_wide_and_combining_characters(before):
    import unicodedata

    text = f"k: {before} $"
    place = Place("c", 1, text.index("$") + 1, 1, text)
    lines = render([Problem("no", place=place)], "c").splitlines()
    wide = sum(2 if unicodedata.east_asian_width(c) == "W" else 0 if unicodedata.combining(c) else 1 for c in before)
    assert lines[2].index("^") == len("    1 | k: ") + wide + 1


def test_many_problems_are_counted():
    text = render([Problem(f"p{number}") for number in range(30)], "c")
    assert "... and 5 more problems" in text
    assert text.endswith("30 problems in c")
