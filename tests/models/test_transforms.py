"""Transforms. Oracles: closed forms, and going there and back."""

import numpy as np
import pytest

from gdrun.errors import ComponentError
from gdrun.models.transforms import TRANSFORMS, raw_value, transformed

CLOSED_FORMS = {
    "exp": np.exp,
    "softplus": lambda raw: np.log1p(np.exp(raw)),
    "sigmoid": lambda raw: 1 / (1 + np.exp(-raw)),
}


def test_every_transform_has_its_closed_form_here():
    assert CLOSED_FORMS.keys() == TRANSFORMS.keys()


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_raw_value_becomes_its_closed_form(name):
    raw = np.linspace(-5, 5, 11)
    np.testing.assert_allclose(transformed(raw, name), CLOSED_FORMS[name](raw), rtol=1e-14)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("value", [np.asarray(0.3), np.asarray([1e-12, 0.5, 1 - 1e-9]), np.full((2, 2), 0.9)])
def test_going_back_and_forth_keeps_the_value(name, value):
    raw = raw_value(value, name)
    assert np.shape(raw) == value.shape
    np.testing.assert_allclose(transformed(raw, name), value, rtol=1e-9)


@pytest.mark.parametrize("value", [1e-300, 1e-20, 800.0, 1e15])
def test_softplus_goes_back_without_overflow_or_loss_of_digits(value):
    """For small v the raw value is log(v), for large v it is v, each to the last digits."""
    raw = raw_value(np.asarray(value), "softplus")
    np.testing.assert_allclose(raw, np.log(value) if value < 1 else value, rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "value"),
    [("exp", 0.0), ("exp", -1.0), ("softplus", 0.0), ("sigmoid", 0.0), ("sigmoid", 1.0), ("sigmoid", 2.0)],
)
def test_a_value_outside_of_the_range_is_refused_with_the_range(name, value):
    for given in (np.asarray(value), np.asarray([0.5, value])):
        with pytest.raises(ComponentError) as caught:
            raw_value(given, name)
        assert str(value) in caught.value.message
        assert TRANSFORMS[name].domain in caught.value.message
        assert "raw" in caught.value.hint


def test_no_transform_is_the_identity():
    value = np.asarray([-1.0, 2.0])
    assert raw_value(value, None) is value
    assert transformed(value, None) is value
