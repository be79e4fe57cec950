"""The function table: everything that a formula may call, an entry each, with both of its implementations.

Names are numpy's and TensorFlow's own. Where the two disagree on a default (argmax, cumsum without an axis), numpy's
holds.

An entry reads `name(arguments) | aliases | conversion numpy tensorflow | doc`, and may go on in an indented line.
An implementation beginning with np. or tf. is the library's; any other is a function of numpy_functions.py or of
tensorflow_functions.py, one name standing for both; "-" is left to numpy, because no argument can be a tensor. They are
named as text so that reading formulas imports neither library. The conversion says what becomes of the values before:

    number         float or complex, broadcasting against each other
    real           the same, complex numbers refused where there is one value
    matrix         float or complex, of shapes that need not broadcast
    truth          booleans: true where it is not 0
    order          real, whole numbers in float64; equality: complex ones too
    finite         numpy's number, TensorFlow's real
    power          numpy's number, TensorFlow's as_is
    as_is          none; a function of tensorflow_functions.py gets the run's Promotion before its arguments
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

# What an argument is, by its parameter's name; "value" where the name is not here.
#   integer, number, flag, axis (an integer, a list or None), shape (a count or a list), end (it decides a length, so it
#   is not rounded to the run's precision): known before the run
#   text: letters in quotes, of einsum alone
#   values: a list whose items stay apart; expression: not evaluated before the call; name: a bare name
_KINDS = {
    "axis": "axis", "axes": "axis", "keepdims": "flag", "descending": "flag", "lower": "flag", "adjoint": "flag",
    "approximate": "flag", "shape": "shape", "reps": "shape", "num": "integer", "depth": "integer", "shift": "integer",
    "repeats": "integer", "k": "integer", "n": "integer", "ord": "number", "alpha": "number", "base": "number",
    "values": "values", "expr": "expression", "name": "name", "width": "shape",
    "range.start": "end", "range.stop": "end", "range.step": "end", "stride": "integer", "same": "flag",
    "subscripts": "text",
}  # fmt: skip

# Other spellings of keywords, from numpy and TensorFlow.
_KEYWORD_ALIASES = {
    "perm": "axes", "size": "shape", "minval": "low", "maxval": "high", "mean": "loc", "stddev": "scale",
    "a_min": "low", "a_max": "high", "clip_value_min": "low", "clip_value_max": "high", "arrays": "values",
    "multiples": "reps", "num_classes": "depth", "probs": "p", "dims": "shape",
}  # fmt: skip


@dataclass(frozen=True)
class FunctionParameter:
    """One parameter; `default` is its text in the signature, None where it must be given."""

    name: str
    kind: str
    default: str | None


@dataclass(frozen=True)
class Function:
    """One entry of the table.

    Args:
        name: as formulas call it. arguments: as its signature shows them.
        doc: one line. group: the heading it is listed under.
        kind: elementwise, reduction, linear_algebra, shaping, draw or special.
        aliases: other names of the same function.
        conversion, numpy, tensorflow: see the module; empty for derivatives and draws, which have code of their own.
    """

    name: str
    arguments: str
    doc: str
    group: str
    kind: str
    aliases: tuple[str, ...]
    conversion: str
    numpy: str
    tensorflow: str

    @cached_property
    def parameters(self) -> tuple[FunctionParameter, ...]:
        """The parameters, read from the text of the signature."""
        parameters = []
        for part in self.arguments.split(", "):
            name, _, default = part.partition("=")
            kind = _KINDS.get(f"{self.name}.{name}") or _KINDS.get(name, "value")
            parameters.append(FunctionParameter(name, kind, default or None))
        return tuple(parameters)

    @property
    def signature(self) -> str:
        """As a user reads it: sum(x, axis=None, keepdims=False)."""
        return f"{self.name}({self.arguments})"

    @property
    def xla(self) -> bool:
        """True where XLA can compile it; where not, a run falls back to graph."""
        return self.name not in _WITHOUT_KERNEL

    @property
    def lanes(self) -> bool:
        """True where tf.vectorized_map can convert it; where not, trials run one after the other."""
        return self.name not in _WITHOUT_LANES

    def parameter(self, keyword: str) -> FunctionParameter | None:
        """Return the parameter that `keyword` names, in this table's spelling or numpy's or TensorFlow's."""
        names = (keyword, _KEYWORD_ALIASES.get(keyword))
        return next((parameter for parameter in self.parameters if parameter.name in names), None)


def implementations(
    library: str, places: Mapping[str, Any], adapt: Callable[[Function, Callable[..., Any]], Callable[..., Any]]
) -> dict[str, Callable[..., Any]]:
    """Return each function's implementation of one library, by name, adapted to take values of any kind.

    Args:
        library: "numpy" or "tensorflow".
        places: where implementations are found: "np" or "tf" -> the library, "" -> the module of our own ones.
        adapt: puts the conversion of an entry before its implementation.
    """
    functions = {}
    for row in ROWS:
        path = getattr(row, library)
        if path not in ("", "-"):
            *owners, name = path.split(".")
            owner = reduce(getattr, owners[1:], places[owners[0] if owners else ""])
            functions[row.name] = adapt(row, getattr(owner, name))
    return functions


def split_values(
    row: Function, operands: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the values that a function computes with, and its options, which are known before the run."""
    named = [parameter.name for parameter in row.parameters if parameter.kind == "value" and parameter.name in options]
    return (*operands, *(options.pop(name) for name in named)), options


_WITHOUT_KERNEL = frozenset({"det"})  # MatrixDeterminant; found by compiling the whole table
# Factorisations: XLA has them as loops for processors, TensorFlow calls Eigen.
_SLOW_IN_XLA = frozenset({"cholesky", "eigvalsh", "inverse", "logdet", "solve", "svdvals", "triangular_solve"})
_WITHOUT_LANES = _WITHOUT_KERNEL | {"svdvals"}  # vectorized_map has no converter for Svd


def _rows(group: str, kind: str, text: str) -> list[Function]:
    """Read the entries of one group."""
    rows = []
    for line in text.replace("\n    ", " ").strip().splitlines():
        head, aliases, implementation, doc = (part.strip() for part in line.split("|", 3))
        name, _, arguments = head[:-1].partition("(")
        conversion, numpy, *tensorflow = implementation.split() or ("", "", "")
        names = (conversion, numpy, *(tensorflow or [numpy]))
        rows.append(Function(name, arguments, doc, group, kind, tuple(aliases.split()), *names))
    return rows


_MATH = """
add(a, b) | | number np.add tf.add | a + b
subtract(a, b) | | number np.subtract tf.subtract | a - b
multiply(a, b) | | number np.multiply tf.multiply | a * b
divide(a, b) | truediv true_divide div | number np.true_divide tf.truediv | a / b
divide_no_nan(a, b) | | number divide_no_nan tf.math.divide_no_nan | a / b, and 0 where b is 0
pow(a, b) | power | power np.power pow | a ** b
mod(a, b) | floormod remainder floor_mod | real np.mod tf.math.floormod | remainder of a / b, with the sign of b
negative(x) | neg | number np.negative tf.negative | -x
exp(x) | | number np.exp tf.exp | e to the x
expm1(x) | | number np.expm1 tf.math.expm1 | exp(x) - 1, exact near 0
log(x) | ln | number np.log tf.math.log | natural logarithm
log1p(x) | | number np.log1p tf.math.log1p | log(1 + x), exact near 0
log2(x) | | real np.log2 log2 | logarithm to base 2
log10(x) | | real np.log10 log10 | logarithm to base 10
sqrt(x) | | number np.sqrt tf.sqrt | square root
rsqrt(x) | | number rsqrt tf.math.rsqrt | 1 / sqrt(x)
square(x) | | number np.square tf.square | x * x
squared_difference(a, b) | | real squared_difference tf.math.squared_difference | (a - b) squared
reciprocal(x) | | number reciprocal tf.math.reciprocal | 1 / x
abs(x) | absolute fabs | number np.abs tf.abs | magnitude; of a complex number too
sign(x) | | real np.sign tf.sign | -1, 0 or 1
floor(x) | | real np.floor tf.floor | next whole number below
ceil(x) | | real np.ceil tf.math.ceil | next whole number above
round(x) | rint | real np.rint tf.round | nearest whole number, halves to even
sin(x) | | number np.sin tf.sin | sine
cos(x) | | number np.cos tf.cos | cosine
tan(x) | | number np.tan tf.tan | tangent
asin(x) | arcsin | number np.arcsin tf.asin | inverse sine
acos(x) | arccos | number np.arccos tf.acos | inverse cosine
atan(x) | arctan | number np.arctan tf.atan | inverse tangent
atan2(y, x) | arctan2 | real np.arctan2 tf.atan2 | angle of the point (x, y)
sinh(x) | | number np.sinh tf.sinh | hyperbolic sine
cosh(x) | | number np.cosh tf.cosh | hyperbolic cosine
tanh(x) | | number np.tanh tf.tanh | hyperbolic tangent
asinh(x) | arcsinh | number np.arcsinh tf.asinh | inverse hyperbolic sine
acosh(x) | arccosh | number np.arccosh tf.acosh | inverse hyperbolic cosine
atanh(x) | arctanh | number np.arctanh tf.atanh | inverse hyperbolic tangent
minimum(a, b) | | real np.minimum tf.minimum | the smaller of two, elementwise
maximum(a, b) | | real np.maximum tf.maximum | the larger of two, elementwise
clip(x, low, high) | clip_by_value | real clip tf.clip_by_value | x kept between low and high
clip_by_norm(x, clip_norm, axis=None) | | real clip_by_norm | x scaled down to this norm, over axis or over everything
clip_by_global_norm(values, clip_norm) | | as_is clip_by_global_norm |
    arrays of a list, scaled down together to this norm; [0] is the first
where(condition, a, b) | | as_is where | a where condition holds, else b
xlogy(a, b) | | real xlogy tf.math.xlogy | a * log(b), and 0 where a is 0
logaddexp(a, b) | | real np.logaddexp logaddexp | log(exp(a) + exp(b)), without overflow
"""
_LOGIC = """
less(a, b) | | order np.less tf.less | a < b
less_equal(a, b) | | order np.less_equal tf.less_equal | a <= b
greater(a, b) | | order np.greater tf.greater | a > b
greater_equal(a, b) | | order np.greater_equal tf.greater_equal | a >= b
equal(a, b) | | equality np.equal tf.equal | a == b
not_equal(a, b) | | equality np.not_equal tf.not_equal | a != b
logical_and(a, b) | | truth np.logical_and tf.logical_and | a and b, elementwise
logical_or(a, b) | | truth np.logical_or tf.logical_or | a or b, elementwise
logical_not(x) | | truth np.logical_not tf.logical_not | not x, elementwise
isfinite(x) | is_finite | finite np.isfinite tf.math.is_finite | whether x is neither nan nor infinite
isnan(x) | is_nan | finite np.isnan tf.math.is_nan | whether x is nan
"""
_SPECIAL = """
erf(x) | | real erf tf.math.erf | error function
erfc(x) | | real erfc tf.math.erfc | 1 - erf(x)
erfinv(x) | | real erfinv tf.math.erfinv | inverse of erf
lgamma(x) | gammaln | real lgamma tf.math.lgamma | logarithm of |gamma(x)|
digamma(x) | | real digamma tf.math.digamma | derivative of lgamma
"""
_COMPLEX = """
complex(a, b) | | real complex_ tf.complex | a + b * 1j
real(x) | | number np.real tf.math.real | real part
imag(x) | | number np.imag tf.math.imag | imaginary part
conj(x) | conjugate | number np.conj tf.math.conj | complex conjugate
angle(x) | | number np.angle tf.math.angle | argument of a complex number
fft(x) | | number np.fft.fft fft | discrete Fourier transform along the last axis, complex
ifft(x) | | number np.fft.ifft ifft | its inverse
"""
_ACTIVATIONS = """
sigmoid(x) | | real sigmoid tf.sigmoid | 1 / (1 + exp(-x))
log_sigmoid(x) | | real log_sigmoid tf.math.log_sigmoid | log(sigmoid(x)), without overflow
softplus(x) | | real softplus tf.math.softplus | log(1 + exp(x)), without overflow
softsign(x) | | real softsign tf.nn.softsign | x / (1 + |x|)
relu(x) | | real relu tf.nn.relu | maximum(x, 0)
relu6(x) | | real relu6 tf.nn.relu6 | x kept between 0 and 6
leaky_relu(x, alpha=0.2) | | real leaky_relu tf.nn.leaky_relu | x where positive, else alpha * x
elu(x) | | real elu tf.nn.elu | x where positive, else exp(x) - 1
selu(x) | | real selu tf.nn.selu | scaled elu (Klambauer et al. 2017)
gelu(x, approximate=False) | | real gelu tf.nn.gelu | x * Phi(x), Phi the normal distribution function
silu(x) | swish | real silu | x * sigmoid(x)
mish(x) | | real mish | x * tanh(softplus(x))
hard_sigmoid(x) | | real hard_sigmoid | relu6(x + 3) / 6
softmax(x, axis=-1) | | real softmax tf.nn.softmax | exp(x) / sum(exp(x)) along axis
log_softmax(x, axis=-1) | | real log_softmax tf.nn.log_softmax | log(softmax(x)), without overflow
sigmoid_cross_entropy_with_logits(labels, logits) | sigmoid_cross_entropy |
    real sigmoid_cross_entropy tf.nn.sigmoid_cross_entropy_with_logits |
    elementwise cross-entropy of sigmoid(logits)
softmax_cross_entropy_with_logits(labels, logits) | softmax_cross_entropy |
    real softmax_cross_entropy tf.nn.softmax_cross_entropy_with_logits |
    cross-entropy of softmax(logits), last axis
"""
_REDUCTIONS = """
sum(x, axis=None, keepdims=False) | reduce_sum | number np.sum tf.reduce_sum | sum over axis, or over everything
mean(x, axis=None, keepdims=False) | reduce_mean average | number np.mean tf.reduce_mean | mean
prod(x, axis=None, keepdims=False) | reduce_prod | number np.prod tf.reduce_prod | product
max(x, axis=None, keepdims=False) | reduce_max amax | real np.max tf.reduce_max |
    largest element; of two arrays: maximum(a, b)
min(x, axis=None, keepdims=False) | reduce_min amin | real np.min tf.reduce_min |
    smallest element; of two arrays: minimum(a, b)
var(x, axis=None, keepdims=False) | reduce_variance variance | number np.var tf.math.reduce_variance |
    variance (divided by n)
std(x, axis=None, keepdims=False) | reduce_std | number np.std tf.math.reduce_std | standard deviation (divided by n)
any(x, axis=None, keepdims=False) | reduce_any | truth np.any tf.reduce_any | whether some element is true
all(x, axis=None, keepdims=False) | reduce_all | truth np.all tf.reduce_all | whether every element is true
median(x, axis=None, keepdims=False) | | real np.median median |
    middle value; of an even number the mean of the two in the middle
logsumexp(x, axis=None, keepdims=False) | reduce_logsumexp | real logsumexp tf.reduce_logsumexp |
    log(sum(exp(x))), without overflow
argmax(x, axis=None) | | real np.argmax argmax | index of the largest element
argmin(x, axis=None) | | real np.argmin argmin | index of the smallest element
"""
_LINEAR_ALGEBRA = """
matmul(a, b) | | matrix matmul | a @ b, with numpy's rules for vectors
matvec(a, b) | | matrix matvec tf.linalg.matvec | matrix a times vector b
dot(a, b) | | matrix dot | numpy's dot: inner product of vectors, product of matrices, scaling
tensordot(a, b, num=2) | | matrix tensordot | sum over the last num axes of a and the first num of b
einsum(subscripts, a, b=None, c=None) | | matrix einsum |
    sums of products by their indices, einsum('ij,jk->ik', A, B)
conv1d(x, filters, stride=1, same=False) | | matrix conv1d |
    convolution of x (n, width, channels) by filters (width, channels, outputs); same: with zeros around x
conv2d(x, filters, stride=1, same=False) | | matrix conv2d |
    convolution of x (n, height, width, channels) by filters (height, width, channels, outputs)
outer(a, b) | | matrix outer | a[i] * b[j] of two flattened arrays
transpose(x, axes=None) | | number np.transpose transpose | axes reversed, or in the order of axes
trace(x) | | number trace tf.linalg.trace | sum of the diagonal
det(x) | | number np.linalg.det tf.linalg.det | determinant
logdet(x) | | number logdet tf.linalg.logdet | log(det(x)) of a symmetric positive definite matrix, by Cholesky
inverse(x) | inv | number np.linalg.inv tf.linalg.inv | inverse matrix
solve(a, b) | | matrix solve | x with a @ x = b; b a vector or a matrix
triangular_solve(a, b, lower=True, adjoint=False) | | matrix triangular_solve |
    x with a @ x = b for a triangular a; adjoint: of a transposed
cholesky(x) | | number np.linalg.cholesky tf.linalg.cholesky | lower triangular L with L @ transpose(L) = x
eigvalsh(x) | | number np.linalg.eigvalsh tf.linalg.eigvalsh | eigenvalues of a symmetric matrix, ascending
svdvals(x) | singular_values | number svdvals |
    singular values of a matrix, descending; XLA gives about 10 digits of them
kron(a, b) | | matrix kron | Kronecker product of two matrices
cross(a, b) | | number cross | cross product of vectors of length 3, along the last axis
l2_normalize(x, axis=None) | | real l2_normalize | x / norm(x), with sum(x ** 2) at least 1e-12 in it
norm(x, ord=2, axis=None, keepdims=False) | | number norm | (sum |x| ** ord) ** (1 / ord) over axis, or over everything
diag(x) | | number diag | matrix with the vector x on its diagonal; of a matrix: its diagonal
diag_part(x) | | number diag_part tf.linalg.diag_part | diagonal of a matrix
tril(x) | | number np.tril tril | lower triangle, the rest 0
triu(x) | | number np.triu triu | upper triangle, the rest 0
eye(num) | identity | as_is eye - | unit matrix
"""
_SHAPING = """
reshape(x, shape) | | number reshape tf.reshape | the same elements in another shape; one axis may be -1
ravel(x) | flatten | number np.ravel ravel | in one axis
expand_dims(x, axis) | | number np.expand_dims tf.expand_dims | with a new axis of length 1
squeeze(x, axis=None) | | number np.squeeze tf.squeeze | without axes of length 1
broadcast_to(x, shape) | | number broadcast_to | repeated to shape by the broadcasting rules
concat(values, axis=0) | concatenate | as_is concat | arrays of a list joined along an axis they have
stack(values, axis=0) | | as_is stack | arrays of a list joined along a new axis
pad(x, width, axis=None) | | number pad | zeros around x: width at both ends, or [before, after]; on one axis or on all
tile(x, reps) | | number tile | x repeated as a whole
repeat(x, repeats, axis=None) | | number repeat | each element repeated
flip(x, axis=None) | reverse | number np.flip flip | in reverse order
roll(x, shift, axis=None) | | number np.roll roll | shifted around the end
gather(x, indices, axis=0) | take | as_is gather | the entries of x at indices
one_hot(indices, depth) | | as_is one_hot | 1 at the index, 0 elsewhere, along a new last axis
cumsum(x, axis=None) | | number np.cumsum cumsum | running sum
cumprod(x, axis=None) | | number np.cumprod cumprod | running product
diff(x, axis=-1) | | number np.diff diff | differences of neighbours
sort(x, axis=-1, descending=False) | | real sort | in ascending order
argsort(x, axis=-1, descending=False) | | real argsort | indices that sort x
length(x) | | as_is length | length of the first axis, as a count
size(x) | | as_is size | number of elements, as a count
zeros(shape) | | as_is zeros - | zeros
ones(shape) | | as_is ones - | ones
zeros_like(x) | | number np.zeros_like tf.zeros_like | zeros of the shape of x
ones_like(x) | | number np.ones_like tf.ones_like | ones of the shape of x
full(shape, value) | fill | as_is full | value everywhere
range(start, stop=None, step=1) | arange | as_is range_ | start, start + step, ... below stop; range(n) counts from 0
linspace(start, stop, num=50) | | number linspace | num points from start to stop, both included
logspace(start, stop, num=50, base=10) | | number logspace | base ** linspace(start, stop, num)
"""
_DERIVATIVES = """
grad(expr, name) | gradient | | derivative of expr (summed, as a tape does) by the value called name
jacobian(expr, name) | | | derivative of every element of expr by every element of name
hessian(expr, name) | | | second derivatives of expr (summed) by every pair of elements of name
stop_gradient(x) | | number np.asarray tf.stop_gradient | x, constant for derivatives
"""
_DRAWS = """
uniform(low, high, shape=None) | random_uniform | | uniform numbers from low up to high
normal(loc, scale, shape=None) | random_normal | | normal numbers of mean loc and deviation scale
truncated_normal(loc, scale, shape=None) | | | normal numbers within two deviations
bernoulli(p, shape=None) | | | 1 with probability p, else 0
categorical(logits, n=None) | | | n indices by the probabilities softmax(logits), last axis; without n one
permutation(n) | | | the whole numbers below n in random order
choice(n, k) | | | k different whole numbers below n, in random order
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

OF_TWO_VALUES = {"max": "of two values: maximum(a, b)", "min": "of two values: minimum(a, b)"}
"""Mends of the reductions that Python's own functions of the name are taken for."""


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


def functions_slow_in_xla(functions: frozenset[str]) -> frozenset[str]:
    """Return those of `functions` that XLA compiles for a processor to slower code than TensorFlow's own."""
    return functions & _SLOW_IN_XLA


def functions_without_lanes(functions: frozenset[str]) -> frozenset[str]:
    """Return those of `functions` that vectorized_map cannot convert: with one of them trials do not run as lanes."""
    return frozenset(name for name in functions if name in TABLE and not TABLE[name].lanes)
