"""Which known name a misspelt one was meant to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.suggest import closest, did_you_mean, distance

KNOWN = ["learning_rate", "momentum", "nesterov", "epochs", "steps", "batch_size", "kind"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("learning_rte", "learning_rate"),
        ("learningrate", "learning_rate"),
        ("Learning-Rate", "learning_rate"),
        ("epoch", "epochs"),
        ("step", "steps"),
        ("batchsize", "batch_size"),
        ("batch", "batch_size"),
        ("knid", "kind"),
        ("xyzzy", None),
        ("", None),
        ("x" * 10_000, None),
    ],
)
def test_near_names_are_found_and_far_ones_not(written, meant):
    assert closest(written, KNOWN) == meant


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_distance_is_symmetric_and_zero_only_for_equals(a, b):
    assert distance(a, b) == distance(b, a)
    assert (distance(a, b) == 0) == (a == b)
    assert abs(len(a) - len(b)) <= distance(a, b) <= max(len(a), len(b))


def test_a_swap_of_neighbours_is_one_edit():
    assert distance("knid", "kind") == 1


def test_without_a_near_name_the_allowed_ones_are_listed():
    assert did_you_mean("zzz", ["a", "b"], allowed="allowed") == "allowed: a, b"
    assert did_you_mean("zzz", []) is None
