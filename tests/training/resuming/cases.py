"""Experiments of every kind that carries something from step to step, each cut anywhere by test_resuming.py."""

from __future__ import annotations

LINE = """
data:
  kind: formula
  inputs: {{x: "linspace(-1, 1, 23)"}}
  target: x - x**3
  noise: normal(0, 1)
  validation: {{last: 5}}
model: {model}
optimizer: {optimizer}
schedule: {schedule}
compile: {compile}
{more}
"""

_FORMULA = '{kind: formula, formula: "a*x + b*x**2 + c", parameters: {a: 0.1, b: 0, c: "normal(0, 1)"}}'
_NETWORK = "{kind: mlp, hidden: [6], activation: tanh, outputs: 1}"
_LAYERS = "{kind: layers, layers: [{kind: dense, units: 5}, batch_normalization, relu, {kind: dropout, rate: 0.3}, {kind: dense, units: 1}]}"  # noqa: E501


def line(
    optimizer: str,
    schedule: str = "{steps: 60}",
    *,
    model: str = _FORMULA,
    compile: str = "graph",
    more: str = "",
) -> str:
    """Return a config."""
    return LINE.format(model=model, optimizer=optimizer, schedule=schedule, compile=compile, more=more)


SHUFFLED = "{epochs: 20, batch_size: 5}"

CASES = {
    "sgd": line("{kind: sgd, learning_rate: 0.05}", SHUFFLED, compile="xla"),
    "momentum in float64": line("{kind: sgd, learning_rate: 0.05, momentum: 0.9}", more="precision: float64"),
    "adam, averaged and accumulated": line(
        "{kind: adam, learning_rate: 0.1, use_ema: true, ema_overwrite_frequency: 7, gradient_accumulation_steps: 3}"
    ),
    "shuffled batches with a smaller one": line(
        "{kind: adam, learning_rate: 0.05}",
        SHUFFLED,
        model=_NETWORK,
        more="metrics: [mae]\nrecord: {every: 3, after: {s: mean(prediction)}, gradients: true}",
    ),
    "sampled batches": line("rmsprop", "{epochs: 20, batch_size: 5, order: sampled}", model=_NETWORK),
    "an old random state": line("adam", SHUFFLED, model=_NETWORK, more="random: legacy\nseed: 42"),
    "dropout and moving averages": line("{kind: adam, learning_rate: 0.03}", SHUFFLED, model=_LAYERS),
    "patience that keeps the best": line(
        "{kind: adam, learning_rate: 0.3}",
        "{epochs: 40, batch_size: 6, stop: {patience: {epochs: 8, metric: validation_loss, restore_best: true}}}",
        model=_NETWORK,
    ),
    "a plateau": line(
        "{kind: sgd, learning_rate: 0.8}",
        "{epochs: 30, batch_size: 9, learning_rate_factor: {kind: plateau, metric: validation_loss, patience: 2, factor: 0.5}}",  # noqa: E501
        model=_NETWORK,
    ),
    "cosine over the whole schedule": line(
        "{kind: adamw, learning_rate: 0.1}", "{steps: 60, learning_rate_factor: {kind: cosine, warmup: 5}}"
    ),
    "draws in the loss and a formula for the rate": line(
        "{kind: nadam, learning_rate: 0.1}",
        '{steps: 60, learning_rate_factor: {kind: formula, formula: "1/(1 + step/10)"}}',
        model='{kind: formula, formula: "(a + normal(0, 0.2))*x", parameters: {a: 0}}',
    ),
    "a rule of one's own": line(
        "{kind: formula, learning_rate: 0.1, settings: {g: 0.8}, state: {v: 0}, "
        'update: {v: "g*v + learning_rate*gradient/(1 + step)", parameter: parameter - v}}'
    ),
    "groups that act at times, with a rule and projections": line(
        "{kind: adam, learning_rate: 0.05, groups: ["
        '{parameters: [a], when: "mod(step, 5) < 2", project: "clip(parameter, -0.2, 0.2)"}, '
        "{parameters: [b], optimizer: {kind: formula, learning_rate: 0.1, state: {v: 0}, update: {"
        'v: "0.9*v + gradient/(1 + global_gradient_norm)", parameter: parameter - learning_rate*v}}}]}'
    ),
    "values kept from step to step": line(
        "adam",
        SHUFFLED,
        model=_NETWORK,
        more="define: {low: {start: 9, next: 'minimum(low, loss)'}, "
        "seen: {start: 'normal(0, 1, [7])', next: 'concat([x[:2], seen])[:7] + normal(0, 0.1, [7])'}, "
        "mean_kernel: {start: dense1.kernel, next: 0.9*mean_kernel + 0.1*dense1.kernel, final: true}}\n"
        "loss: {kind: formula, formula: 'mean((prediction[:, 0] - target)**2) + 0.1*mean(seen)*sum(dense1.kernel)'}\n"
        "record: {formulas: {low: low, seen: seen}}",
    ),
    "a network as a value, beside one from a file": line(
        "{kind: sgd, learning_rate: 0.05, groups: [{parameters: [net], when: 'mod(step, 3) > 0'}]}",
        model="{kind: formula, formula: 'net(x, weights=fast) + fixed(x)', networks: "
        "{net: {kind: mlp, hidden: [3], activation: tanh}, fixed: {kind: linear, from: w.npz, trainable: false}}}",
        more="define: {fast: 'net - 0.1*grad(mean((net(x) - target)**2), net)'}\ncheckpoint: {best: 2, every_steps: 7}",
    ),
    "levenberg_marquardt": line("levenberg_marquardt", "{steps: 30}", more="precision: float64"),
    "lbfgs": line("lbfgs", "{steps: 20}", model=_NETWORK, more="precision: float64"),
    "conjugate gradients": line("cg", "{steps: 20}", model=_NETWORK, more="precision: float64"),
    "it stops by a rule": line("{kind: sgd, learning_rate: 0.1}", '{steps: 500, stop: {formula: "step >= 37"}}'),
    "it diverges": line("{kind: sgd, learning_rate: 40}", "{steps: 500}", compile="xla"),
    "it diverges, seen late": line("{kind: sgd, learning_rate: 40}", "{steps: 500}"),
    "one operation at a time": line("adam", "{epochs: 3, batch_size: 5}", compile="eager"),
    "phases that freeze, by batches": line(
        "{kind: adam, learning_rate: 0.05}",
        SHUFFLED.replace("20", "5"),
        model="{kind: layers, layers: [{kind: dense, units: 5, name: a}, batch_normalization, relu, "
        "{kind: dropout, rate: 0.3}, {kind: dense, units: 1, name: z}]}",
        more="""
phases:
- optimizer: {groups: [{parameters: [a], frozen: true}]}
- schedule: {batch_size: 7}
  optimizer: {groups: [{parameters: [z], frozen: true}]}
  define: {low: {start: 9, next: "minimum(low, loss)"}, mean: {start: a.bias, next: (mean + a.bias)/2, final: true}}
  record: {formulas: {low: low}}
- optimizer: {kind: sgd, learning_rate: 0.01, momentum: 0.9}
""",
    ),
    "phases that rules end": line(
        "{kind: adam, learning_rate: 0.05, use_ema: true}",
        model=_NETWORK,
        more="""
phases:
- schedule: {steps: 50, stop: {formula: "step >= 13"}}
- schedule: {steps: 50, stop: {patience: {epochs: 4, metric: validation_loss, restore_best: true}}}
- optimizer: {kind: lbfgs}
  schedule: {steps: 12}
""",
    ),
    "data on disk": """
data: {kind: npz, path: d.npz, inputs: [x], target: y, memory: mapped, validation: {last: 13}}
model: {kind: mlp, hidden: [5], activation: tanh, outputs: 1}
optimizer: adam
schedule: {epochs: 6, batch_size: 8}
compile: graph
""",
}
"""What it is called -> the config."""
