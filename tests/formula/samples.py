"""One sample call, or more, of every function of the table: (formula, the names it is differentiable by)."""

from __future__ import annotations

import numpy as np

_random = np.random.default_rng(3)
_square = _random.normal(size=(3, 3))

VALUES: dict[str, np.ndarray] = {
    "x": np.array([0.3, 0.7, 0.2, 0.55]),  # in (0, 1): in the domain of everything
    "y": np.array([1.2, 0.45, 2.5, 0.9]),
    "s": np.array([-1.7, 0.4, 2.2, -0.3]),  # both signs
    "c": np.array([0, 2, 1, 1]),
    "M": _random.normal(size=(3, 2)),
    "N": _random.normal(size=(2, 4)),
    "A": _square @ _square.T + 2 * np.eye(3),
    "v": np.array([0.5, -1.0, 2.0]),
    "z": np.array([0.3 + 0.4j, -1.0 + 0.2j]),
    "B": _random.normal(size=(2, 3, 4)),
    "p": np.array([[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]]),
}

_ANYWHERE = """
negative exp expm1 square abs sin cos tan atan sinh cosh tanh asinh erf erfc sigmoid log_sigmoid softplus softsign relu
relu6 leaky_relu elu selu gelu silu mish hard_sigmoid softmax log_softmax reciprocal
"""
_BETWEEN_0_AND_1 = "log log1p log2 log10 sqrt rsqrt asin acos atanh lgamma digamma"
_WITHOUT_SLOPE = "sign floor ceil round isfinite isnan logical_not"
_OF_TWO = "add subtract multiply divide mod"
_OF_TWO_POSITIVE = "divide_no_nan pow squared_difference atan2 minimum maximum xlogy"
_COMPARISONS = "less less_equal greater greater_equal equal not_equal logical_and logical_or"
_COMPLEX = "real imag conj angle"
_REDUCTIONS = "sum mean prod max min var std logsumexp"

SAMPLES: dict[str, list[tuple[str, str]]] = {
    **{name: [(f"{name}(x)", "x"), (f"{name}(s)", "s")] for name in _ANYWHERE.split()},
    **{name: [(f"{name}(x)", "x")] for name in _BETWEEN_0_AND_1.split()},
    "zeros_like": [("zeros_like(x) + x", "x")],
    "ones_like": [("ones_like(x) * x", "x")],
    "acosh": [("acosh(1 + y)", "y")],
    **{name: [(f"{name}(s)", "")] for name in _WITHOUT_SLOPE.split()},
    **{name: [(f"{name}(x, y)", "x"), (f"{name}(s, y)", "y")] for name in _OF_TWO.split()},
    **{name: [(f"{name}(x, y)", "x")] for name in _OF_TWO_POSITIVE.split()},
    **{name: [(f"{name}(x, y)", "")] for name in _COMPARISONS.split()},
    "clip": [("clip(s, -1, 1)", "s"), ("clip(s, low=-1, high=x)", "x")],
    "clip_by_norm": [("clip_by_norm(y, 0.5)", "y"), ("clip_by_norm(M, 1, axis=0)", "M"), ("clip_by_norm(x, 9)", "x")],
    "clip_by_global_norm": [
        ("clip_by_global_norm([y, M], 0.5)[1]", "y"),
        ("clip_by_global_norm([x], 9)[0]", "x"),
    ],
    "einsum": [("einsum('ij,jk->ik', M, N)", "M"), ("einsum('ii->i', A)", "A"), ("einsum('i,j,k->kj', x, v, s)", "v")],
    "conv1d": [
        ("conv1d(B, reshape(N, [1, 4, 2]))", "B"),
        ("conv1d(B, reshape(concat([N, N, N]), [3, 4, 2]), stride=2, same=True)", "N"),
    ],
    "conv2d": [
        ("conv2d(B[..., None], reshape(N, [2, 2, 1, 2]))", "N"),
        ("conv2d(B[..., None], reshape(x, [2, 2, 1, 1]), 2, same=True)", "B"),
    ],
    "where": [("where(s > 0, x, y)", "x"), ("where(x, s, 0)", "s")],
    "complex": [("complex(x, y)", "")],
    **{name: [(f"{name}(z)", "")] for name in _COMPLEX.split()},
    "sigmoid_cross_entropy_with_logits": [("sigmoid_cross_entropy_with_logits(x, s)", "s")],
    "softmax_cross_entropy_with_logits": [("softmax_cross_entropy(p, transpose(M))", "M")],
    **{
        name: [(f"{name}(M)", "M"), (f"{name}(B, axis=1)", "B"), (f"{name}(B, [0, 2], keepdims=True)", "B")]
        for name in _REDUCTIONS.split()
    },
    **{name: [(f"{name}(s > 0)", ""), (f"{name}(B > 0, axis=-1)", "")] for name in ("any", "all")},
    **{name: [(f"{name}(M)", ""), (f"{name}(B, axis=1)", "")] for name in ("argmax", "argmin")},
    "matmul": [("M @ N", "M"), ("A @ v", "v"), ("v @ A", "v"), ("v @ v", "v"), ("A @ B", "B")],
    "matvec": [("matvec(A, v)", "A")],
    "dot": [("dot(M, N)", "N"), ("dot(2, M)", "M"), ("dot(v, v)", "v")],
    "tensordot": [("tensordot(M, N, 1)", "M")],
    "outer": [("outer(x, v)", "x")],
    "transpose": [("transpose(M)", "M"), ("transpose(B, [1, 2, 0])", "B")],
    "trace": [("trace(A)", "A")],
    "det": [("det(A)", "A")],
    "logdet": [("logdet(A)", "A")],
    "inverse": [("inverse(A)", "A")],
    "solve": [("solve(A, v)", "A"), ("solve(A, M)", "M")],
    "triangular_solve": [("triangular_solve(A, v)", "A"), ("triangular_solve(A, M, lower=False, adjoint=True)", "M")],
    "cholesky": [("cholesky(A)", "A")],
    "svdvals": [("svdvals(M)", "M")],
    "median": [
        ("median(s)", "s"),
        ("median(M, axis=1)", "M"),
        ("median(B, 0, keepdims=True)", "B"),
        ("median(M)", "M"),
    ],
    "pad": [("pad(v, 1)", "v"), ("pad(M, [0, 2])", "M"), ("pad(B, [1, 2], axis=-1)", "B")],
    "eigvalsh": [("eigvalsh(A)", "A")],
    "norm": [("norm(M)", "M"), ("norm(M, axis=0)", "M"), ("norm(s, ord=1)", "s"), ("norm(x, 3)", "x")],
    "kron": [("kron(M, N)", "M")],
    "cross": [("cross(v, A)", "A")],
    "l2_normalize": [("l2_normalize(v)", "v"), ("l2_normalize(M, axis=1)", "M")],
    "logaddexp": [("logaddexp(s, x)", "s")],
    "erfinv": [("erfinv(x)", "x"), ("erfinv(-x)", "x")],
    "fft": [("fft(z)", ""), ("real(fft(B))", "B")],
    "ifft": [("ifft(z)", ""), ("imag(ifft(s))", "s")],
    "diag": [("diag(v)", "v"), ("diag(A)", "A")],
    "diag_part": [("diag_part(A)", "A")],
    "tril": [("tril(A)", "A")],
    "triu": [("triu(A)", "A")],
    "eye": [("eye(3) * v", "v")],
    "reshape": [("reshape(M, [2, -1])", "M")],
    "ravel": [("ravel(B)", "B")],
    "expand_dims": [("expand_dims(v, 1)", "v")],
    "squeeze": [("squeeze(v[None, :, None])", "v"), ("squeeze(v[None, :], 0)", "v")],
    "broadcast_to": [("broadcast_to(v, [2, 3])", "v")],
    "concat": [("concat([v, x])", "v"), ("concat([M, transpose(N)], axis=0)", "N")],
    "stack": [("stack([x, y, s], 1)", "y"), ("[x, y]", "x")],
    "tile": [("tile(v, 2)", "v"), ("tile(M, [1, 2])", "M"), ("tile(v, [2, 2])", "v")],
    "repeat": [("repeat(v, 2)", "v"), ("repeat(M, 3, axis=1)", "M")],
    "flip": [("flip(M)", "M"), ("flip(M, 0)", "M")],
    "roll": [("roll(v, 1)", "v"), ("roll(M, -1, 0)", "M")],
    "gather": [("gather(y, c)", "y"), ("gather(B, c, axis=-1)", "B")],
    "one_hot": [("one_hot(c, 3)", "")],
    "cumsum": [("cumsum(s)", "s"), ("cumsum(B, axis=1)", "B"), ("cumsum(M)", "M")],
    "cumprod": [("cumprod(x)", "x")],
    "diff": [("diff(s)", "s"), ("diff(M, axis=0)", "M")],
    "sort": [("sort(s)", "s"), ("sort(M, axis=0, descending=True)", "M")],
    "argsort": [("argsort(s)", ""), ("argsort(s, descending=True)", "")],
    "length": [("length(M) * x", "x")],
    "size": [("size(M) * x", "x")],
    "zeros": [("zeros(4) + x", "x")],
    "ones": [("ones([2, 4]) * x", "x")],
    "full": [("full([2, 2], x[0])", "x")],
    "range": [("range(4) * x", "x"), ("range(1, 3, 0.5) * x", "x")],
    "linspace": [("linspace(0, 1, 4) * x", "x"), ("linspace(x[0], 2, 5)", "x")],
    "logspace": [("logspace(-1, 1, 4) * x", "x"), ("logspace(x[0], 1, 3)", "x")],
    "stop_gradient": [("stop_gradient(x)", "")],
    "grad": [("grad(x**3, x)", "x")],
    "jacobian": [("jacobian(x**2, x)", "x")],
    "hessian": [("hessian(prod(x), x)", "x")],
    "uniform": [("uniform(x, 2, [3, 4])", "x")],
    "normal": [("normal(x, 2, 4)", "x")],
    "truncated_normal": [("truncated_normal(x, 2, 4)", "x")],
    "bernoulli": [("bernoulli(x, [5, 4])", "")],
    "categorical": [("categorical(x)", ""), ("categorical(x, 3)", "")],
    "permutation": [("permutation(5) * x[0]", "x")],
    "choice": [("choice(5, 2) * x[0]", "x")],
}
