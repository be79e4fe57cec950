"""Sections behave as strict, frozen pydantic models do."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from gdrun.config.section import STRICT, Count, PositiveInteger, PositiveNumber, Section
from gdrun.optimizers import Optimizer
from gdrun.optimizers.keras import Adam, Sgd


class Small(Section):
    whole: Count
    number: Annotated[float, Field(gt=0)] = 1.0
    names: dict[str, int] = Field(default_factory=dict)
    for_: PositiveInteger | None = Field(default=None, alias="for")

    @model_validator(mode="after")
    def _check(self):
        if self.whole == 13:
            raise PydanticCustomError("unlucky", "not 13")
        return self


def errors(**values):
    with pytest.raises(ValidationError) as caught:
        Small(**values)
    return [(error["type"], error["loc"]) for error in caught.value.errors()]


def test_values_and_defaults():
    small = Small.model_validate({"whole": 1e4, "for": 3})
    assert (small.whole, small.number, small.names, small.for_) == (10000, 1.0, {}, 3)
    assert type(small.whole) is int
    assert small.model_fields_set == {"whole", "for_"}


def test_defaults_are_made_anew():
    Small(whole=1).names["x"] = 1
    assert Small(whole=1).names == {}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"whole": 1.5}, "int_type"),
        ({"whole": "1"}, "int_type"),
        ({"whole": True}, "int_type"),
        ({"whole": -1}, "greater_than_equal"),
        ({"whole": 1, "number": 0}, "greater_than"),
        ({"whole": 1, "number": float("inf")}, "finite_number"),
        ({"whole": 1, "number": "1"}, "float_type"),
        ({"whole": 1, "names": [("a", 1)]}, "dict_type"),
        ({"whole": 1, "other": 2}, "extra_forbidden"),
        ({"number": 2}, "missing"),
        ({"whole": 13}, "unlucky"),
    ],
)
def test_nothing_is_coerced_or_ignored(values, kind):
    assert [found for found, _ in errors(**values)] == [kind]


def test_a_section_does_not_change():
    small = Small(whole=1)
    with pytest.raises(ValidationError):
        small.whole = 2
    with pytest.raises(ValidationError):
        del small.whole


def test_copies_pickles_and_equality():
    small = Small(whole=1, number=2.0)
    assert pickle.loads(pickle.dumps(small)) == small
    assert copy.deepcopy(small) == small
    assert small.model_copy(update={"whole": 2}) == Small(whole=2, number=2.0)
    assert small != Small(whole=2, number=2.0)
    assert Small.model_construct(whole=1, number=2.0) == small
    assert dict(small)["number"] == 2.0


def test_unions_are_checked_by_the_section_their_kind_names():
    union = TypeAdapter(Optimizer)
    assert union.validate_python("adam") == Adam(kind="adam")
    assert union.validate_python({"kind": "sgd", "momentum": 0.5}) == Sgd(kind="sgd", momentum=0.5)
    assert union.validate_python(Sgd(kind="sgd")) == Sgd(kind="sgd")


@pytest.mark.parametrize(
    ("text", "number"), [("1 / 3", 1 / 3), ("2 * pi", 2 * math.pi), ("10**-6", 1e-6), ("sqrt(2) / 2", math.sqrt(2) / 2)]
)
def test_a_number_may_be_a_constant_formula(text, number):
    assert TypeAdapter(PositiveNumber, config=STRICT).validate_python(text) == number


def test_a_whole_number_may_be_a_constant_formula():
    assert TypeAdapter(PositiveInteger).validate_python("20 * 50") == 1000


@pytest.mark.parametrize("text", ["0.5", "x / 3", "uniform(0, 1)", "1 / 0", "[1, 2]", "1j", "-1 / 3", "fast", ""])
def test_any_other_text_is_no_number(text):
    with pytest.raises(ValidationError):
        TypeAdapter(PositiveNumber, config=STRICT).validate_python(text)
