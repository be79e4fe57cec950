"""An MLP 784-128-10 with ReLU on 20,000 random examples, batch 128, shuffled each epoch, Adam, float32."""

from __future__ import annotations

import tempfile
import time
from typing import Any, ClassVar

import numpy as np

from .sample import Sample

EXAMPLES, FEATURES, HIDDEN, CLASSES, BATCH = 20_000, 784, 128, 10, 128
STEPS_PER_EPOCH = -(-EXAMPLES // BATCH)
EPOCHS = {False: 5, True: 2}
"""Of all but the slow loops, which do one."""


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return features, float32 (20000, 784), and labels, int32 (20000,)."""
    random = np.random.default_rng(0)
    return (
        random.standard_normal((EXAMPLES, FEATURES), dtype=np.float32),
        random.integers(0, CLASSES, EXAMPLES, dtype=np.int32),
    )


def keras_model() -> Any:
    """Return the network, not compiled."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential([keras.Input((FEATURES,)), layers.Dense(HIDDEN, "relu"), layers.Dense(CLASSES)])


class EagerTape:
    """The loop of the tutorials: eager operations, a GradientTape, a Keras optimizer, a shuffled tf.data set."""

    def __init__(self, quick: bool) -> None:
        import keras
        import tensorflow as tf

        self.tf, self.keras = tf, keras
        self.x, self.y = data()
        self.model = keras_model()
        self.start = self.model.get_weights()
        self.loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.batches = tf.data.Dataset.from_tensor_slices((self.x, self.y)).shuffle(EXAMPLES).batch(BATCH)

    def step(self, x: Any, y: Any) -> None:
        """One update."""
        with self.tf.GradientTape() as tape:
            loss = self.loss(y, self.model(x, training=True))
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    def run(self) -> Sample:
        self.model.set_weights(self.start)
        self.optimizer = self.keras.optimizers.Adam()
        self.optimizer.build(self.model.trainable_variables)
        step = self.compiled()
        began = time.perf_counter()
        for x, y in self.batches:
            step(x, y)
        seconds = time.perf_counter() - began
        return Sample(seconds, STEPS_PER_EPOCH, float(self.loss(self.y, self.model.predict(self.x, verbose=0))))

    def compiled(self) -> Any:
        """The step as it is called."""
        return self.step


class FunctionStep(EagerTape):
    """The same with the step under tf.function."""

    def compiled(self) -> Any:
        step = self.tf.function(self.step, reduce_retracing=True)
        for size in (BATCH, EXAMPLES % BATCH):  # traced before the clock starts
            step(self.x[:size], self.y[:size])
        self.model.set_weights(self.start)
        return step


class KerasFit:
    """model.fit on arrays, which shuffles them each epoch."""

    settings: ClassVar[dict[str, Any]] = {}

    def __init__(self, quick: bool) -> None:
        import keras

        self.keras = keras
        self.epochs = EPOCHS[quick]
        self.x, self.y = data()
        self.model = keras_model()
        self.start = self.model.get_weights()
        self.loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(keras.optimizers.Adam(), loss=self.loss, **self.settings)

    def run(self) -> Sample:
        self.model.set_weights(self.start)
        for variable in self.model.optimizer.variables[2:]:  # past iterations and learning rate: the moments
            variable.assign(variable * 0)
        self.model.optimizer.iterations.assign(0)
        began = time.perf_counter()
        self.fit()
        seconds = time.perf_counter() - began
        loss = float(self.loss(self.y, self.model.predict(self.x, verbose=0)))
        return Sample(seconds, self.epochs * STEPS_PER_EPOCH, loss)

    def fit(self) -> None:
        """Train."""
        self.model.fit(self.x, self.y, batch_size=BATCH, epochs=self.epochs, verbose=0)


class KerasTuned(KerasFit):
    """The same with jit_compile and 32 steps an execution."""

    settings: ClassVar[dict[str, Any]] = {"jit_compile": True, "steps_per_execution": 32}


class JaxScan:
    """jax.lax.scan over optax's adam: an epoch is one compiled call that returns the losses of its steps.

    Batches are gathered on the device. The smaller one that ends an epoch is left out: 156 steps an epoch, not 157.
    """

    def __init__(self, quick: bool) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        self.jax, self.jnp = jax, jnp
        self.epochs = EPOCHS[quick]
        self.random = np.random.default_rng(1)
        self.x, self.y = map(jnp.asarray, data())
        w1, b1, w2, b2 = keras_free_start()
        self.start = tuple(map(jnp.asarray, (w1, b1, w2, b2)))
        optimizer = optax.adam(1e-3, eps=1e-7)

        def loss(parameters: Any, x: Any, y: Any) -> Any:
            w1, b1, w2, b2 = parameters
            logits = jax.nn.relu(x @ w1 + b1) @ w2 + b2
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        def epoch(carry: Any, order: Any, x: Any, y: Any) -> Any:
            def step(carry: Any, index: Any) -> Any:
                parameters, state = carry
                value, gradients = jax.value_and_grad(loss)(parameters, x[index], y[index])
                updates, state = optimizer.update(gradients, state)
                return (optax.apply_updates(parameters, updates), state), value

            return jax.lax.scan(step, carry, order)

        self.optimizer = optimizer
        self.epoch = jax.jit(epoch)
        self.loss = jax.jit(loss)

    def run(self) -> Sample:
        carry = self.jax.block_until_ready((self.start, self.optimizer.init(self.start)))
        per_epoch = EXAMPLES // BATCH
        began = time.perf_counter()
        for _ in range(self.epochs):
            order = self.random.permutation(EXAMPLES)[: per_epoch * BATCH].astype(np.int32).reshape(per_epoch, BATCH)
            carry, _ = self.epoch(carry, order, self.x, self.y)
        self.jax.block_until_ready(carry)
        seconds = time.perf_counter() - began
        return Sample(seconds, self.epochs * per_epoch, float(self.loss(carry[0], self.x, self.y)))


def keras_free_start() -> tuple[np.ndarray, ...]:
    """Return Glorot-uniform kernels and zero biases, as Keras starts."""
    random = np.random.default_rng(0)
    arrays = []
    for rows, columns in ((FEATURES, HIDDEN), (HIDDEN, CLASSES)):
        limit = np.sqrt(6 / (rows + columns))
        arrays += [random.uniform(-limit, limit, (rows, columns)), np.zeros(columns)]
    return tuple(array.astype(np.float32) for array in arrays)


CONFIG = f"""
data: {{kind: npz, path: mlp.npz, inputs: [x], target: y}}
model: {{kind: mlp, hidden: [{HIDDEN}], activation: relu, outputs: {CLASSES}}}
loss: {{kind: sparse_categorical_crossentropy, from_logits: true}}
optimizer: adam
schedule: {{epochs: EPOCHS, batch_size: {BATCH}, order: shuffled}}
record: {{every: epoch, parameters: false}}
"""


class Gdrun:
    """gdrun's Python API: from the first step to the last row written; a row an epoch."""

    def __init__(self, quick: bool) -> None:
        from pathlib import Path

        import gdrun

        from .timed import TrainingTime

        self.folder = tempfile.TemporaryDirectory(prefix="gdrun-benchmark-")
        root = Path(self.folder.name)
        write_config(root, epochs=EPOCHS[quick])
        self.trained = TrainingTime(gdrun.prepare(gdrun.load_config(root / "mlp.yaml")), root / "runs")

    def run(self) -> Sample:
        return self.trained.sample()


def write_config(folder: Any, *, epochs: int) -> Any:
    """Write the experiment and its data; return the config's path."""
    x, y = data()
    np.savez(folder / "mlp.npz", x=x, y=y)
    (folder / "mlp.yaml").write_text(CONFIG.replace("EPOCHS", str(epochs)))
    return folder / "mlp.yaml"


PEERS = {
    "eager tape": EagerTape,
    "tf.function a step": FunctionStep,
    "Keras fit": KerasFit,
    "Keras fit, tuned": KerasTuned,
    "JAX scan + optax": JaxScan,
    "gdrun": Gdrun,
}
