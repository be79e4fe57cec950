"""TensorFlow's side: the digits of hand-written code, dtypes, derivatives, draws, loops, lanes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from gdrun.errors import FormulaError
from gdrun.formula import evaluate as evaluate_module
from gdrun.formula import tensorflow_ops
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.failures import LocatedFormulaError
from gdrun.formula.nodes import EAGER_ROUNDS, Definition, LoopDefinition
from gdrun.formula.parse import parse
from gdrun.formula.tensorflow_draws import threefry

W = tf.constant([[0.77, -1.31], [0.25, 1.7]])
X = tf.constant([0.1, 2.3])


Define = dict[str, Definition]


def scope(dtype: str = "float32", draws: Any = None, define: Define | None = None, **values: Any) -> Scope:
    return Scope(values, ops=tensorflow_ops.table(dtype), draws=draws, definitions=define)


def value(text: Any, dtype: str = "float32", **values: Any) -> Any:
    return evaluate(parse(text), scope(dtype, **values))


def refused(text: Any, **values: Any) -> FormulaError:
    with pytest.raises(FormulaError) as caught:
        value(text, **values)
    return caught.value


WRITTEN_BY_HAND: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("3*w**2 - 0.1*w + 1/3", lambda w, x: 3 * w**2 - 0.1 * w + 1 / 3),
    ("mean((w @ x - 0.3)**2)", lambda w, x: tf.reduce_mean((tf.linalg.matvec(w, x) - 0.3) ** 2)),
    ("sum(square(w * x)) / 2", lambda w, x: tf.reduce_sum(tf.square(w * x)) / 2),
    ("-log(sigmoid(w)) * 2", lambda w, x: -tf.math.log(tf.sigmoid(w)) * 2),
    ("softmax(w @ transpose(w))", lambda w, x: tf.nn.softmax(w @ tf.transpose(w))),
    ("x[0] ** x[1]", lambda w, x: x[0] ** x[1]),
    ("norm(w) + maximum(0, w)", lambda w, x: tf.norm(w) + tf.maximum(0.0, w)),
    ("exp(-x**2 / (2 * 0.7**2))", lambda w, x: tf.exp(-(x**2) / (2 * 0.7**2))),
]


@pytest.mark.parametrize(("text", "by_hand"), WRITTEN_BY_HAND, ids=[text for text, _ in WRITTEN_BY_HAND])
def test_value_and_gradient_have_the_digits_of_tensorflow_code(text: str, by_hand: Callable[[Any, Any], Any]):
    for function in (None, tf.function):
        values = []
        for compute in (lambda w, x: value(text, w=w, x=x), by_hand):

            def both(w: Any, x: Any, compute: Any = compute) -> Any:
                with tf.GradientTape() as tape:
                    tape.watch((w, x))
                    result = compute(w, x)
                return result, tape.gradient(result, (w, x), unconnected_gradients="zero")

            values.append((function(both) if function else both)(W, X))
        tf.nest.map_structure(np.testing.assert_array_equal, values[0], values[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_square_and_its_derivatives_have_the_bits_of_tensorflows_power(dtype: str):
    draws = np.random.default_rng(3).normal(0, 3, 1000)
    x = tf.constant([*draws, 0.0, -0.0, 1e-30, 1e30, np.inf, -np.inf, np.nan], dtype)

    def derivatives(square: Callable[[Any], Any], x: Any) -> list[Any]:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = square(x) * 3
            slope = inner.gradient(y, x)
        return [y, slope, outer.gradient(slope, x)]

    def written(x: Any) -> Any:
        return value("x**2", dtype, x=x)

    for own, powers in zip(derivatives(written, x), derivatives(lambda x: tf.pow(x, 2), x), strict=True):
        np.testing.assert_array_equal(own, powers)
    # TensorFlow's own gradient has x ** 1 and x ** 0 beside it, which take most of its time.
    graph = tf.function(derivatives, autograph=False).get_concrete_function(written, x).graph
    assert [op.type for op in graph.get_operations()].count("Pow") == 1
    exponent = tf.constant(2, x.dtype)
    with tf.GradientTape() as tape:
        tape.watch(exponent)
        power = value("3**p", dtype, p=exponent)
    np.testing.assert_allclose(tape.gradient(power, exponent), 9 * np.log(3), rtol=1e-6)


def test_host_values_take_the_tensors_dtype():
    constant = np.array([0.1, 0.2])
    assert value("c * x", x=X, c=constant).dtype == tf.float32
    assert value("c * x", x=tf.cast(X, tf.float64), c=constant).dtype == tf.float64
    assert value("c * 2", c=constant).dtype == np.float32


@pytest.mark.parametrize(
    "text", ["1 - 0.999", "0.1 + 0.2", "1/3", "0.7 * 3 - 2", "c / 3 + 0.1", "sqrt(0.1)", "[0.1, 0.2] / 3"]
)
def test_what_is_known_before_the_run_is_computed_in_its_precision(text: str):
    single = {name: np.float32(number) for name, number in (("c", 0.7),)}
    numbers = re.sub(r"\d+\.\d+|\b\d+\b", lambda match: f"np.float32({match.group()})", text)
    numbers = re.sub(r"\[.*\]", lambda match: f"np.array({match.group()})", numbers).replace("sqrt", "np.sqrt")
    expected = eval(numbers, {"np": np, **single})  # the formula with float32 scalars
    np.testing.assert_array_equal(value(text, c=0.7), expected)
    np.testing.assert_array_equal(value(f"({text}) * x", c=0.7, x=tf.constant(1.0)), expected)


def test_counts_and_indices_are_exact_in_float32():
    assert value("zeros(round(0.29 * 100))").shape == (29,)
    assert value("range(2**24 - 1, 2**24 + 1)").size == 2
    assert value("range(0, 0.3, 0.1)").size == 3  # of float32 ends it would be 4
    assert value("x[0, 2**24 + 1 - 2**24]", x=tf.constant([[1.0, 2.0]])) == 2


def test_tensors_of_two_precisions_meet_in_the_runs():
    assert value("x * y", x=X, y=tf.cast(X, tf.float64)).dtype == tf.float32


def test_integers_and_truth_values_become_the_runs_floats():
    step = tf.constant(7, tf.int64)
    assert value("step / 2", step=step).numpy() == 3.5
    assert value("(x > 1) * 2 + (x < 1)", x=X).numpy().tolist() == [1.0, 2.0]
    assert value("mean(argmax(w, 1) == [0, 1])", w=W).numpy() == 1.0


def test_large_steps_are_told_apart_in_float32():
    step = tf.constant(2**24 + 1, tf.int64)
    assert not value(f"step == {2**24}", step=step).numpy()
    assert value(f"step > {2**24}", step=step).numpy()


def test_complex_numbers_follow_the_precision_and_the_tapes_convention():
    assert value("x + 0.1j", x=X).dtype == tf.complex64
    assert value("x * 1j", "float64", x=tf.cast(X, tf.float64)).dtype == tf.complex128
    z = tf.constant(1.0 + 2.0j, tf.complex64)
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss = tf.math.real(z * z)
    np.testing.assert_array_equal(value("grad(real(z * z), z)", z=z), tape.gradient(loss, z))


def test_a_number_beyond_float32_is_refused():
    assert "float32" in refused("x * 1e300", x=X).message
    assert "float32" in refused("x + 1e-300", x=X).message
    assert np.isfinite(value("x * 1e300", "float64", x=tf.cast(X, tf.float64))).all()


@pytest.mark.parametrize(
    "text",
    [
        "w[0]",
        "w[:, -1]",
        "w[None, ..., 0]",
        "w[::-1]",
        "x[[1, 0, 1]]",
        "w[:, [1, 1]]",
        "w[[0, 1], [1, 0]]",
        "w[0, [1, -1]]",
    ],
)
def test_indexing_is_numpys(text: str):
    expected = eval(text, {"w": W.numpy(), "x": X.numpy()})
    np.testing.assert_array_equal(value(text, w=W, x=X), expected)


def test_an_index_may_be_a_tensor():
    index = tf.constant([1.0, 0.0, -1.0])
    np.testing.assert_array_equal(value("x[k]", x=X, k=index), X.numpy()[[1, 0, 1]])
    np.testing.assert_array_equal(value("w[k, j]", w=W, k=index, j=tf.constant(0)), W.numpy()[[1, 0, 1], 0])
    assert "where" in (refused("x[x > 1]", x=X).hint or "")


def test_shapes_that_do_not_fit_are_told_with_place_also_through_autograph():
    @tf.function
    def traced(x: Any) -> Any:
        return tf.vectorized_map(lambda row: value("1 + row * [1, 2, 3]", row=row), x)

    with pytest.raises(FormulaError, match=r"\(2,\) and \(3,\)") as caught:
        traced(W)
    assert (caught.value.offset, caught.value.length) == (4, 15)


def test_nested_derivatives_are_exact():
    t = tf.constant([0.5, 1.0, 2.0], tf.float64)
    assert_close = np.testing.assert_allclose
    assert_close(value("grad(grad(t**3, t), t)", "float64", t=t), 6 * t, rtol=1e-15)
    assert_close(value("grad(grad(grad(sin(t), t), t), t)", "float64", t=t), -np.cos(t), rtol=1e-14)
    assert_close(
        value("hessian(t[0]**2 * t[1] + exp(t[2]), t)", "float64", t=t), [[2, 1, 0], [1, 0, 0], [0, 0, np.e**2]]
    )
    assert_close(value("jacobian(t * sum(t), t)", "float64", t=t), np.eye(3) * 3.5 + np.outer(t, np.ones(3)))


def test_definitions_are_evaluated_again_under_a_derivative():
    define: Define = {"u": parse("sin(k * t)"), "v": parse("u**2")}
    given = scope("float64", define=define, t=tf.constant([0.3, 0.4], tf.float64), k=np.float64(2.0))
    t = np.array([0.3, 0.4])
    np.testing.assert_allclose(evaluate(parse("grad(v, t)"), given), 4 * np.sin(2 * t) * np.cos(2 * t))
    np.testing.assert_allclose(evaluate(parse("grad(v, u)"), given), 2 * np.sin(2 * t))
    np.testing.assert_allclose(evaluate(parse("grad(u, k)"), given), np.sum(t * np.cos(2 * t)))


def test_a_derivative_goes_through_a_network_that_reads_its_scope():
    def net(inner: Scope, x: Any) -> Any:
        return tf.tanh(x * inner["net.dense1.kernel"])

    kernel, t = tf.constant(0.7, tf.float64), tf.constant([0.3, -0.4], tf.float64)
    given = Scope({"net.dense1.kernel": kernel, "t": t}, functions={"net": net}, ops=tensorflow_ops.table("float64"))
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        again = Scope({**given.values, "net.dense1.kernel": kernel}, functions={"net": net}, ops=given.ops)
        slope = evaluate(parse("grad(net(t), t)"), again)
    np.testing.assert_allclose(slope, 0.7 * (1 - np.tanh(0.7 * t) ** 2))
    mixed = (1 - np.tanh(0.7 * t) ** 2) * (1 - 2 * 0.7 * t * np.tanh(0.7 * t))
    np.testing.assert_allclose(tape.gradient(slope, kernel), np.sum(mixed))


def test_any_custom_gradient_can_be_written():
    text = "grad(stop_gradient(round(x)) + stop_gradient(1) * (x - stop_gradient(x)), x)"
    np.testing.assert_array_equal(value(text, x=X), [1.0, 1.0])


@pytest.mark.parametrize(
    "text", ["grad(2 * y, x)", "grad(floor(x), x)", "grad(x > 0, x)", "grad(3, x)", "grad(grad(3*x, x), x)"]
)
def test_what_does_not_depend_on_a_name_has_no_derivative_by_it(text: str):
    assert "does not depend on 'x'" in refused(text, x=X, y=X).message


def test_an_error_in_a_definition_is_placed_there():
    with pytest.raises(LocatedFormulaError) as caught:
        evaluate(parse("1 + g"), scope(define={"f": parse("2 * x[9]"), "g": parse("f + 1")}, x=X))
    assert caught.value.problem(("model", "formula")).path == ("define", "f")
    assert (caught.value.offset, caught.value.length) == (4, 4)


# Loops.


def doubling(at_most: int) -> LoopDefinition:
    return LoopDefinition(parse("2 * a"), parse("2 * b"), while_=parse("norm(b) < 1000"), at_most=at_most)


@pytest.mark.parametrize("jit", [None, False, True])
@pytest.mark.parametrize("at_most", [8, 100])
def test_a_loop_and_its_gradient(jit: bool | None, at_most: int):
    def compute(a: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(a)
            result = tf.reduce_sum(scope(define={"b": doubling(at_most)}, a=a)["b"])
        return result, tape.gradient(result, a)

    run = compute if jit is None else tf.function(compute, jit_compile=jit, autograph=False)
    factor, norm = 2, 2 * np.sqrt(5)
    for _ in range(at_most):
        if norm >= 1000:
            break
        factor, norm = factor * 2, norm * 2
    result, gradient = run(tf.constant([1.0, 2.0]))
    assert result.numpy() == 3 * factor
    assert gradient.numpy().tolist() == [factor, factor]


@pytest.mark.parametrize("rounds", [100, 1000])
def test_a_look_at_a_long_loop_evaluates_a_fixed_number_of_rounds(rounds: int, monkeypatch: pytest.MonkeyPatch):
    """By hand: 1000 is reached by adding 1 from 0 while below `stop`, and each round but those that end adds 1."""
    repeated = []
    repeat = evaluate_module._LoopRunner.repeat
    monkeypatch.setattr(
        evaluate_module._LoopRunner, "repeat", lambda self, *given: repeated.append(1) or repeat(self, *given)
    )
    stop = 50.0
    loop = LoopDefinition(parse("a"), parse("b + 1"), while_=parse("b < stop"), at_most=rounds)
    with tf.GradientTape() as tape:
        a = tf.constant(0.0)
        tape.watch(a)
        result = scope(define={"b": loop}, a=a, stop=stop)["b"]
    assert (result.numpy(), tape.gradient(result, a).numpy()) == (50, 1)
    assert len(repeated) == EAGER_ROUNDS + 2  # the next one for its shape, one trace


@pytest.mark.parametrize("times", [5, 20])
@pytest.mark.parametrize("jit", [None, False, True])
def test_a_counted_loop_has_a_second_derivative(jit: bool | None, times: int):
    def compute(a: Any) -> Any:
        define: Define = {"p": LoopDefinition(parse("1"), parse("p * a + 0 * i"), times=times)}
        given = scope("float64", define=define, a=a)
        return evaluate(parse("[p, grad(p, a), grad(grad(p, a), a)]"), given)

    run = compute if jit is None else tf.function(compute, jit_compile=jit, autograph=False)
    expected = [1.5**times, times * 1.5 ** (times - 1), times * (times - 1) * 1.5 ** (times - 2)]
    np.testing.assert_allclose(run(tf.constant(1.5, tf.float64)), expected, rtol=1e-12)


def test_the_counter_indexes_and_the_start_is_broadcast():
    define: Define = {"s": LoopDefinition(parse("0"), parse("s + x[i] * w[i]"), times=2)}
    for run in (lambda f: f, tf.function):
        result = run(lambda: scope(define=define, x=X, w=W)["s"])()
        np.testing.assert_allclose(result, X.numpy() @ W.numpy(), rtol=1e-6)


def test_a_long_loop_draws_afresh_each_round():
    loop = LoopDefinition(parse("zeros(40)"), parse("t + one_hot(i, 40) * uniform(0, 1)"), times=40)

    def run() -> Any:
        return scope(draws=tf.constant([1, 2]), define={"t": loop})["t"]

    drawn = run().numpy()
    assert len(set(drawn)) == 40
    np.testing.assert_array_equal(tf.function(run, autograph=False)(), drawn)
    np.testing.assert_array_equal(tf.function(run, jit_compile=True, autograph=False)(), drawn)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"times": 10**9}, "1000000000"),
        ({"times": -1}, "-1"),
    ],
)
def test_a_loop_of_too_many_rounds_is_refused(parts: dict[str, int], message: str):
    with pytest.raises(FormulaError, match=message):
        LoopDefinition(parse("1"), parse("b"), **parts)


def test_a_condition_is_one_truth_value():
    loop = LoopDefinition(parse("x"), parse("2 * b"), while_=parse("b < 10"), at_most=4)
    with pytest.raises(FormulaError, match=r"\(2,\)"):
        scope(define={"b": loop}, x=X)["b"]


# Draws.


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_published_known_answers(key: Any, counter: Any, expected: Any):
    """Random123's kat_vectors for threefry2x32, 20 rounds."""
    words = threefry(*(tuple(tf.constant(word, tf.uint32) for word in pair) for pair in (key, counter)))
    assert tuple(int(word) for word in words) == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("text", "mean", "deviation", "low", "high"),
    [
        ("uniform(2, 5, 40000)", 3.5, 3 / np.sqrt(12), 2, 5),
        ("normal(1, 2, 40000)", 1, 2, -np.inf, np.inf),
        ("truncated_normal(1, 2, 40000)", 1, 2 * 0.8796, -3, 5),
        ("bernoulli(0.3, 40000)", 0.3, np.sqrt(0.21), 0, 1),
    ],
)
def test_draws_have_their_moments(dtype: str, text: str, mean: float, deviation: float, low: float, high: float):
    drawn = evaluate(parse(text), scope(dtype, draws=tf.constant([3, 4]))).numpy()
    assert drawn.dtype == dtype
    assert drawn.mean() == pytest.approx(mean, abs=5 * deviation / 200)
    assert drawn.std() == pytest.approx(deviation, rel=0.03)
    assert drawn.min() >= low
    assert drawn.max() <= high


def test_categorical_draws_by_the_probabilities():
    """By rows of logits, one impossible; the oracle is softmax, within five standard errors."""
    logits = np.log([[0.1, 0.2, 0.7], [0.5, 0.5, 1e-300]])
    drawn = evaluate(parse("categorical(l, 20000)"), scope("float64", l=tf.constant(logits), draws=tf.constant([3, 4])))
    assert drawn.shape == (2, 20000)
    for row, probabilities in zip(drawn.numpy(), np.exp(logits), strict=True):
        shares = np.asarray([np.mean(row == k) for k in range(3)])
        assert np.all(np.abs(shares - probabilities) < 5 * np.sqrt(probabilities * (1 - probabilities) / 20000) + 1e-12)
    once = evaluate(parse("categorical(l)"), scope("float64", l=tf.constant(logits), draws=tf.constant([3, 4])))
    assert once.shape == (2,)


def test_permutations_and_choices_are_different_numbers_each_as_often():
    def drawn(text: str, step: int) -> np.ndarray:
        return evaluate(parse(text), scope(draws=tf.constant([3, step]))).numpy()

    orders = np.stack([drawn("permutation(4)", step) for step in range(400)])
    assert np.all(np.sort(orders, axis=1) == range(4))
    first, pairs = np.bincount(orders[:, 0].astype(int)), np.bincount(orders[:, 1].astype(int))
    assert np.all(np.abs([first, pairs] - np.float64(100)) < 5 * np.sqrt(400 * 3 / 16))
    chosen = drawn("choice(100, 30)", 0)
    assert len(set(chosen)) == len(chosen) == 30
    assert chosen.min() >= 0
    assert chosen.max() < 100


def test_each_draw_has_a_stream_of_its_own():
    def drawn(text: str, owner: str = "loss", seed: tuple[int, int] = (1, 2)) -> list[float]:
        return list(evaluate(parse(text), scope(draws=tf.constant(seed, tf.int64)), owner=owner).numpy())

    first = drawn("normal(0, 1, 3)")
    assert drawn("normal(0, 1, 3)") == first == drawn("  0 + normal(0,1,3)")
    assert drawn("normal(0, 1, 3)", owner="model") != first
    assert drawn("normal(0, 1, 3)", seed=(1, 3)) != first
    assert drawn("normal(0, 1, 3)", seed=(1 + 2**32, 2)) != first
    assert drawn("0 * normal(0, 1, 3) + normal(0, 1, 3)") != first


def test_lanes_draw_the_numbers_of_their_single_runs_with_and_without_xla():
    text = "[normal(0, 1, 3), uniform(0, 1, 3), truncated_normal(0, 1, 3), bernoulli(0.5, 3), permutation(3),"
    text += " choice(9, 3), categorical([0.1, 2, 1], 3)]"
    seeds = tf.constant([[5, 1], [6, 1], [5, 2]])

    def draw(seed: Any) -> Any:
        return evaluate(parse(text), scope(draws=seed))

    run = tf.function(draw, autograph=False)
    single = np.stack([run(seed) for seed in seeds])
    mapped = tf.function(lambda: tf.vectorized_map(draw, seeds, fallback_to_while_loop=False), autograph=False)
    for by_xla in (None, True):
        lanes = tf.function(mapped, jit_compile=by_xla, autograph=False)().numpy()
        np.testing.assert_array_equal(lanes[:, [1, 3, 4, 5]], single[:, [1, 3, 4, 5]])
        # log and cos round by how many they are computed with, and by what computes them.
        np.testing.assert_allclose(lanes, single, rtol=1e-6, atol=1e-6)


def test_a_draw_is_the_same_in_the_value_and_in_its_derivative():
    given = scope(draws=tf.constant([1, 2]), m=tf.constant(0.0), s=tf.constant(1.0))
    drawn = evaluate(parse("sum(normal(m, s, 4))"), given, owner="loss")
    np.testing.assert_allclose(evaluate(parse("grad(sum(normal(m, s, 4)), s)"), given, owner="loss"), drawn, rtol=1e-6)


def test_random_formulas_without_a_seed_are_refused():
    assert "may not" in refused("normal(x, 1)", x=X).message
