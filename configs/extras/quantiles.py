"""A plugin with one of everything: fit a quantile of noisy data by a sum of bumps.

    gdrun train quantiles.yaml --plugin quantiles.py

docs/plugins.md goes through it line by line.
"""

import numpy as np
import tensorflow as tf
from pydantic import BaseModel, Field

import gdrun.plugin as gd


class Waves(BaseModel):
    size: int = Field(200, ge=2, description="number of examples")
    noise: float = Field(0.3, ge=0, description="deviation of the noise at the right end; it grows from 0")


@gd.data("waves", options=Waves)
def waves(random, options):
    """sin(x) on [0, 6], with noise that grows to the right."""
    x = np.sort(random.uniform(0, 6, options.size))
    noise = options.noise * x / 6 * random.normal(size=options.size)
    return {"inputs": {"x": x}, "target": np.sin(x) + noise}


class Bumps(BaseModel):
    count: int = Field(8, ge=1, description="number of bumps")
    width: float = Field(1.0, gt=0, description="of each bump, in units of x")


@gd.model("bumps", options=Bumps)
def bumps(shapes, random, options):
    """sum of heights[k] * exp(-((x - centers[k]) / width)**2 / 2)."""
    parameters = {
        "heights": random.normal(0, 0.1, options.count),
        "centers": np.linspace(0, 6, options.count),
    }

    def predict(parameters, inputs):
        distance = (inputs["x"][:, None] - parameters["centers"]) / options.width
        return tf.linalg.matvec(tf.exp(-0.5 * distance**2), parameters["heights"])

    return gd.Model(parameters, predict, fixed=("centers",))


class Level(BaseModel):
    level: float = Field(gt=0, lt=1, description="the quantile: 0.9 lies above nine tenths of the targets")


@gd.loss("pinball", options=Level)
def pinball(target, prediction, options):
    """A number an example; gdrun weighs and averages them. Its minimum is the quantile."""
    error = target - prediction
    return tf.maximum(options.level * error, (options.level - 1) * error)


@gd.metric("share_below")
def share_below(target, prediction):
    """The share of targets below the prediction, which comes out as the level."""
    return tf.reduce_mean(tf.cast(target < prediction, prediction.dtype))


class Momentum(BaseModel):
    momentum: float = Field(0.9, ge=0, lt=1)


@gd.optimizer("normalized_momentum", options=Momentum)
def normalized_momentum(options):
    """Momentum along gradients of length 1."""

    def init(parameter):
        return {"velocity": tf.zeros_like(parameter)}

    def update(state, gradient, parameter, learning_rate):
        direction = gradient / (tf.norm(gradient) + 1e-12)
        velocity = options.momentum * state["velocity"] - learning_rate * direction
        return {"velocity": velocity}, parameter + velocity

    return gd.Rule(init, update)
