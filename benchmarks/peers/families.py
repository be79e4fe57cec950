"""Small experiments of every family of models, and the same training by each peer.

A family is one entry of FAMILIES: its data, its config, and what Keras, JAX and a bare compiled TensorFlow loop train
in its place. All start from their own initial values and see the same examples in batches of the same size.
"""

from __future__ import annotations

import csv
import itertools
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .sample import Sample

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Family:
    """One family of models.

    Args:
        data: -> arrays by name; "x" is what the model sees, "y" the target.
        config: of gdrun, without `data` (unless it names it) and `schedule`.
        steps: of one training.
        batch: examples a step; None: all.
        keras: keras -> (model, loss, optimizer).
        jax: (jax, numpy of JAX) -> (initial parameters, loss of (parameters, x, y)); trained by Adam, or by plain
            gradients where the config says sgd.
        loop: (tensorflow, arrays as tensors) -> (initial values, loss of (variables, x, y)), in a compiled loop.
        trials: of a sweep of learning rates; 0: it is a run.
        disk: the data stay on disk, and Keras reads them by tf.data.
    """

    data: Callable[[], Arrays]
    config: str
    steps: int
    batch: int | None = None
    keras: Callable[[Any], tuple[Any, Any, Any]] | None = None
    jax: Callable[[Any, Any], tuple[Any, Callable[..., Any]]] | None = None
    loop: Callable[[Any, Any], tuple[Any, Callable[..., Any]]] | None = None
    trials: int = 0
    disk: bool = False

    @property
    def rate(self) -> float:
        """The learning rate."""
        return 0.01 if "kind: sgd" in self.config else 0.001


def draw(*shapes: tuple[str, tuple[int, ...] | int], classes: int = 0, examples: int = 0) -> Arrays:
    """Return normal numbers by name, and as "y" labels where there are classes."""
    random = np.random.default_rng(0)
    arrays: Arrays = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes}
    if classes:
        arrays["y"] = random.integers(0, classes, examples).astype(np.int32)
    return arrays


def line() -> Arrays:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, 100)
    return {"x": x.astype(np.float32), "y": (3 * x + 4 + random.normal(0, 0.1, 100)).astype(np.float32)}


def tokens() -> Arrays:
    random = np.random.default_rng(0)
    return {"x": random.integers(0, 1000, (4096, 32)).astype(np.float32), "y": random.integers(0, 2, 4096) * 1.0}


def binary(examples: int, *shape: int) -> Arrays:
    x = draw(("x", (examples, *shape)))["x"]
    return {"x": x, "y": (x.reshape(examples, -1).sum(1) > 0).astype(np.float32)}


def smooth(examples: int) -> Arrays:
    x = np.linspace(0, 1, examples)
    return {"x": x, "y": 2 * np.exp(-3 * x) + 0.5 + 0.01 * np.random.default_rng(0).normal(size=examples)}


LINE = """
model: {kind: formula, formula: w * x + b, parameters: {w: 0, b: 0}}
loss: mse
optimizer: {kind: sgd, learning_rate: 0.01}
"""
MLP = """
model: {kind: mlp, hidden: [128], activation: relu, outputs: 10}
loss: {kind: sparse_categorical_crossentropy, from_logits: true}
optimizer: {kind: adam, learning_rate: 0.001}
"""


def layers(text: str, loss: str = "{kind: binary_crossentropy, from_logits: true}") -> str:
    """Return a config of layers, trained by Adam."""
    return f"model: {{kind: layers, layers: [{text}]}}\nloss: {loss}\noptimizer: {{kind: adam, learning_rate: 0.001}}\n"


CNN = layers(
    "{kind: conv2d, filters: 16, kernel_size: 3, activation: relu}, {kind: max_pooling2d}, {kind: conv2d, filters: 32, "
    "kernel_size: 3, activation: relu}, {kind: max_pooling2d}, flatten, {kind: dense, units: 10}",
    "{kind: sparse_categorical_crossentropy, from_logits: true}",
)
PINN = """
define: {u: net(x), ux: "grad(u, x)", uxx: "grad(ux, x)"}
model:
  kind: formula
  networks: {net: {kind: mlp, hidden: [64, 64, 64], activation: tanh, outputs: 1}}
  formula: mean((uxx + pi**2 * sin(pi * x))**2) + net(-1.0)**2 + net(1.0)**2
loss: output
optimizer: {kind: adam, learning_rate: 0.001}
"""
GAN = """
model:
  kind: formula
  networks:
    make: {kind: layers, layers: [{kind: dense, units: 392}, {kind: relu}, {kind: reshape, shape: [7, 7, 8]},
      {kind: conv2d_transpose, filters: 8, kernel_size: 3, strides: 2, padding: same, activation: relu},
      {kind: conv2d_transpose, filters: 1, kernel_size: 3, strides: 2, padding: same}, flatten]}
    judge: {kind: layers, layers: [{kind: reshape, shape: [28, 28, 1]},
      {kind: conv2d, filters: 8, kernel_size: 3, strides: 2, activation: relu}, flatten, {kind: dense, units: 1}]}
  formula: {fake: make(z), true_score: judge(x), false_score: judge(fake)}
loss: {kind: formula, formula: mean((true_score - 1)**2) + mean(false_score**2)}
optimizer: {kind: adam, learning_rate: 0.001}
"""
PROCESS = """
precision: float64
define:
  kernel: a**2 * exp(-0.5 * ((x[:, None] - x) / s)**2) + n**2 * eye(100)
  L: cholesky(kernel)
  whitened: triangular_solve(L, y)
model:
  kind: formula
  parameters: {s: {value: 0.5, transform: exp}, a: {value: 1, transform: exp}, n: {value: 0.5, transform: exp}}
  formula: 0.5 * sum(whitened**2) + sum(log(diag_part(L)))
loss: output
optimizer: {kind: adam, learning_rate: 0.001}
"""
FACTORS = """
model:
  kind: formula
  formula: mean((x - U @ transpose(V))**2)
  parameters: {U: {init: "normal(0, 0.1)", shape: [200, 8]}, V: {init: "normal(0, 0.1)", shape: [100, 8]}}
loss: output
optimizer: {kind: adam, learning_rate: 0.001}
"""
DECAY = """
precision: float64
model: {kind: formula, formula: a * exp(-b * x) + c, parameters: {a: 1, b: 1, c: 0}}
loss: mse
optimizer: levenberg_marquardt
"""


def sequential(*names: Any, shape: tuple[int, ...], loss: str) -> Callable[[Any], tuple[Any, Any, Any]]:
    """Return a function that makes a Keras model of layers, each a name of keras.layers with its arguments."""

    def make(keras: Any) -> tuple[Any, Any, Any]:
        made = [getattr(keras.layers, name)(*arguments, **options) for name, arguments, options in names]
        optimizer = keras.optimizers.SGD(0.01) if loss == "mse" else keras.optimizers.Adam(0.001)
        function = loss if loss == "mse" else getattr(keras.losses, loss)(from_logits=True)
        return keras.Sequential([keras.Input(shape), *made]), function, optimizer

    return make


def layer(name: str, *arguments: Any, **options: Any) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """Return the name of a Keras layer with its arguments."""
    return name, arguments, options


def dense_weights(jnp: Any, *sizes: int) -> list[Any]:
    random = np.random.default_rng(0)
    pairs = itertools.pairwise(sizes)
    return [(jnp.asarray(random.normal(0, 1 / a**0.5, (a, b)), jnp.float32), jnp.zeros(b)) for a, b in pairs]


def jax_line(_: Any, jnp: Any) -> Any:
    return (jnp.float32(0), jnp.float32(0)), lambda p, x, y: jnp.mean((p[0] * x + p[1] - y) ** 2)


def jax_logistic(jax: Any, jnp: Any) -> Any:
    def loss(p: Any, x: Any, y: Any) -> Any:
        z = x @ p[0] + p[1]
        return jnp.mean(jax.nn.softplus(z) - y * z)

    return (jnp.zeros(30), jnp.float32(0)), loss


def cross_entropy(jax: Any, jnp: Any, logits: Any, y: Any) -> Any:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1))


def jax_mlp(jax: Any, jnp: Any) -> Any:
    def loss(p: Any, x: Any, y: Any) -> Any:
        (w, b), (v, c) = p
        return cross_entropy(jax, jnp, jax.nn.relu(x @ w + b) @ v + c, y)

    return dense_weights(jnp, 784, 128, 10), loss


def jax_cnn(jax: Any, jnp: Any) -> Any:
    random = np.random.default_rng(0)
    kernels = [jnp.asarray(random.normal(0, 0.1, shape), jnp.float32) for shape in ((3, 3, 1, 16), (3, 3, 16, 32))]

    def loss(p: Any, x: Any, y: Any) -> Any:
        for kernel, bias in zip(p[0], p[1], strict=True):
            x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = jax.nn.relu(x + bias)
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        ((w, b),) = p[2]
        return cross_entropy(jax, jnp, x.reshape(len(x), -1) @ w + b, y)

    return (kernels, [jnp.zeros(16), jnp.zeros(32)], dense_weights(jnp, 800, 10)), loss


def jax_pinn(jax: Any, jnp: Any) -> Any:
    def net(p: Any, x: Any) -> Any:
        h = jnp.reshape(x, (1,))
        for w, b in p[:-1]:
            h = jnp.tanh(h @ w + b)
        return (h @ p[-1][0] + p[-1][1])[0]

    def loss(p: Any, x: Any, _: Any) -> Any:
        second = jax.vmap(jax.grad(jax.grad(partial(net, p))))(x)
        ends = net(p, -1.0) ** 2 + net(p, 1.0) ** 2
        return jnp.mean((second + jnp.pi**2 * jnp.sin(jnp.pi * x)) ** 2) + ends

    return dense_weights(jnp, 1, 64, 64, 64, 1), loss


def loop_process(tf: Any, _: Any) -> Any:
    def loss(p: Any, x: Any, y: Any) -> Any:
        s, a, n = (tf.exp(value) for value in p)
        kernel = a**2 * tf.exp(-0.5 * ((x[:, None] - x) / s) ** 2) + n**2 * tf.eye(100, dtype=tf.float64)
        root = tf.linalg.cholesky(kernel)
        whitened = tf.linalg.triangular_solve(root, y[:, None])
        return 0.5 * tf.reduce_sum(whitened**2) + tf.reduce_sum(tf.math.log(tf.linalg.diag_part(root)))

    return [np.log(0.5), 0.0, np.log(0.5)], loss


def loop_factors(tf: Any, _: Any) -> Any:
    random = np.random.default_rng(0)
    start = [random.normal(0, 0.1, shape).astype(np.float32) for shape in ((200, 8), (100, 8))]
    return start, lambda p, x, y: tf.reduce_mean((x - tf.matmul(p[0], p[1], transpose_b=True)) ** 2)


def loop_network(tf: Any, keras: Any, sizes: tuple[int, ...], activation: str) -> tuple[list[Any], Callable[..., Any]]:
    start = [np.asarray(leaf) for pair in dense_weights(np, *sizes) for leaf in pair]
    last = len(sizes) - 2

    def net(p: Any, h: Any) -> Any:
        for k in range(last + 1):
            h = h @ p[2 * k] + p[2 * k + 1]
            h = h if k == last else getattr(tf.nn, activation)(h)
        return h

    return [np.float32(value) for value in start], net


def loop_mlp(tf: Any, _: Any) -> Any:
    start, net = loop_network(tf, None, (784, 128, 10), "relu")
    cross = tf.nn.sparse_softmax_cross_entropy_with_logits
    return start, lambda p, x, y: tf.reduce_mean(cross(labels=y, logits=net(p, x)))


def loop_pinn(tf: Any, _: Any) -> Any:
    start, net = loop_network(tf, None, (1, 64, 64, 64, 1), "tanh")

    def loss(p: Any, x: Any, y: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                u = net(p, x[:, None])
            slope = inner.gradient(u, x)
        second = outer.gradient(slope, x)
        ends = tf.reduce_sum(net(p, tf.constant([[-1.0], [1.0]])) ** 2)
        return tf.reduce_mean((second + np.pi**2 * tf.sin(np.pi * x)) ** 2) + ends

    return start, loss


def loop_gan(tf: Any, _: Any) -> Any:
    import keras

    L = keras.layers
    make = keras.Sequential(
        [
            keras.Input((16,)), L.Dense(392), L.ReLU(), L.Reshape((7, 7, 8)),
            L.Conv2DTranspose(8, 3, 2, padding="same", activation="relu"),
            L.Conv2DTranspose(1, 3, 2, padding="same"), L.Flatten(),
        ]
    )  # fmt: skip
    judge = keras.Sequential(
        [keras.Input((784,)), L.Reshape((28, 28, 1)), L.Conv2D(8, 3, 2, activation="relu"), L.Flatten(), L.Dense(1)]
    )

    def loss(p: Any, x: Any, y: Any) -> Any:
        count = len(make.trainable_variables)
        fake, _ = make.stateless_call(p[:count], [], y)
        real, _ = judge.stateless_call(p[count:], [], x)
        false, _ = judge.stateless_call(p[count:], [], fake)
        return tf.reduce_mean((real - 1) ** 2) + tf.reduce_mean(false**2)

    return [np.asarray(v) for v in (*make.trainable_variables, *judge.trainable_variables)], loss


CROSS, BINARY = "SparseCategoricalCrossentropy", "BinaryCrossentropy"
KERAS_LINE = sequential(layer("Dense", 1), shape=(1,), loss="mse")
KERAS_MLP = sequential(layer("Dense", 128, "relu"), layer("Dense", 10), shape=(784,), loss=CROSS)
KERAS_CNN = sequential(
    layer("Conv2D", 16, 3, activation="relu"), layer("MaxPooling2D"), layer("Conv2D", 32, 3, activation="relu"),
    layer("MaxPooling2D"), layer("Flatten"), layer("Dense", 10), shape=(28, 28, 1), loss=CROSS,
)  # fmt: skip
IMAGES = partial(draw, ("x", (2048, 28, 28, 1)), classes=10, examples=2048)
FAMILIES = {
    "line": Family(line, LINE, 20_000, keras=KERAS_LINE, jax=jax_line),
    "logistic": Family(
        partial(binary, 50_000, 30), "data: {kind: csv, path: data.csv, target: y}\n"
        "model: linear\nloss: {kind: binary_crossentropy, from_logits: true}\noptimizer: adam\n", 1000, 128,
        sequential(layer("Dense", 1), shape=(30,), loss=BINARY), jax_logistic,
    ),
    "mlp": Family(
        partial(draw, ("x", (20_000, 784)), classes=10, examples=20_000), MLP, 785, 128, KERAS_MLP, jax_mlp, loop_mlp
    ),
    "cnn": Family(IMAGES, CNN, 64, 64, KERAS_CNN, jax_cnn),
    "gan": Family(partial(draw, ("x", (512, 784)), ("z", (512, 16))), GAN, 32, 64, loop=loop_gan),
    "lstm": Family(
        partial(binary, 2048, 20, 4), layers("{kind: lstm, units: 32}, {kind: dense, units: 1}"), 128, 64,
        sequential(layer("LSTM", 32), layer("Dense", 1), shape=(20, 4), loss=BINARY),
    ),
    "embedding": Family(
        tokens, layers("{kind: embedding, size: 1000, units: 16}, global_average_pooling1d, {kind: dense, units: 1}"),
        256, 64, sequential(
            layer("Embedding", 1000, 16), layer("GlobalAveragePooling1D"), layer("Dense", 1), shape=(32,), loss=BINARY
        ),
    ),
    "normalisation": Family(
        partial(binary, 4096, 20), layers(
            "{kind: dense, units: 64, activation: relu}, batch_normalization, {kind: dropout, rate: 0.2}, "
            "{kind: dense, units: 1}"
        ), 512, 64, sequential(
            layer("Dense", 64, "relu"), layer("BatchNormalization"), layer("Dropout", 0.2), layer("Dense", 1),
            shape=(20,), loss=BINARY,
        ),
    ),
    "process": Family(partial(smooth, 100), PROCESS, 300, loop=loop_process),
    "pinn": Family(partial(draw, ("x", 1000)), PINN, 200, jax=jax_pinn, loop=loop_pinn),
    "factorisation": Family(partial(draw, ("x", (200, 100))), FACTORS, 1000, loop=loop_factors),
    "levenberg": Family(partial(smooth, 1002), DECAY, 50),
    "disk": Family(partial(draw, ("x", (200_000, 256)), classes=10, examples=200_000), MLP, 782, 256, sequential(
        layer("Dense", 128, "relu"), layer("Dense", 10), shape=(256,), loss=CROSS), disk=True),
    "line-sweep": Family(line, LINE, 5000, jax=jax_line, trials=64),
    "mlp-sweep": Family(
        partial(draw, ("x", (2000, 784)), classes=10, examples=2000), MLP, 32, 128, KERAS_MLP, jax_mlp, trials=64
    ),
    "pinn-sweep": Family(partial(draw, ("x", 1000)), PINN, 10, jax=jax_pinn, loop=loop_pinn, trials=64),
    "cnn-sweep": Family(IMAGES, CNN, 4, 64, KERAS_CNN, jax_cnn, trials=64),
}  # fmt: skip


class Peer:
    """Training of one family; see `peers`."""

    def __init__(self, family: Family, quick: bool) -> None:
        self.family = family
        self.steps = max(2, family.steps // 8) if quick else family.steps
        self.arrays = family.data()

    def indices(self) -> np.ndarray:
        """Return the examples of each step, int32 (steps, batch)."""
        examples, size = len(self.arrays["x"]), self.family.batch or len(self.arrays["x"])
        random = np.random.default_rng(1)
        epochs = [
            random.permutation(examples)[: examples // size * size]
            for _ in range(-(-self.steps * size // examples) + 1)
        ]
        return np.concatenate(epochs)[: self.steps * size].reshape(self.steps, size).astype(np.int32)


class Gdrun(Peer):
    """gdrun, with default rows or none, as it chooses or as it is told."""

    overrides: tuple[str, ...] = ()
    lanes: str | int | None = None

    def __init__(self, family: Family, quick: bool) -> None:
        import gdrun

        super().__init__(family, quick)
        self.folder = Path(tempfile.mkdtemp(prefix="gdrun-benchmark-"))
        batch = f", batch_size: {family.batch}, order: shuffled" if family.batch else ""
        text = family.config + f"schedule: {{steps: {self.steps}{batch}}}\n"
        if "data:" not in text:
            inputs = [name for name in self.arrays if name != "y" or family.config is PROCESS]
            target = "" if "y" not in self.arrays or "y" in inputs else ", target: y"
            mapped = ", memory: mapped" if family.disk else ""
            text += f"data: {{kind: npz, path: data.npz, inputs: [{', '.join(inputs)}]{target}{mapped}}}\n"
            np.savez(self.folder / "data.npz", **self.arrays)
        else:
            with open(self.folder / "data.csv", "w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow([*(f"x{k}" for k in range(30)), "y"])
                writer.writerows(np.column_stack([self.arrays["x"], self.arrays["y"]]).tolist())
        (self.folder / "config.yaml").write_text(text)
        self.arrays = {}
        self.prepared = (
            None
            if family.trials
            else gdrun.prepare(gdrun.load_config(self.folder / "config.yaml", list(self.overrides)))
        )

    def run(self) -> Sample:
        import gdrun

        from .timed import TrainingTime

        if self.prepared is not None:
            sample = TrainingTime(self.prepared, self.folder / "runs").sample()
            return Sample(sample.seconds, sample.steps, sample.loss, self.prepared.built.compile)
        began = time.perf_counter()
        rates = f"optimizer.learning_rate=log:1e-4:1e-2:{self.family.trials}"
        made = gdrun.sweep(self.folder / "config.yaml", [rates], runs_dir=self.folder / "runs", lanes=self.lanes)
        seconds = time.perf_counter() - began
        ways = ", ".join(made.info.extra["strategy"])
        return Sample(seconds, self.steps * self.family.trials, float("nan"), f"{made.info.compile}, {ways}")


class Keras(Peer):
    """Keras's fit; of a sweep two trials, whose time a step is that of all."""

    settings: ClassVar[dict[str, Any]] = {}

    def __init__(self, family: Family, quick: bool) -> None:
        import keras
        import tensorflow as tf

        super().__init__(family, quick)
        assert family.keras is not None
        model, loss, optimizer = family.keras(keras)
        model.compile(optimizer, loss, **self.settings)
        x = self.arrays["x"] if self.arrays["x"].ndim > 1 else self.arrays["x"][:, None]
        size = family.batch or len(x)
        if family.disk:
            folder = Path(tempfile.mkdtemp(prefix="gdrun-benchmark-"))
            np.save(folder / "x.npy", x)
            x = np.load(folder / "x.npy", mmap_mode="r")
            pairs = lambda: zip(x, self.arrays["y"], strict=True)  # noqa: E731
            kinds = (tf.TensorSpec(x.shape[1:], tf.float32), tf.TensorSpec((), tf.int32))
            data = tf.data.Dataset.from_generator(pairs, output_signature=kinds).shuffle(10_000)
        else:
            data = tf.data.Dataset.from_tensor_slices((x, self.arrays["y"])).shuffle(len(x))
        data = data.batch(size) if family.batch else tf.data.Dataset.from_tensors((x, self.arrays["y"]))
        self.model, self.data = model, data.repeat().prefetch(tf.data.AUTOTUNE)

    def run(self) -> Sample:
        began = time.perf_counter()
        history = self.model.fit(self.data, epochs=1, steps_per_epoch=self.steps, verbose=0)
        return Sample(time.perf_counter() - began, self.steps, float(history.history["loss"][-1]))


class Jax(Peer):
    """jax.lax.scan over optax's Adam or SGD, all steps in one call; of a sweep, all rates by vmap."""

    def __init__(self, family: Family, quick: bool) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        super().__init__(family, quick)
        assert family.jax is not None
        start, loss = family.jax(jax, jnp)
        moments = optax.identity() if "kind: sgd" in family.config else optax.scale_by_adam(eps=1e-7)
        x, y = jnp.asarray(self.arrays["x"]), jnp.asarray(self.arrays.get("y", np.zeros(1)))

        def train(rate: Any, start: Any, order: Any, x: Any, y: Any) -> Any:
            def step(carry: Any, index: Any) -> Any:
                parameters, state = carry
                seen = (x, y) if family.batch is None else (x[index], y[index])
                value, gradients = jax.value_and_grad(loss)(parameters, *seen)
                updates, state = moments.update(gradients, state)
                return (jax.tree.map(lambda p, u: p - rate * u, parameters, updates), state), value

            length = self.steps if family.batch is None else None
            return jax.lax.scan(step, (start, moments.init(start)), order, length=length)

        order = None if family.batch is None else jnp.asarray(self.indices())
        rates: Any = jnp.logspace(-4, -2, family.trials) if family.trials else family.rate
        function = jax.vmap(train, in_axes=(0, None, None, None, None)) if family.trials else train
        self.call = partial(jax.jit(function), rates, start, order, x, y)
        self.wait = jax.block_until_ready

    def run(self) -> Sample:
        began = time.perf_counter()
        _, losses = self.wait(self.call())
        seconds = time.perf_counter() - began
        return Sample(seconds, self.steps * max(1, self.family.trials), float(np.ravel(losses)[-1]))


class Loop(Peer):
    """One tf.function over a while loop of tape, Adam and batches, as a patient person writes it."""

    jit = False

    def __init__(self, family: Family, quick: bool) -> None:
        import tensorflow as tf

        super().__init__(family, quick)
        assert family.loop is not None
        start, loss = family.loop(tf, None)
        x, y = tf.constant(self.arrays["x"]), tf.constant(self.arrays.get("y", self.arrays.get("z", np.zeros(1))))
        order = tf.constant(self.indices()) if family.batch else None
        parameters = [tf.constant(value, x.dtype) for value in start]

        def body(step: Any, p: Any, m: Any, v: Any, _: Any) -> Any:
            index = None if order is None else tf.gather(order, step)
            seen = (x, y) if index is None else (tf.gather(x, index), tf.gather(y, index))
            with tf.GradientTape() as tape:
                tape.watch(p)
                value = loss(p, *seen)
            gradients = tape.gradient(value, p)
            m = [a + 0.1 * (g - a) for a, g in zip(m, gradients, strict=True)]
            v = [a + 0.001 * (g * g - a) for a, g in zip(v, gradients, strict=True)]
            count = tf.cast(step + 1, x.dtype)
            rate = 0.001 * tf.sqrt(1 - 0.999**count) / (1 - 0.9**count)
            p = [a - rate * b / (tf.sqrt(c) + 1e-7) for a, b, c in zip(p, m, v, strict=True)]
            return step + 1, p, m, v, value

        def train() -> Any:
            zeros = [tf.zeros_like(value) for value in parameters]
            carry = (tf.constant(0), parameters, zeros, zeros, tf.zeros([], x.dtype))
            return tf.while_loop(lambda step, *_: step < self.steps, body, carry, parallel_iterations=1)[-1]

        self.call = tf.function(train, jit_compile=self.jit, autograph=False)

    def run(self) -> Sample:
        began = time.perf_counter()
        loss = float(self.call().numpy())
        return Sample(time.perf_counter() - began, self.steps, loss)


def variant(base: type[Peer], **attributes: Any) -> type[Peer]:
    """Return a peer with other class attributes."""
    return type(base.__name__, (base,), attributes)


def peers(family: Family) -> dict[str, type[Peer]]:
    """Return who trains a family, by name; "gdrun" is what gdrun chooses."""
    chosen: dict[str, type[Peer]] = {"gdrun": Gdrun}
    if family.trials:
        chosen |= {"gdrun, lanes": variant(Gdrun, lanes=family.trials), "gdrun, lanes off": variant(Gdrun, lanes="off")}
    else:
        chosen |= {f"gdrun, {mode}": variant(Gdrun, overrides=(f"compile={mode}",)) for mode in ("xla", "graph")}
        chosen["gdrun, no rows"] = variant(Gdrun, overrides=("record.every=[0]",))
    if family.keras:
        tuned = {"jit_compile": True, "steps_per_execution": 16}
        chosen |= {"Keras fit": Keras, "Keras fit, tuned": variant(Keras, settings=tuned)}
    if family.jax:
        chosen["JAX + optax"] = Jax
    if family.loop and not family.trials:
        chosen |= {"bare loop, graph": Loop, "bare loop, xla": variant(Loop, jit=True)}
    return chosen


PEERS = {
    f"{name}/{peer}": partial(maker, family)
    for name, family in FAMILIES.items()
    for peer, maker in peers(family).items()
}
