"""Six awkward runs: those on which sentences about training turn out to be false.

Each is small and has a closed form, so that a test can say what is true of it.
"""

from __future__ import annotations

# |10 x|: with steps of 1 it swings between 0.3 and -0.7 for ever, the loss between 3 and 7; rows see every second step.
OSCILLATING = """
precision: float64
model: {kind: formula, formula: 10 * abs(x), parameters: {x: 0.3}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 200}
record: {every: 2}
"""

# x -> 2.8 x - 1.8 x**3, a chaotic map of the interval from -1.6 to 1.6 into itself.
CHAOTIC = """
precision: float64
model: {kind: formula, formula: (x**2 - 1)**2, parameters: {x: 0.3}}
optimizer: {kind: sgd, learning_rate: 0.45}
schedule: {steps: 200}
record: {every: 1}
"""

# The last example that is seen always fits; the loss over all data stands at about a third.
BATCH_OF_ONE = """
precision: float64
data: {kind: values, inputs: {x: [0, 1, 1, 0]}, target: [0, 1, 2, 1]}
model: {kind: formula, formula: a * x + b, parameters: {a: 5, b: 5}}
optimizer: {kind: sgd, learning_rate: 0.25}
schedule: {epochs: 40, batch_size: 1, order: sequential}
"""

# From 13.43 down to -0.187 = the minimum, crossing 0.
NEGATIVE = """
precision: float64
model: {kind: formula, formula: x**2 - 0.187, parameters: {x: 3.69}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 300}
record: {every: 1}
"""

# x -> -1.5 x: the loss grows by 2.25 a step.
DIVERGING = """
precision: float64
model: {kind: formula, formula: 5 * x**2, parameters: {x: 1}}
optimizer: {kind: sgd, learning_rate: 0.25}
schedule: {steps: 2000}
record: {every: 1}
"""

# Steps of a fixed length, halved each time: 2**-k, whatever the gradient's size; the rate is far beyond 2 / curvature.
BY_RULE = """
precision: float64
model: {kind: formula, formula: 1000 * (x - 1)**2, parameters: {x: 0}}
optimizer:
  kind: formula
  learning_rate: 4.5
  update: {parameter: parameter - learning_rate / 9 * 0.5**step * sign(gradient)}
schedule: {steps: 60}
record: {every: 1}
"""

AWKWARD = {
    "oscillating": OSCILLATING,
    "chaotic": CHAOTIC,
    "batch-of-one": BATCH_OF_ONE,
    "negative": NEGATIVE,
    "diverging": DIVERGING,
    "by-rule": BY_RULE,
}
