"""A resolved config reads back to the same experiment."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gdrun.config.document import read_document
from gdrun.config.scalars import written
from gdrun.experiment.loading import load_config
from tests.experiment.texts import LINE, line

from .test_loading import CONFIGS

NAMES = st.sampled_from(["a", "b1", "w_2", "Alpha", "yes", "null", "e1"])
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Cn", "Co"]), max_size=30
)


def test_scalars_read_back_bit_for_bit():
    @given(st.one_of(FLOATS, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none(), TEXTS))
    def check(value):
        for text in (f"k: {written(value)}", f"k: [1, {written(value)}]"):
            read = read_document(text.encode(), "f").plain()["k"]
            read = read[1] if isinstance(read, tuple) else read
            assert type(read) is type(value)
            assert read == value
            assert not isinstance(value, float) or math.copysign(1, read) == math.copysign(1, value)
            # Scripts read it with other libraries, which know YAML 1.1 only.
            assert yaml.safe_load(text)["k"] in (value, [1, value])

    check()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_read_back_to_equal_experiments(path):
    config = load_config(path)
    again = load_config(config.resolved_text().encode())
    data = config.experiment.data
    if data is not None and hasattr(data, "path"):
        assert again.experiment.data.path == str((path.parent / data.path).absolute())
        data = data.model_copy(update={"path": again.experiment.data.path})
    # A resolved config writes out what its phases are made of.
    for whole, part in zip((config, *config.phases), (again, *again.phases), strict=True):
        kept = {"data": data, "phases": part.experiment.phases}
        assert part.experiment == whole.experiment.model_copy(update=kept)
    assert again.resolved_text() == config.resolved_text()


numbers = FLOATS.map(abs).filter(lambda value: 0 < value < 1e300)
factors = st.one_of(
    st.builds(dict, kind=st.just("exponential"), rate=numbers, every=st.integers(1, 9), staircase=st.booleans()),
    st.builds(dict, kind=st.just("cosine"), warmup=st.integers(0, 9), restarts=st.booleans()),
    st.builds(
        dict, kind=st.just("piecewise"), boundaries=st.just([1, 5]), factors=st.lists(numbers, min_size=3, max_size=3)
    ),
    st.just({"kind": "formula", "formula": "1 / (1 + step)"}),
)
optimizers = st.one_of(
    st.sampled_from(["sgd", "adam", "lion", "ftrl", "muon"]),
    # A rate that float32 has: others are refused.
    st.builds(
        dict,
        kind=st.just("sgd"),
        learning_rate=st.just(0) | st.floats(1e-30, 1e30),
        clipnorm=numbers,
        nesterov=st.booleans(),
    ),
    st.builds(dict, kind=st.just("adamw"), weight_decay=st.none() | numbers, use_ema=st.booleans()),
)
layers = st.lists(
    st.one_of(
        st.sampled_from(["relu", "flatten", "tanh"]),
        st.builds(
            dict, kind=st.just("dense"), units=st.integers(1, 9), kernel=st.sampled_from(["he_normal", 0.5, [[1, 2]]])
        ),
        st.builds(dict, kind=st.just("dropout"), rate=st.floats(0, 0.9)),
        st.builds(dict, kind=st.just("max_pooling2d"), pool_size=st.sampled_from([2, [2, 3]])),
    ),
    min_size=1,
    max_size=4,
)
parameters = st.one_of(
    FLOATS,
    st.lists(FLOATS, min_size=1, max_size=3),
    st.just({"init": "normal(0, 0.1)", "shape": [2, 3]}),
    st.builds(dict, raw=FLOATS, transform=st.sampled_from(["exp", "softplus"]), trainable=st.just(True)),
)
models = st.one_of(
    st.builds(
        lambda value: {"kind": "formula", "formula": "x * w", "parameters": {"w": value}},
        parameters,
    ),
    st.builds(dict, kind=st.just("layers"), layers=layers),
    st.builds(dict, kind=st.just("mlp"), hidden=st.lists(st.integers(1, 9), max_size=3), activation=st.just("tanh")),
    st.just("linear"),
)
validations = st.one_of(
    st.none(),
    st.floats(0.1, 0.9),
    st.builds(dict, count=st.integers(1, 2), shuffle=st.booleans()),
    st.just({"index": [0, 2]}),
    st.just({"target": "2 * x"}),
    st.just({"inputs": {"x": "[1.0, 2.0]"}, "target": "x", "noise": None}),
    st.just({"kind": "values", "inputs": {"x": [1, 2]}, "target": [1, 2]}),
)
configs = st.fixed_dictionaries(
    {
        "data": st.builds(
            lambda validation, noise, scale: {
                "kind": "formula",
                "inputs": {"x": "linspace(0, 1, 9)"},
                "target": "3 * x",
                "noise": noise,
                "validation": validation,
                "scale": scale,
            },
            validations,
            st.sampled_from([None, "normal(0, 0.1)"]),
            st.sampled_from([None, "minmax", {"inputs": "standardize", "fit": "all"}]),
        ),
        "model": models,
        "optimizer": optimizers,
        "schedule": st.builds(
            lambda factor, stop: {"epochs": 3, "learning_rate_factor": factor, "stop": stop},
            st.none() | factors,
            st.sampled_from(
                [{}, {"loss_below": 1e-8}, {"patience": {"epochs": 2, "metric": "loss"}}, {"non_finite": False}]
            ),
        ),
    },
    optional={
        "description": TEXTS,
        "seed": st.integers(0, 2**32 - 1),
        "precision": st.sampled_from(["float32", "float64"]),
        "constants": st.dictionaries(NAMES, FLOATS | st.just([1, 2.5, "3 * 4"])),
        "define": st.just({"h": {"start": "x", "repeat": "2 * h", "while": "i < 3", "at_most": 4}}),
        "loss": st.sampled_from(
            ["mse", "half_sse", {"kind": "huber", "delta": 0.5}, {"kind": "mae", "penalty": {"l2": 0.1}}]
        ),
        "metrics": st.sampled_from([[], ["mae", "r2"], [{"name": "m", "formula": "mean(prediction)"}]]),
        "record": st.sampled_from(
            [{}, {"every": "epoch"}, {"every": [0, 3]}, {"formulas": {"n": "2 * loss"}, "parameters": True}]
        ),
        "expect": st.sampled_from(
            [
                {},
                {"status": "completed", "rtol": 1e-6},
                {
                    "loss": {"below": 1},
                    "trace": [{"step": 3, "loss": [1, 2], "rtol": 0.1}, {"step": 4, "loss": {"above": 0}}],
                },
                {"predictions": {"x": [1.5, 2], "value": [[1], [2]]}},
            ]
        ),
    },
)


@given(configs)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_experiment_reads_back_to_an_equal_one(config):
    first = load_config(b"name: x\n", config)
    text = first.resolved_text()
    again = load_config(text.encode())
    assert again.experiment == first.experiment
    assert again.resolved_text() == text


def test_defaults_are_written_out_and_nulls_left_out():
    text = load_config(LINE.encode()).resolved_text()
    assert "momentum: 0.0" in text
    assert "null" not in text


def test_a_null_that_is_not_the_default_is_written():
    text = load_config(line(optimizer="{kind: adamw, weight_decay: null}").encode()).resolved_text()
    assert "weight_decay: null" in text
    assert load_config(text.encode()).experiment.optimizer.weight_decay is None
