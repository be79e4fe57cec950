"""Small experiments of every family of models, and the same training by each peer.

A family is one entry of FAMILIES: its data, its config, and what Keras, JAX and a bare compiled TensorFlow loop train
in its place. All start from their own initial values and see the same examples in batches of the same size.
"""

from __future__ import annotations

import itertools
import multiprocessing
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .sample import Sample, now
from .timed import TrainingTime

Loss = Callable[..., Any]


@dataclass(frozen=True)
class Family:
    """One family of models.

    Args:
        data: returns the arrays, "x" and mostly "y"; gdrun reads them from a file that `config` names.
        config: of gdrun, without the schedule.
        steps: of one training.
        batch: examples a step; None: all.
        keras: (keras.layers) -> layers of the same model.
        jax: (jax, numpy of JAX) -> (initial parameters, loss of (parameters, x, y)).
        loop: (tensorflow) -> (initial values, loss of (values, x, y)).
        trials: of a sweep of learning rates; 0: it is a run.
        disk: the data stay on disk, and Keras reads them by tf.data.
    """

    data: Callable[[], dict[str, np.ndarray]]
    config: str
    steps: int
    batch: int | None = None
    keras: Callable[[Any], list[Any]] | None = None
    jax: Callable[[Any, Any], tuple[Any, Loss]] | None = None
    loop: Callable[[Any], tuple[Any, Loss]] | None = None
    trials: int = 0
    disk: bool = False

    @property
    def plain(self) -> bool:
        """By plain gradients at rate 0.01; else by Adam at 0.001."""
        return "kind: sgd" in self.config


def line() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, 100)
    return {"x": x.astype(np.float32), "y": (3 * x + 4 + random.normal(0, 0.1, 100)).astype(np.float32)}


def normal(*shape: int, classes: int = 0) -> dict[str, np.ndarray]:
    """Return normal numbers, and as "y" labels where there are classes."""
    random = np.random.default_rng(0)
    x = random.standard_normal(shape).astype(np.float32)
    return {"x": x} | ({"y": random.integers(0, classes, shape[0]).astype(np.int32)} if classes else {})


def binary(*shape: int) -> dict[str, np.ndarray]:
    x = normal(*shape)["x"]
    return {"x": x, "y": (x.reshape(len(x), -1).sum(1) > 0).astype(np.float32)}


def tokens() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {"x": random.integers(0, 1000, (4096, 32)).astype(np.float32), "y": random.integers(0, 2, 4096) * 1.0}


def smooth(examples: int) -> dict[str, np.ndarray]:
    x = np.linspace(0, 1, examples)
    return {"x": x, "y": 2 * np.exp(-3 * x) + 0.5 + 0.01 * np.random.default_rng(0).normal(size=examples)}


X = "data: {kind: npz, path: data.npz, inputs: [x]}\n"
XY = "data: {kind: npz, path: data.npz, inputs: [x], target: y}\n"
ADAM = "optimizer: {kind: adam, learning_rate: 0.001}\n"
CROSS = "loss: {kind: sparse_categorical_crossentropy, from_logits: true}\n"
BINARY = "loss: {kind: binary_crossentropy, from_logits: true}\n"
LINE = (
    XY
    + """
model: {kind: formula, formula: w * x + b, parameters: {w: 0, b: 0}}
loss: mse
optimizer: {kind: sgd, learning_rate: 0.01}
"""
)
MLP = XY + "model: {kind: mlp, hidden: [128], activation: relu, outputs: 10}\n" + CROSS + ADAM
LAYERS = XY + "model: {kind: layers, layers: [%s]}\n" + ADAM
CNN = CROSS + LAYERS % (
    "{kind: conv2d, filters: 16, kernel_size: 3, activation: relu}, max_pooling2d, "
    "{kind: conv2d, filters: 32, kernel_size: 3, activation: relu}, max_pooling2d, flatten, {kind: dense, units: 10}"
)
NORMALISATION = BINARY + LAYERS % (
    "{kind: dense, units: 64, activation: relu}, batch_normalization, {kind: dropout, rate: 0.2}, "
    "{kind: dense, units: 1}"
)
LOGISTIC = (
    f"data: {{kind: csv, path: data.csv, inputs: [{', '.join(f'x{k}' for k in range(30))}], target: y}}\n"
    "model: linear\n" + BINARY + ADAM
)
PINN = (
    X
    + ADAM
    + """
define: {u: net(x), ux: "grad(u, x)", uxx: "grad(ux, x)"}
model:
  kind: formula
  networks: {net: {kind: mlp, hidden: [64, 64, 64], activation: tanh, outputs: 1}}
  formula: mean((uxx + pi**2 * sin(pi * x))**2) + net(-1.0)**2 + net(1.0)**2
loss: output
"""
)
GAN = (
    "data: {kind: npz, path: data.npz, inputs: [x, y]}\n"
    + ADAM
    + """
model:
  kind: formula
  networks:
    make: {kind: layers, layers: [{kind: dense, units: 392}, relu, {kind: reshape, target_shape: [7, 7, 8]},
      {kind: conv2d_transpose, filters: 8, kernel_size: 3, strides: 2, padding: same, activation: relu},
      {kind: conv2d_transpose, filters: 1, kernel_size: 3, strides: 2, padding: same}, flatten]}
    judge: {kind: layers, layers: [{kind: reshape, target_shape: [28, 28, 1]},
      {kind: conv2d, filters: 8, kernel_size: 3, strides: 2, activation: relu}, flatten, {kind: dense, units: 1}]}
  formula: {true_score: judge(x), false_score: judge(make(y))}
loss: {kind: formula, formula: mean((true_score - 1)**2) + mean(false_score**2)}
"""
)
PROCESS = (
    "data: {kind: npz, path: data.npz, inputs: [x, y]}\n"
    + ADAM
    + """
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
"""
)
FACTORS = (
    X
    + ADAM
    + """
model:
  kind: formula
  formula: mean((x - U @ transpose(V))**2)
  parameters: {U: {init: "normal(0, 0.1)", shape: [200, 8]}, V: {init: "normal(0, 0.1)", shape: [100, 8]}}
loss: output
"""
)
DECAY = (
    XY
    + """
precision: float64
model: {kind: formula, formula: a * exp(-b * x) + c, parameters: {a: 1, b: 1, c: 0}}
loss: mse
optimizer: levenberg_marquardt
"""
)


def weights(*sizes: int) -> list[list[np.ndarray]]:
    """Return (weights, biases) of each dense layer."""
    random = np.random.default_rng(0)
    return [[random.normal(0, a**-0.5, (a, b)).astype("f"), np.zeros(b, "f")] for a, b in itertools.pairwise(sizes)]


def jax_line(_: Any, jnp: Any) -> Any:
    return [np.float32(0), np.float32(0)], lambda p, x, y: jnp.mean((p[0] * x + p[1] - y) ** 2)


def jax_logistic(jax: Any, jnp: Any) -> Any:
    def loss(p: Any, x: Any, y: Any) -> Any:
        z = (x @ p[0][0] + p[0][1])[:, 0]
        return jnp.mean(jax.nn.softplus(z) - y * z)

    return weights(30, 1), loss


def cross_entropy(jax: Any, jnp: Any, logits: Any, y: Any) -> Any:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1))


def jax_mlp(jax: Any, jnp: Any) -> Any:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return cross_entropy(jax, jnp, jax.nn.relu(x @ p[0][0] + p[0][1]) @ p[1][0] + p[1][1], y)

    return weights(784, 128, 10), loss


def jax_cnn(jax: Any, jnp: Any) -> Any:
    random = np.random.default_rng(0)
    shapes = (3, 3, 1, 16), (3, 3, 16, 32)
    kernels = [[random.normal(0, 0.1, shape).astype("f"), np.zeros(shape[-1], "f")] for shape in shapes]

    def loss(p: Any, x: Any, y: Any) -> Any:
        for kernel, bias in p[:2]:
            x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = jax.lax.reduce_window(jax.nn.relu(x + bias), -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return cross_entropy(jax, jnp, x.reshape(len(x), -1) @ p[2][0] + p[2][1], y)

    return kernels + weights(800, 10), loss


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

    return weights(1, 64, 64, 64, 1), loss


def loop_process(tf: Any) -> Any:
    def loss(p: Any, x: Any, y: Any) -> Any:
        s, a, n = (tf.exp(value) for value in p)
        kernel = a**2 * tf.exp(-0.5 * ((x[:, None] - x) / s) ** 2) + n**2 * tf.eye(100, dtype=tf.float64)
        root = tf.linalg.cholesky(kernel)
        whitened = tf.linalg.triangular_solve(root, y[:, None])
        return 0.5 * tf.reduce_sum(whitened**2) + tf.reduce_sum(tf.math.log(tf.linalg.diag_part(root)))

    return [np.log(0.5), 0.0, np.log(0.5)], loss


def loop_factors(tf: Any) -> Any:
    random = np.random.default_rng(0)
    start = [random.normal(0, 0.1, shape).astype("f") for shape in ((200, 8), (100, 8))]
    return start, lambda p, x, y: tf.reduce_mean((x - tf.matmul(p[0], p[1], transpose_b=True)) ** 2)


def loop_mlp(tf: Any) -> Any:
    cross = tf.nn.sparse_softmax_cross_entropy_with_logits

    def loss(p: Any, x: Any, y: Any) -> Any:
        return tf.reduce_mean(cross(labels=y, logits=tf.nn.relu(x @ p[0] + p[1]) @ p[2] + p[3]))

    return [*itertools.chain(*weights(784, 128, 10))], loss


def loop_gan(tf: Any) -> Any:
    from keras import Input, Sequential
    from keras import layers as L

    up = partial(L.Conv2DTranspose, kernel_size=3, strides=2, padding="same")
    hidden = [L.Dense(392), L.ReLU(), L.Reshape((7, 7, 8)), up(8, activation="relu"), up(1), L.Flatten()]
    make = Sequential([Input((16,)), *hidden])
    scores = [L.Reshape((28, 28, 1)), L.Conv2D(8, 3, 2, activation="relu"), L.Flatten(), L.Dense(1)]
    judge = Sequential([Input((784,)), *scores])
    count = len(make.trainable_variables)

    def loss(p: Any, x: Any, y: Any) -> Any:
        fake = make.stateless_call(p[:count], [], y)[0]
        true_score, false_score = (judge.stateless_call(p[count:], [], images)[0] for images in (x, fake))
        return tf.reduce_mean((true_score - 1) ** 2) + tf.reduce_mean(false_score**2)

    return [v.numpy() for v in (*make.trainable_variables, *judge.trainable_variables)], loss


def keras_mlp(L: Any) -> list[Any]:
    return [L.Dense(128, "relu"), L.Dense(10)]


def keras_cnn(L: Any) -> list[Any]:
    convolutions = [L.Conv2D(16, 3, activation="relu"), L.MaxPooling2D(), L.Conv2D(32, 3, activation="relu")]
    return [*convolutions, L.MaxPooling2D(), L.Flatten(), L.Dense(10)]


IMAGES, POINTS = partial(normal, 2048, 28, 28, 1, classes=10), partial(normal, 1000)
FAMILIES = {
    "line": Family(line, LINE, 20_000, keras=lambda L: [L.Dense(1)], jax=jax_line),
    "logistic": Family(partial(binary, 50_000, 30), LOGISTIC, 1000, 128, lambda L: [L.Dense(1)], jax_logistic),
    "mlp": Family(partial(normal, 20_000, 784, classes=10), MLP, 785, 128, keras_mlp, jax_mlp, loop_mlp),
    "cnn": Family(IMAGES, CNN, 64, 64, keras_cnn, jax_cnn),
    "gan": Family(lambda: {"x": normal(512, 784)["x"], "y": normal(512, 16)["x"]}, GAN, 128, 64, loop=loop_gan),
    "lstm": Family(
        partial(binary, 2048, 20, 4), BINARY + LAYERS % "{kind: lstm, units: 32}, {kind: dense, units: 1}", 128, 64,
        keras=lambda L: [L.LSTM(32), L.Dense(1)],
    ),
    "embedding": Family(
        tokens, BINARY + LAYERS % "{kind: embedding, input_dim: 1000, output_dim: 16}, global_average_pooling1d, "
        "{kind: dense, units: 1}", 256, 64, lambda L: [L.Embedding(1000, 16), L.GlobalAveragePooling1D(), L.Dense(1)],
    ),
    "normalisation": Family(
        partial(binary, 4096, 20), NORMALISATION, 512, 64,
        lambda L: [L.Dense(64, "relu"), L.BatchNormalization(), L.Dropout(0.2), L.Dense(1)],
    ),
    "process": Family(partial(smooth, 100), PROCESS, 300, loop=loop_process),
    "pinn": Family(POINTS, PINN, 200, jax=jax_pinn),
    "factorisation": Family(partial(normal, 200, 100), FACTORS, 1000, loop=loop_factors),
    "levenberg": Family(partial(smooth, 1002), DECAY, 50),
    "disk": Family(
        partial(normal, 200_000, 256, classes=10), MLP.replace("kind: npz", "kind: npz, memory: mapped"), 782, 256,
        keras_mlp, disk=True,
    ),
    "line-sweep": Family(line, LINE, 5000, jax=jax_line, trials=64),
    "mlp-sweep": Family(partial(normal, 2000, 784, classes=10), MLP, 32, 128, keras_mlp, jax_mlp, trials=64),
    "pinn-sweep": Family(POINTS, PINN, 10, jax=jax_pinn, trials=64),
    "cnn-sweep": Family(IMAGES, CNN, 4, 64, keras_cnn, jax_cnn, trials=64),
}  # fmt: skip


class Peer:
    """Training of one family; see `peers`."""

    def __init__(self, family: Family, quick: bool) -> None:
        self.family = family
        self.steps = max(2, family.steps // 8) if quick else family.steps
        self.folder = Path(tempfile.mkdtemp(prefix="gdrun-benchmark-"))

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The data."""
        return self.family.data()

    def indices(self) -> np.ndarray | None:
        """Return the examples of each step, int32 (steps, batch); None: all."""
        if self.family.batch is None:
            return None
        examples, size = len(self.arrays["x"]), self.family.batch
        random = np.random.default_rng(1)
        used = examples // size * size
        epochs = [random.permutation(examples)[:used] for _ in range(-(-self.steps * size // used))]
        return np.concatenate(epochs)[: self.steps * size].reshape(self.steps, size).astype(np.int32)


class Gdrun(Peer):
    """gdrun, with default rows or none, as it chooses or by overrides."""

    overrides: tuple[str, ...] = ()
    lanes: str | int | None = None

    def __init__(self, family: Family, quick: bool) -> None:
        import gdrun

        super().__init__(family, quick)
        batch = f", batch_size: {family.batch}, order: shuffled" if family.batch else ""
        self.config = self.folder / "config.yaml"
        self.config.write_text(family.config + f"schedule: {{steps: {self.steps}{batch}}}\n")
        # In a process of its own, so that the peak of this one's memory is gdrun's.
        context = multiprocessing.get_context("fork")
        size = context.Value("q")
        writer = context.Process(target=self._write_data, args=(size,))
        writer.start()
        writer.join()
        self.data_bytes = size.value
        self.prepared = None if family.trials else gdrun.prepare(gdrun.load_config(self.config, list(self.overrides)))

    def _write_data(self, size: Any) -> None:
        """Write the data, and into `size` the bytes that they take in memory."""
        size.value = sum(array.nbytes for array in self.arrays.values())
        if "kind: csv" in self.family.config:
            table, head = np.column_stack([self.arrays["x"], self.arrays["y"]]), [*(f"x{k}" for k in range(30)), "y"]
            np.savetxt(self.folder / "data.csv", table, "%.9g", ",", header=",".join(head), comments="")
        else:
            np.savez(self.folder / "data.npz", **self.arrays)

    def run(self) -> Sample:
        import gdrun

        trials = self.family.trials
        if self.prepared is not None:
            sample = TrainingTime(self.prepared, self.folder / "runs").sample()
            parameters = (np.asarray(value) for value in self.prepared.built.state.parameters)
        else:
            began = now()
            rates = f"optimizer.learning_rate=log:1e-4:1e-2:{trials}"
            swept = gdrun.sweep(self.config, [rates], runs_dir=self.folder / "runs", lanes=self.lanes)
            ways = ", ".join(way for way in swept.info.extra["strategy"] if way != "why")
            sample = Sample.since(began, self.steps * trials, float("nan"), f"{swept.info.compile}, {ways}")
            parameters = swept.best_run.parameters.values()
        moments = 2 * ("kind: adam" in self.family.config)
        state = sum(value.nbytes for value in parameters) * (1 + moments) * max(1, trials)
        return replace(sample, held_bytes=self.data_bytes + state)


class Keras(Peer):
    """Keras's fit; of a sweep one trial."""

    settings: ClassVar[dict[str, Any]] = {}

    def __init__(self, family: Family, quick: bool) -> None:
        import keras
        import tensorflow as tf

        super().__init__(family, quick)
        assert family.keras is not None
        x, y = self.arrays["x"], self.arrays["y"]
        losses = {CROSS: keras.losses.SparseCategoricalCrossentropy, BINARY: keras.losses.BinaryCrossentropy}
        loss = next((made(from_logits=True) for text, made in losses.items() if text in family.config), "mse")
        self.model = keras.Sequential([keras.Input(x.shape[1:] or (1,)), *family.keras(keras.layers)])
        optimizer = keras.optimizers.SGD(0.01) if family.plain else keras.optimizers.Adam(0.001)
        self.model.compile(optimizer, loss, **self.settings)
        if family.disk:
            np.save(self.folder / "x.npy", x)
            mapped, count = np.load(self.folder / "x.npy", mmap_mode="r"), len(y) // family.batch
            starts = tf.data.Dataset.range(count).shuffle(count).map(lambda k: k * family.batch)
            # A batch is read at a time, as people write it who care: examples one by one take a hundred times as long.
            kinds = (tf.float32, tf.int32)
            cut = lambda k: (mapped[k : k + family.batch], y[k : k + family.batch])  # noqa: E731
            data = starts.map(lambda k: tf.numpy_function(cut, [k], kinds)).map(
                lambda a, b: (tf.ensure_shape(a, (family.batch, *x.shape[1:])), tf.ensure_shape(b, (family.batch,)))
            )
        elif family.batch:
            data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).batch(family.batch)
        else:
            data = tf.data.Dataset.from_tensors((x.reshape(len(x), -1), y))
        self.data = data.repeat().prefetch(tf.data.AUTOTUNE)

    def run(self) -> Sample:
        began = now()
        history = self.model.fit(self.data, epochs=1, steps_per_epoch=self.steps, verbose=0)
        return Sample.since(began, self.steps, float(history.history["loss"][-1]))


class Jax(Peer):
    """jax.lax.scan over optax's Adam or SGD, all steps in one call; of a sweep, all rates by vmap."""

    def __init__(self, family: Family, quick: bool) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        super().__init__(family, quick)
        assert family.jax is not None
        start, loss = family.jax(jax, jnp)
        moments = optax.identity() if family.plain else optax.scale_by_adam(eps=1e-7)
        x, y = jnp.asarray(self.arrays["x"]), jnp.asarray(self.arrays.get("y", np.zeros(1)))

        def train(rate: Any, start: Any, order: Any, x: Any, y: Any) -> Any:
            def step(carry: Any, index: Any) -> Any:
                parameters, state = carry
                seen = (x, y) if index is None else (x[index], y[index])
                value, gradients = jax.value_and_grad(loss)(parameters, *seen)
                updates, state = moments.update(gradients, state)
                return (jax.tree.map(lambda p, u: p - rate * u, parameters, updates), state), value

            return jax.lax.scan(step, (start, moments.init(start)), order, length=self.steps)

        rate = 0.01 if family.plain else 0.001
        rates: Any = jnp.logspace(-4, -2, family.trials) if family.trials else rate
        function = jax.vmap(train, in_axes=(0, None, None, None, None)) if family.trials else train
        self.call = partial(jax.jit(function), rates, jax.tree.map(jnp.asarray, start), self.indices(), x, y)

    def run(self) -> Sample:
        began = now()
        losses = np.ravel(self.call()[1])
        return Sample.since(began, self.steps * max(1, self.family.trials), float(losses[-1]))


class Loop(Peer):
    """One tf.function over a while loop of tape, Adam and batches, as a patient person writes it."""

    jit = False

    def __init__(self, family: Family, quick: bool) -> None:
        import tensorflow as tf

        super().__init__(family, quick)
        assert family.loop is not None
        start, loss = family.loop(tf)
        x, y = tf.constant(self.arrays["x"]), tf.constant(self.arrays.get("y", np.zeros(1)))
        order = self.indices()
        parameters = [tf.constant(value, x.dtype) for value in start]

        def train(parameters: Any, order: Any, x: Any, y: Any) -> Any:
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

            zeros = [tf.zeros_like(value) for value in parameters]
            carry = (tf.constant(0), parameters, zeros, zeros, tf.zeros([], x.dtype))
            return tf.while_loop(lambda step, *_: step < self.steps, body, carry, parallel_iterations=1)[-1]

        # Arguments: of data that it closes over, TensorFlow makes constants where they are small, and folds them.
        function = tf.function(train, jit_compile=self.jit, autograph=False)
        self.call = partial(function, parameters, None if order is None else tf.constant(order), x, y)

    def run(self) -> Sample:
        began = now()
        loss = float(self.call().numpy())
        return Sample.since(began, self.steps, loss)


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
    if family.loop:
        chosen |= {"bare loop, graph": Loop, "bare loop, xla": variant(Loop, jit=True)}
    return chosen


PEERS = {
    f"{name}/{peer}": partial(maker, family)
    for name, family in FAMILIES.items()
    for peer, maker in peers(family).items()
}
