"""Linear regression: n = 100, full batch, mean squared error, gradient descent, float32."""

from __future__ import annotations

import tempfile
import time
from typing import Any, ClassVar

import numpy as np

from .sample import Sample

STEPS = 100_000
RATE = 0.01


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return x and y, float32 (100,)."""
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, 100)
    return x.astype(np.float32), (3 * x + 4 + random.normal(0, 0.1, 100)).astype(np.float32)


class EagerTape:
    """The loop of the tutorials: eager operations, a GradientTape, a Keras optimizer."""

    def __init__(self, quick: bool) -> None:
        import keras
        import tensorflow as tf

        self.tf, self.keras = tf, keras
        self.x, self.y = map(tf.constant, data())
        self.steps = 300 if quick else 1000

    def step(self) -> None:
        """One update."""
        with self.tf.GradientTape() as tape:
            loss = self.tf.reduce_mean(self.tf.square(self.w * self.x + self.b - self.y))
        gradients = tape.gradient(loss, [self.w, self.b])
        self.optimizer.apply_gradients(zip(gradients, [self.w, self.b], strict=True))

    def run(self) -> Sample:
        self.w, self.b = self.tf.Variable(0.0), self.tf.Variable(0.0)
        self.optimizer = self.keras.optimizers.SGD(RATE)
        self.optimizer.build([self.w, self.b])
        step = self.compiled()
        began = time.perf_counter()
        for _ in range(self.steps):
            step()
        seconds = time.perf_counter() - began
        error = self.w.numpy() * self.x.numpy() + self.b.numpy() - self.y.numpy()
        return Sample(seconds, self.steps, float(np.mean(error**2)))

    def compiled(self) -> Any:
        """The step as it is called."""
        return self.step


class FunctionStep(EagerTape):
    """The same with the step under tf.function."""

    def __init__(self, quick: bool) -> None:
        super().__init__(quick)
        self.steps = 1000 if quick else 5000

    def compiled(self) -> Any:
        step = self.tf.function(self.step)
        step()  # traced before the clock starts
        self.w.assign(0.0)
        self.b.assign(0.0)
        return step


class KerasFit:
    """model.fit on an endless data set, one call."""

    settings: ClassVar[dict[str, Any]] = {}
    sizes = (500, 2000)

    def __init__(self, quick: bool) -> None:
        import keras
        import tensorflow as tf

        self.steps = self.sizes[0] if quick else self.sizes[1]
        self.x, self.y = (value[:, None] for value in data())
        self.model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
        self.model.compile(keras.optimizers.SGD(RATE), loss="mse", **self.settings)
        self.batches = tf.data.Dataset.from_tensors((self.x, self.y)).repeat().prefetch(tf.data.AUTOTUNE)
        self.start = self.model.get_weights()

    def run(self) -> Sample:
        self.model.set_weights(self.start)
        began = time.perf_counter()
        self.model.fit(self.batches, epochs=1, steps_per_epoch=self.steps, verbose=0)
        seconds = time.perf_counter() - began
        weight, bias = self.model.get_weights()
        return Sample(seconds, self.steps, float(np.mean((self.x @ weight + bias - self.y) ** 2)))


class KerasTuned(KerasFit):
    """The same with jit_compile and 1000 steps an execution."""

    settings: ClassVar[dict[str, Any]] = {"jit_compile": True, "steps_per_execution": 1000}
    sizes = (3000, 20000)


class JaxScan:
    """jax.lax.scan over optax's sgd, the whole training as one compiled call that returns the loss of every step."""

    unroll = 1
    losses = True

    def __init__(self, quick: bool) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        self.jax = jax
        self.data = tuple(map(jnp.asarray, data()))
        optimizer = optax.sgd(RATE)

        def loss(parameters: Any, x: Any, y: Any) -> Any:
            return jnp.mean((parameters[0] * x + parameters[1] - y) ** 2)

        def train(start: Any, x: Any, y: Any) -> Any:
            def step(carry: Any, _: None) -> Any:
                parameters, state = carry
                value, gradients = jax.value_and_grad(loss)(parameters, x, y)
                updates, state = optimizer.update(gradients, state)
                return (optax.apply_updates(parameters, updates), state), value if self.losses else None

            return jax.lax.scan(step, start, None, length=STEPS, unroll=self.unroll)

        parameters = (jnp.float32(0), jnp.float32(0))
        self.start = (parameters, optimizer.init(parameters))
        self.train = jax.jit(train)
        self.loss = loss

    def run(self) -> Sample:
        began = time.perf_counter()
        (parameters, _), _ = self.jax.block_until_ready(self.train(self.start, *self.data))
        seconds = time.perf_counter() - began
        return Sample(seconds, STEPS, float(self.loss(parameters, *self.data)))


class JaxUnrolled(JaxScan):
    """The same with four steps unrolled in the loop's body."""

    unroll = 4


class JaxBlind(JaxScan):
    """The same without the losses: XLA then drops the loss itself, and nobody would see a divergence."""

    losses = False


class Gdrun:
    """gdrun's Python API: from the first step to the last row written; no rows but the first and the last."""

    every: Any = "[0]"

    def __init__(self, quick: bool) -> None:
        from pathlib import Path

        import gdrun

        from .timed import TrainingTime

        self.folder = tempfile.TemporaryDirectory(prefix="gdrun-benchmark-")
        root = Path(self.folder.name)
        x, y = data()
        np.savez(root / "line.npz", x=x, y=y)
        (root / "line.yaml").write_text(
            f"""
data: {{kind: npz, path: line.npz, inputs: [x], target: y}}
model: {{kind: formula, formula: w * x + b, parameters: {{w: 0, b: 0}}}}
loss: mse
optimizer: {{kind: sgd, learning_rate: {RATE}}}
schedule: {{steps: {STEPS}}}
record: {{every: {self.every}}}
"""
        )
        self.trained = TrainingTime(gdrun.prepare(gdrun.load_config(root / "line.yaml")), root / "runs")

    def run(self) -> Sample:
        return self.trained.sample()


class GdrunRows(Gdrun):
    """The same with 2000 rows of loss, gradient norm, learning rate and parameters."""

    every = STEPS // 2000


PEERS = {
    "eager tape": EagerTape,
    "tf.function a step": FunctionStep,
    "Keras fit": KerasFit,
    "Keras fit, tuned": KerasTuned,
    "JAX scan + optax": JaxScan,
    "JAX scan, unroll=4": JaxUnrolled,
    "JAX scan, no losses": JaxBlind,
    "gdrun": Gdrun,
    "gdrun, 2000 rows": GdrunRows,
}
