"""The function table: everything that a formula may call. Names are numpy's and TensorFlow's own.

Where numpy and TensorFlow disagree on a default (argmax, cumsum without an axis), numpy's holds. The two
implementations are in numpy_ops.py and tensorflow_ops.py; a test fails where one of them lacks a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

# What an argument is, by its parameter's name; "value" where the name is not here.
#   integer, number, flag, axis (an integer, a list or None), shape (a count or a list): known before the run
#   values: a list whose items stay apart; expression: not evaluated before the call; name: a bare name
_KINDS = {
    "axis": "axis", "axes": "axis", "keepdims": "flag", "descending": "flag", "lower": "flag", "adjoint": "flag",
    "approximate": "flag", "shape": "shape", "reps": "shape", "num": "integer", "depth": "integer", "shift": "integer",
    "repeats": "integer", "k": "integer", "ord": "number", "alpha": "number", "base": "number", "values": "values",
    "expr": "expression", "name": "name", "width": "shape",
}  # fmt: skip

# Other spellings of keywords, from numpy and TensorFlow.
_KEYWORD_ALIASES = {
    "perm": "axes", "size": "shape", "minval": "low", "maxval": "high", "mean": "loc", "stddev": "scale",
    "a_min": "low", "a_max": "high", "clip_value_min": "low", "clip_value_max": "high", "arrays": "values",
    "multiples": "reps", "num_classes": "depth", "probs": "p", "dims": "shape",
}  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """One parameter; `default` is its text in the signature, None where it must be given."""

    name: str
    kind: str
    default: str | None


@dataclass(frozen=True)
class Function:
    """One row of the table.

    Args:
        name: as formulas call it. parameters: as its signature shows them, in order.
        doc: one line. group: the heading it is listed under.
        kind: elementwise, reduction, linear_algebra, shaping, draw or special.
        aliases: other names of the same function.
        xla: whether XLA can compile it; where not, a run falls back to graph.
        lanes: whether tf.vectorized_map can convert it; where not, trials run one after the other.
    """

    name: str
    arguments: str
    doc: str
    group: str
    kind: str
    aliases: tuple[str, ...] = ()
    xla: bool = True
    lanes: bool = True

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters, read from the text of the signature."""
        parameters = []
        for part in self.arguments.split(", "):
            name, _, default = part.partition("=")
            parameters.append(Parameter(name, _KINDS.get(name, "value"), default or None))
        return tuple(parameters)

    @property
    def signature(self) -> str:
        """As a user reads it: sum(x, axis=None, keepdims=False)."""
        return f"{self.name}({self.arguments})"

    @property
    def min_args(self) -> int:
        """How many arguments must be given."""
        return sum(parameter.default is None for parameter in self.parameters)

    @property
    def max_args(self) -> int:
        """How many arguments may be given."""
        return len(self.parameters)

    @property
    def keywords(self) -> tuple[str, ...]:
        """The names by which arguments may be given."""
        return tuple(parameter.name for parameter in self.parameters)

    def parameter(self, keyword: str) -> Parameter | None:
        """Return the parameter that `keyword` names, in this table's spelling or numpy's or TensorFlow's."""
        for name in (keyword, _KEYWORD_ALIASES.get(keyword)):
            for parameter in self.parameters:
                if parameter.name == name:
                    return parameter
        return None


_WITHOUT_KERNEL = frozenset({"det"})  # MatrixDeterminant; found by compiling the whole table
_WITHOUT_LANES = _WITHOUT_KERNEL | {"svdvals"}  # vectorized_map has no converter for Svd


def _rows(group: str, kind: str, text: str) -> list[Function]:
    """Read rows `name(arguments) | aliases | doc` of one group."""
    rows = []
    for line in text.strip().splitlines():
        head, aliases, doc = (part.strip() for part in line.split("|", 2))
        name, _, arguments = head[:-1].partition("(")
        known = name not in _WITHOUT_KERNEL
        rows.append(
            Function(
                name, arguments, doc, group, kind, tuple(aliases.split()), xla=known, lanes=name not in _WITHOUT_LANES
            )
        )
    return rows


_MATH = """
add(a, b) | | a + b
subtract(a, b) | | a - b
multiply(a, b) | | a * b
divide(a, b) | truediv true_divide div | a / b
divide_no_nan(a, b) | | a / b, and 0 where b is 0
pow(a, b) | power | a ** b
mod(a, b) | floormod remainder floor_mod | remainder of a / b, with the sign of b
negative(x) | neg | -x
exp(x) | | e to the x
expm1(x) | | exp(x) - 1, exact near 0
log(x) | ln | natural logarithm
log1p(x) | | log(1 + x), exact near 0
log2(x) | | logarithm to base 2
log10(x) | | logarithm to base 10
sqrt(x) | | square root
rsqrt(x) | | 1 / sqrt(x)
square(x) | | x * x
squared_difference(a, b) | | (a - b) squared
reciprocal(x) | | 1 / x
abs(x) | absolute fabs | magnitude; of a complex number too
sign(x) | | -1, 0 or 1
floor(x) | | next whole number below
ceil(x) | | next whole number above
round(x) | rint | nearest whole number, halves to even
sin(x) | | sine
cos(x) | | cosine
tan(x) | | tangent
asin(x) | arcsin | inverse sine
acos(x) | arccos | inverse cosine
atan(x) | arctan | inverse tangent
atan2(y, x) | arctan2 | angle of the point (x, y)
sinh(x) | | hyperbolic sine
cosh(x) | | hyperbolic cosine
tanh(x) | | hyperbolic tangent
asinh(x) | arcsinh | inverse hyperbolic sine
acosh(x) | arccosh | inverse hyperbolic cosine
atanh(x) | arctanh | inverse hyperbolic tangent
minimum(a, b) | | the smaller of two, elementwise
maximum(a, b) | | the larger of two, elementwise
clip(x, low, high) | clip_by_value | x kept between low and high
where(condition, a, b) | | a where condition holds, else b
xlogy(a, b) | | a * log(b), and 0 where a is 0
logaddexp(a, b) | | log(exp(a) + exp(b)), without overflow
"""
_LOGIC = """
less(a, b) | | a < b
less_equal(a, b) | | a <= b
greater(a, b) | | a > b
greater_equal(a, b) | | a >= b
equal(a, b) | | a == b
not_equal(a, b) | | a != b
logical_and(a, b) | | a and b, elementwise
logical_or(a, b) | | a or b, elementwise
logical_not(x) | | not x, elementwise
isfinite(x) | is_finite | whether x is neither nan nor infinite
isnan(x) | is_nan | whether x is nan
"""
_SPECIAL = """
erf(x) | | error function
erfc(x) | | 1 - erf(x)
erfinv(x) | | inverse of erf
lgamma(x) | gammaln | logarithm of |gamma(x)|
digamma(x) | | derivative of lgamma
"""
_COMPLEX = """
complex(a, b) | | a + b * 1j
real(x) | | real part
imag(x) | | imaginary part
conj(x) | conjugate | complex conjugate
angle(x) | | argument of a complex number
fft(x) | | discrete Fourier transform along the last axis, complex
ifft(x) | | its inverse
"""
_ACTIVATIONS = """
sigmoid(x) | | 1 / (1 + exp(-x))
log_sigmoid(x) | | log(sigmoid(x)), without overflow
softplus(x) | | log(1 + exp(x)), without overflow
softsign(x) | | x / (1 + |x|)
relu(x) | | maximum(x, 0)
relu6(x) | | x kept between 0 and 6
leaky_relu(x, alpha=0.2) | | x where positive, else alpha * x
elu(x) | | x where positive, else exp(x) - 1
selu(x) | | scaled elu (Klambauer et al. 2017)
gelu(x, approximate=False) | | x * Phi(x), Phi the normal distribution function
silu(x) | swish | x * sigmoid(x)
mish(x) | | x * tanh(softplus(x))
hard_sigmoid(x) | | relu6(x + 3) / 6
softmax(x, axis=-1) | | exp(x) / sum(exp(x)) along axis
log_softmax(x, axis=-1) | | log(softmax(x)), without overflow
sigmoid_cross_entropy_with_logits(labels, logits) | sigmoid_cross_entropy | elementwise cross-entropy of sigmoid(logits)
softmax_cross_entropy_with_logits(labels, logits) | softmax_cross_entropy | cross-entropy of softmax(logits), last axis
"""
_REDUCTIONS = """
sum(x, axis=None, keepdims=False) | reduce_sum | sum over axis, or over everything
mean(x, axis=None, keepdims=False) | reduce_mean average | mean
prod(x, axis=None, keepdims=False) | reduce_prod | product
max(x, axis=None, keepdims=False) | reduce_max amax | largest element; of two arrays: maximum(a, b)
min(x, axis=None, keepdims=False) | reduce_min amin | smallest element; of two arrays: minimum(a, b)
var(x, axis=None, keepdims=False) | reduce_variance variance | variance (divided by n)
std(x, axis=None, keepdims=False) | reduce_std | standard deviation (divided by n)
any(x, axis=None, keepdims=False) | reduce_any | whether some element is true
all(x, axis=None, keepdims=False) | reduce_all | whether every element is true
median(x, axis=None, keepdims=False) | | middle value; of an even number the mean of the two in the middle
logsumexp(x, axis=None, keepdims=False) | reduce_logsumexp | log(sum(exp(x))), without overflow
argmax(x, axis=None) | | index of the largest element
argmin(x, axis=None) | | index of the smallest element
"""
_LINEAR_ALGEBRA = """
matmul(a, b) | | a @ b, with numpy's rules for vectors
matvec(a, b) | | matrix a times vector b
dot(a, b) | | numpy's dot: inner product of vectors, product of matrices, scaling
tensordot(a, b, num=2) | | sum over the last num axes of a and the first num of b
outer(a, b) | | a[i] * b[j] of two flattened arrays
transpose(x, axes=None) | | axes reversed, or in the order of axes
trace(x) | | sum of the diagonal
det(x) | | determinant
logdet(x) | | log(det(x)) of a symmetric positive definite matrix, by Cholesky
inverse(x) | inv | inverse matrix
solve(a, b) | | x with a @ x = b; b a vector or a matrix
triangular_solve(a, b, lower=True, adjoint=False) | | x with a @ x = b for a triangular a; adjoint: of a transposed
cholesky(x) | | lower triangular L with L @ transpose(L) = x
eigvalsh(x) | | eigenvalues of a symmetric matrix, ascending
svdvals(x) | singular_values | singular values of a matrix, descending; XLA gives about 10 digits of them
kron(a, b) | | Kronecker product of two matrices
cross(a, b) | | cross product of vectors of length 3, along the last axis
l2_normalize(x, axis=None) | | x / norm(x), with sum(x ** 2) at least 1e-12 in it
norm(x, ord=2, axis=None, keepdims=False) | | (sum |x| ** ord) ** (1 / ord) over axis, or over everything
diag(x) | | matrix with the vector x on its diagonal; of a matrix: its diagonal
diag_part(x) | | diagonal of a matrix
tril(x) | | lower triangle, the rest 0
triu(x) | | upper triangle, the rest 0
eye(num) | identity | unit matrix
"""
_SHAPING = """
reshape(x, shape) | | the same elements in another shape; one axis may be -1
ravel(x) | flatten | in one axis
expand_dims(x, axis) | | with a new axis of length 1
squeeze(x, axis=None) | | without axes of length 1
broadcast_to(x, shape) | | repeated to shape by the broadcasting rules
concat(values, axis=0) | concatenate | arrays of a list joined along an axis they have
stack(values, axis=0) | | arrays of a list joined along a new axis
pad(x, width, axis=None) | | zeros around x: width at both ends, or [before, after]; on one axis or on all
tile(x, reps) | | x repeated as a whole
repeat(x, repeats, axis=None) | | each element repeated
flip(x, axis=None) | reverse | in reverse order
roll(x, shift, axis=None) | | shifted around the end
gather(x, indices, axis=0) | take | the entries of x at indices
one_hot(indices, depth) | | 1 at the index, 0 elsewhere, along a new last axis
cumsum(x, axis=None) | | running sum
cumprod(x, axis=None) | | running product
diff(x, axis=-1) | | differences of neighbours
sort(x, axis=-1, descending=False) | | in ascending order
argsort(x, axis=-1, descending=False) | | indices that sort x
length(x) | | length of the first axis, as a count
size(x) | | number of elements, as a count
zeros(shape) | | zeros
ones(shape) | | ones
zeros_like(x) | | zeros of the shape of x
ones_like(x) | | ones of the shape of x
full(shape, value) | fill | value everywhere
range(start, stop=None, step=1) | arange | start, start + step, ... below stop; range(n) counts from 0
linspace(start, stop, num=50) | | num points from start to stop, both included
logspace(start, stop, num=50, base=10) | | base ** linspace(start, stop, num)
"""
_DERIVATIVES = """
grad(expr, name) | gradient | derivative of expr (summed, as a tape does) by the value called name
jacobian(expr, name) | | derivative of every element of expr by every element of name
hessian(expr, name) | | second derivatives of expr (summed) by every pair of elements of name
stop_gradient(x) | | x, constant for derivatives
"""
_DRAWS = """
uniform(low, high, shape=None) | random_uniform | uniform numbers from low up to high
normal(loc, scale, shape=None) | random_normal | normal numbers of mean loc and deviation scale
truncated_normal(loc, scale, shape=None) | | normal numbers within two deviations
bernoulli(p, shape=None) | | 1 with probability p, else 0
"""

ROWS: tuple[Function, ...] = (
    *_rows("math", "elementwise", _MATH),
    *_rows("comparison and logic", "elementwise", _LOGIC),
    *_rows("special functions", "elementwise", _SPECIAL),
    *_rows("complex numbers", "elementwise", _COMPLEX),
    *_rows("activations", "elementwise", _ACTIVATIONS),
    *_rows("reductions", "reduction", _REDUCTIONS),
    *_rows("linear algebra", "linear_algebra", _LINEAR_ALGEBRA),
    *_rows("shaping", "shaping", _SHAPING),
    *_rows("derivatives", "special", _DERIVATIVES),
    *_rows("random draws", "draw", _DRAWS),
)

TABLE: dict[str, Function] = {name: row for row in ROWS for name in (row.name, *row.aliases)}
"""Every callable name, aliases included, to its row."""

DERIVATIVES = frozenset({"grad", "jacobian", "hessian"})


def describe_functions() -> list[tuple[str, str, str]]:
    """Return (group, signature, doc) of every function, in the order of the table, for `gdrun explain --formulas`."""
    rows = []
    for row in ROWS:
        doc = f"{row.doc} (also {', '.join(row.aliases)})" if row.aliases else row.doc
        rows.append((row.group, row.signature, doc))
    return rows


def functions_without_xla(functions: frozenset[str]) -> frozenset[str]:
    """Return those of `functions` that XLA cannot compile: with one of them a run falls back to graph."""
    return frozenset(name for name in functions if name in TABLE and not TABLE[name].xla)


def functions_without_lanes(functions: frozenset[str]) -> frozenset[str]:
    """Return those of `functions` that vectorized_map cannot convert: with one of them trials do not run as lanes."""
    return frozenset(name for name in functions if name in TABLE and not TABLE[name].lanes)
