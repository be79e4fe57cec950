"""Which arguments are configs and which are settings."""

from __future__ import annotations

import pytest

from gdrun.cli.arguments import split
from gdrun.errors import UsageError


def test_what_has_no_equals_sign_is_a_config():
    assert split(["pi.yaml", "runs/a", "-"]) == (["pi.yaml", "runs/a", "-"], [])


def test_what_has_an_equals_sign_is_a_setting():
    assert split(["pi.yaml", "lr=0.1", "data.path=a/b.csv"]) == (["pi.yaml"], ["lr=0.1", "data.path=a/b.csv"])


def test_a_slash_before_the_equals_sign_makes_a_file():
    assert split(["./lr=0.1.yaml", "a/b=c", "lr=1"]) == (["./lr=0.1.yaml", "a/b=c"], ["lr=1"])


def test_settings_alone_are_refused():
    with pytest.raises(UsageError, match="no config"):
        split(["lr=0.1"])


def test_stdin_twice_is_refused():
    with pytest.raises(UsageError, match="once"):
        split(["-", "-"])
