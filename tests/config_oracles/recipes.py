"""Recipes: averages, projections, policies, samples, equations and sequences that a notebook writes a loop for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import yaml
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

from .descent import Values, adam, oracle

CONFIGS = Path(__file__).parents[2] / "configs"


@oracle("nonnegative-factors")
def nonnegative_factors() -> Values:
    table = np.array([[1, 2, 0, 1], [0, 1, 1, 2], [2, 5, 1, 4], [1, 1, -0.5, 0]])
    W = np.array([[0.5, 0.1], [0.2, 0.9], [1, 1], [0.7, 0.3]])
    H = np.array([[0.9, 0.6, 0.3, 0.1], [0.2, 0.4, 0.8, 1]])
    trace = {}
    for step in range(601):
        error = table - W @ H
        trace[step] = {"loss": 0.5 * np.sum(error**2)}
        W, H = np.maximum(W + 0.03 * error @ H.T, 0), np.maximum(H + 0.03 * W.T @ error, 0)
    assert trace[600]["loss"] > 0.125
    return Values({"W": W, "H": H}, trace=trace)


@oracle("averaged-weights")
def averaged_weights() -> Values:
    x = np.array([-1, 0.5, 2, -0.5, 1, 1.5, 0, -1.5])
    y = np.array([-1.3, 2.1, 4.6, 0.4, 2.7, 4.4, 0.6, -1.6])
    w, visited = np.zeros(2), []
    for step in range(200):
        visited.append(w)
        batch = slice(step % 4 * 2, step % 4 * 2 + 2)
        inputs = np.c_[np.ones(2), x[batch]]
        w = w - 0.2 * inputs.T @ (inputs @ w - y[batch])
    mean = np.mean(visited[100:], axis=0)
    return Values({"w": mean}, loss=np.mean((mean[0] + mean[1] * x - y) ** 2))


@oracle("bandit")
def bandit() -> Values:
    """Ascent by the exact gradient of the expected reward: of a softmax it is p * (means - expected)."""
    means, logits, baseline = np.array([0.2, 0.8, 0.5]), np.zeros(3), 0.0
    for _ in range(600):
        policy = np.exp(logits) / np.exp(logits).sum()
        baseline = 0.95 * baseline + 0.05 * policy @ means
        logits = logits + 0.5 * policy * (means - policy @ means)
    policy = np.exp(logits) / np.exp(logits).sum()
    return Values({"exp(logits[1])/sum(exp(logits))": policy[1]}, trace={600: {"baseline": baseline}})


@oracle("energy-model")
def energy_model() -> Values:
    """Samples have the data's mean and variance where e/2*k**2 - k + 1/variance = 0."""
    x, size = np.array([0, 0.5, 1, 1.5, 2]), 0.1
    return Values({"m": x.mean(), "k": (1 - np.sqrt(1 - 2 * size / x.var())) / size})


@oracle("wasserstein-gan")
def wasserstein_gan() -> Values:
    """The generator's distribution is the data's, normal of mean 2 and variance 0.25."""
    return Values({"gen.bias": [2], "gen.kernel[0, 0]**2": 0.25})


@oracle("projected-attack")
def projected_attack() -> Values:
    """Newton's method on the classifier; the worst corner of each box, and the loss there, in closed form."""
    x = np.array(
        [[1.2, 0.4], [0.3, 1.5], [2.1, -0.5], [-0.4, 0.9], [0.2, -0.6], [-1.3, 0.2], [-0.8, -1.4], [0.6, -1.1]]
    )
    target = np.array([1, 1, 1, 0, 1, 0, 0, 0])
    inputs, weights = np.c_[x, np.ones(8)], np.zeros(3)
    for _ in range(30):
        p = 1 / (1 + np.exp(-inputs @ weights))
        weights -= np.linalg.solve(inputs.T * (p * (1 - p)) @ inputs, inputs.T @ (p - target))
    w, side = weights[:2], 2 * target - 1
    margin = side * (inputs @ weights) - 0.3 * np.abs(w).sum()
    return Values(
        {"w": w, "b": weights[2], "shift": -0.3 * np.outer(side, np.sign(w))},
        loss=np.mean(np.log1p(np.exp(-margin))),
        metrics={"binary_accuracy": np.mean(margin > 0)},
    )


@oracle("sinusoids")
def sinusoids() -> Values:
    """The same training by hand, of fewer tasks a step, which NumPy draws, as it does the weights, keeps the bound."""
    random, rate = np.random.default_rng(0), 0.02
    shapes = ((1, 32), (32,), (32, 32), (32,), (32, 1), (1,))
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])

    def tasks(num: int) -> tuple[np.ndarray, ...]:
        amplitude, phase = random.uniform(0.1, 5, (num, 1, 1)), random.uniform(0, np.pi, (num, 1, 1))
        x, x2 = random.uniform(-5, 5, (2, num, 10, 1))
        return x, amplitude * np.sin(x + phase), x2, amplitude * np.sin(x2 + phase)

    def error(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean squared error of each task and its gradient, (tasks,) and (tasks, weights)."""
        W1, b1, W2, b2, W3, b3 = (
            weights[:, first:last].reshape(-1, *(shape if len(shape) == 2 else (1, *shape)))
            for first, last, shape in zip(ends[:-1], ends[1:], shapes, strict=True)
        )
        h1 = np.tanh(x @ W1 + b1)
        h2 = np.tanh(h1 @ W2 + b2)
        off = h2 @ W3 + b3 - y
        back3 = 2 / 10 * off
        back2 = back3 @ W3.swapaxes(1, 2) * (1 - h2**2)
        back1 = back2 @ W2.swapaxes(1, 2) * (1 - h1**2)
        pairs = ((x, back1), (h1, back2), (h2, back3))
        parts = [part for a, b in pairs for part in (a.swapaxes(1, 2) @ b, b.sum(axis=1))]
        return np.mean(off[..., 0] ** 2, axis=1), np.concatenate([part.reshape(len(x), -1) for part in parts], axis=1)

    def gradient(parameters: dict[str, np.ndarray], step: int) -> tuple[float, dict[str, np.ndarray]]:
        x, y, x2, y2 = tasks(8)
        weights = np.tile(parameters["net"], (8, 1))
        after, slope = error(weights - rate * error(weights, x, y)[1], x2, y2)
        # The gradient through the step is slope - rate * H @ slope; H @ slope by differences of the gradient.
        h = 1e-5 / np.linalg.norm(slope, axis=1, keepdims=True)
        curved = (error(weights + h * slope, x, y)[1] - error(weights - h * slope, x, y)[1]) / (2 * h)
        return after.mean(), {"net": (slope - rate * curved).mean(axis=0)}

    glorot = [random.uniform(-1, 1, shape) * np.sqrt(6 / sum(shape)) * (len(shape) == 2) for shape in shapes]
    start = {"net": np.concatenate([part.ravel() for part in glorot])}
    *_, (_, trained, _) = adam(start, gradient, 0.003, 1000, np.float64)
    x, y, x2, y2 = tasks(200)
    weights = np.tile(trained["net"], (200, 1))
    after, _ = error(weights - rate * error(weights, x, y)[1], x2, y2)
    return Values(metrics={"validation_loss": after.mean()})


@oracle("variational-autoencoder", atol=1e-6)
def variational_autoencoder() -> Values:
    """Probabilistic PCA in closed form (Tipping and Bishop 1999), and its mean logarithm of the likelihood."""
    x = np.array(
        [[2.1, 1.3, -0.6], [1.4, 0.4, -1.3], [0.5, 0.9, 0.3], [-0.3, -0.8, 0.7], [-1.7, -1.3, 0.4], [-2.2, -0.6, 1.5],
         [0.9, -0.5, -0.2], [-0.6, 0.7, -0.4]]
    )  # fmt: skip
    eigenvalues, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    noise = eigenvalues[:2].mean()
    product = np.outer(vectors[:, 2], vectors[:, 2]) * (eigenvalues[2] - noise)
    logdet = np.log(eigenvalues[2]) + 2 * np.log(noise)
    return Values(
        {
            "noise**2": noise,
            "spread**2": noise / eigenvalues[2],
            "transpose(decoder.kernel) @ decoder.kernel": product,
        },
        metrics={"likelihood": -0.5 * (3 * np.log(2 * np.pi) + logdet + 3)},
    )


@oracle("ring")
def ring() -> Values:
    """A generator that has the data's distribution; the bound is one that samples spread evenly on the ring miss."""
    angle = np.linspace(0, 2 * np.pi, 100_000)
    nearest = np.round(angle / (np.pi / 4)) * (np.pi / 4)
    evenly = np.mean(2 * 2 * np.abs(np.sin((angle - nearest) / 2)) < 0.3)
    share = 1 - np.exp(-(3**2) / 2)
    assert evenly < 0.4
    return Values(trace={3000: {"share": share, "modes": 8}})


@oracle("skip-gram", atol=1e-6)
def skip_gram() -> Values:
    """The pointwise mutual information of the corpus's pairs, less log(2) (Levy and Goldberg 2014)."""
    corpus = "010101232323223223323232022332322330101001010213"
    counts = np.zeros((4, 4))
    for place, word in enumerate(corpus):
        for other in corpus[max(place - 2, 0) : place] + corpus[place + 1 : place + 3]:
            counts[int(word), int(other)] += 1
    shares = counts / counts.sum()
    information = np.log(shares / np.outer(shares.sum(axis=1), shares.sum(axis=0)))
    return Values({"U @ transpose(V)": information - np.log(2)})


@oracle("lotka-volterra")
def lotka_volterra() -> Values:
    """SciPy integrates the equations, the products in place of the network."""

    def rates(time: float, state: np.ndarray) -> list[float]:
        prey, predators = state
        return [prey - 0.5 * prey * predators, 0.25 * prey * predators - 0.75 * predators]

    states = solve_ivp(rates, (0, 16), [2, 1], t_eval=np.arange(33) / 2, rtol=1e-10, atol=1e-12).y.T
    shown = yaml.safe_load((CONFIGS / "lotka-volterra.yaml").read_text())["constants"]["states"]
    np.testing.assert_allclose(shown, states[:19], rtol=0, atol=5.1e-5)
    return Values(trace={500: {"orbit": states[32]}})


def waves(x: np.ndarray, t: np.ndarray | float, nu: float = 0.1) -> np.ndarray:
    """Return -2 nu p_x / p of p = 1 + 2 exp((t - 1) / (4 nu)) cosh(x / (2 nu)), which solves p_t = nu p_xx."""
    growth = 2 * np.exp((t - 1) / (4 * nu))
    return -2 * nu * growth * np.sinh(x / (2 * nu)) / (2 * nu) / (1 + growth * np.cosh(x / (2 * nu)))


@oracle("burgers")
def burgers() -> Values:
    """Finite differences in x and SciPy in t come to the waves that the config measures its error by."""
    x, times = np.linspace(-1, 1, 101), np.linspace(0, 2, 21)
    width = x[1] - x[0]

    def rates(time: float, within: np.ndarray) -> np.ndarray:
        u = np.r_[waves(x[0], time), within, waves(x[-1], time)]
        return -np.diff(u[1:] ** 2 + u[:-1] ** 2) / (4 * width) + 0.1 * np.diff(u, 2) / width**2

    solution = solve_ivp(rates, (0, 2), waves(x[1:-1], 0), t_eval=times, rtol=1e-6, atol=1e-8).y.T
    return Values(metrics={"error": np.sqrt(np.mean((solution - waves(x[1:-1], times[:, None])) ** 2))})


@oracle("burgers-viscosity")
def burgers_viscosity() -> Values:
    """The waves themselves, fitted to values of other draws by SciPy."""
    random = np.random.default_rng(0)
    x, t = random.uniform(-1, 1, 300), random.uniform(0, 2, 300)
    seen = waves(x, t) + random.normal(0, 0.01, 300)
    return Values({"nu": least_squares(lambda nu: waves(x, t, nu[0]) - seen, 0.5, bounds=(0.02, 1)).x[0]})


@oracle("characters")
def characters() -> Values:
    """The shares of the letters that follow the same beginning: their mean -log, and the largest one's accuracy."""
    text = "she sells sea shells "
    windows = [(text + text)[start : start + 9] for start in range(len(text))]
    loss, right = 0.0, 0
    for known in range(1, 9):
        beginnings = Counter(window[:known] for window in windows)
        longer = Counter(window[: known + 1] for window in windows)
        loss -= sum(n * np.log(n / beginnings[beginning[:-1]]) for beginning, n in longer.items())
        right += sum(max(n for letters, n in longer.items() if letters[:-1] == beginning) for beginning in beginnings)
    count = 8 * len(windows)
    return Values(loss=loss / count, metrics={"accuracy": right / count})


@oracle("reversed-sequence")
def reversed_sequence() -> Values:
    """Attention by hand: place k asks for place 7 - k, and has the symbol that is there."""
    symbols = np.random.default_rng(0).integers(0, 10, (500, 8))
    scores = 50 * np.eye(8)[::-1]
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    logits = np.einsum("qk,nkc->nqc", shares, np.eye(10)[symbols])
    return Values(metrics={"validation_accuracy": np.mean(logits.argmax(axis=-1) == symbols[:, ::-1])})
