"""Derivatives of formulas, of a config or of a run: `gdrun grad`.

Shape letters: T shape of a target, X and Y shapes of names that it is differentiated by, B examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import UsageError
from gdrun.formula.evaluate import evaluate_constants
from gdrun.formula.parse import parse
from gdrun.formula.unconnected import NO_WAY
from gdrun.text import split_points

from .evaluation_point import config_or_run, point_of
from .grad_arguments import GradFormulas, assignments, is_source, placed, read_targets

if TYPE_CHECKING:
    from .differentiable_points import DifferentiablePoint


@dataclass(frozen=True)
class Missing:
    """A derivative that does not exist for the tape, which is not a derivative of 0."""

    reason: str
    """Why, in words."""


Derivative = np.ndarray | Missing


@dataclass(frozen=True)
class TargetDerivatives:
    """The derivatives of one target at one point. What was not asked for is empty."""

    target: str
    """As written."""
    value: np.ndarray
    """(T)."""
    gradients: Mapping[str, Derivative]
    """Of the target, summed if it is no scalar, by each name, (X)."""
    second: Mapping[str, Mapping[str, Derivative]] = field(default_factory=dict)
    """second[x][y]: gradient of the (summed) gradient by x, by y, (Y): what nested tapes give."""
    higher: Mapping[int, Mapping[str, Derivative]] = field(default_factory=dict)
    """higher[n][x]: the n-th derivative by x alone, n from 3, each gradient summed before the next, (X)."""
    jacobian: Mapping[str, Derivative] = field(default_factory=dict)
    """Of every element of the target, (T, X)."""
    batch_jacobian: Mapping[str, Derivative] = field(default_factory=dict)
    """Of each example, the first axis: (B, rest of T, rest of X)."""
    hessian: Mapping[str, Mapping[str, Derivative]] = field(default_factory=dict)
    """hessian[x][y]: second derivatives of the summed target, (X, Y)."""
    hvp: Mapping[str, Derivative] = field(default_factory=dict)
    """The Hessian times the given direction, (X)."""
    jvp: Derivative | None = None
    """The derivative along the given direction, (T)."""
    notes: tuple[str, ...] = ()
    """Return notes on what is not finite, and the operation that made it so."""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; a missing derivative is {"value": None, "reason": ...}."""
        always = ("target", "value", "gradients")
        return {
            name: _plain(part)
            for name, part in vars(self).items()
            if name in always or not (part is None or (isinstance(part, Mapping | tuple) and not part))
        }


@dataclass(frozen=True)
class PointDerivatives:
    """The derivatives at one point."""

    at: Mapping[str, np.ndarray]
    """The values of the names, constants among them; parameters of a config before their transform."""
    targets: tuple[TargetDerivatives, ...]
    """In the order in which they were given."""

    def __getitem__(self, target: str) -> TargetDerivatives:
        return next(derivatives for derivatives in self.targets if derivatives.target == target)


@dataclass(frozen=True)
class Derivatives:
    """Derivatives at one or more points; what `gdrun.grad` returns."""

    points: tuple[PointDerivatives, ...]
    precision: str
    source: str | None = None
    """The config or run; None for formulas."""
    notes: tuple[str, ...] = ()
    """What training does otherwise."""

    @property
    def value(self) -> np.ndarray:
        """Of the first target at the first point."""
        return self.points[0].targets[0].value

    @property
    def gradients(self) -> Mapping[str, Derivative]:
        """Of the first target at the first point."""
        return self.points[0].targets[0].gradients

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        points = [{"at": dict(point.at), "targets": [t.as_dict() for t in point.targets]} for point in self.points]
        source = {} if self.source is None else {"source": self.source}
        notes = {"notes": list(self.notes)} if self.notes else {}
        return source | {"precision": self.precision, "points": points} | notes


def _plain(value: Any) -> Any:
    if isinstance(value, Missing):
        return {"value": None, "reason": value.reason}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


_DIRECTION = "v"
"""A direction of this name, where no variable has it, is over all variables in their order."""


@dataclass(frozen=True)
class Requested:
    """Derivatives that are asked for beside gradients."""

    order: int = 1
    jacobian: bool = False
    batch_jacobian: bool = False
    hessian: bool = False
    hvp: Mapping[str, np.ndarray] = field(default_factory=dict)
    jvp: Mapping[str, np.ndarray] = field(default_factory=dict)


def grad(
    target: str | Path | Sequence[str],
    values: Mapping[str, Any] | Sequence[str] = (),
    *,
    define: Mapping[str, Any] | Sequence[str] = (),
    wrt: Sequence[str] | None = None,
    constant: Mapping[str, Any] | Sequence[str] = (),
    order: int = 1,
    jacobian: bool = False,
    batch_jacobian: bool = False,
    hessian: bool = False,
    hvp: Mapping[str, Any] | Sequence[str] = (),
    jvp: Mapping[str, Any] | Sequence[str] = (),
    step: int | None = None,
    precision: str | None = None,
    runs_dir: str | Path | None = None,
    device: str | None = None,
) -> Derivatives:
    """Return derivatives of formulas at given values, or of what a config or a run computes.

        grad("x**2 + b", {"x": 100, "b": 10}).gradients["x"]                  # 200
        grad("gallery:pi").gradients["a"]                                     # of the loss, at the initial values
        grad(["gallery:pi", "prediction"], jacobian=True)                     # of the prediction

    Args:
        target: a formula, or several; or a config's or run directory's path (or a run's id), which further formulas of
            the config's names may follow. Their default is `loss`, over all training data.
        values: name -> number or array, or texts "x=1"; a text "x=1,2,3" is three points, "x=[1,2,3]" one array. For a
            config: overrides, as in `gdrun.train`.
        define: name -> formula, intermediate values; formulas only.
        wrt: names to differentiate by, intermediate ones too; default every value, or every trained parameter.
        constant: names, or name -> value, that are not differentiated by.
        order: 2 adds second derivatives by nested tapes, n the derivatives up to the n-th; 0 leaves values alone.
        jacobian, batch_jacobian, hessian: of every element of the target; of each example; of its sum.
        hvp, jvp: name -> direction: the Hessian times it, the derivative along it.
        step: of a run, at which step's recorded parameters; default the final ones.
        precision: "float64" (default for formulas) or "float32"; default for a config its own.
        runs_dir: where run ids are looked up.
        device: for a config; as in `gdrun.train`.
    Raises:
        ConfigError: a formula or a config that is refused. UsageError: what does not go together.
    """
    directions = [_directions(hvp, "--hvp"), _directions(jvp, "--jvp")]
    requested = Requested(order, jacobian, batch_jacobian, hessian, *directions)
    if order < 0 or order > 8:
        raise UsageError(f"there is no derivative of order {order}", hint="--order is 1 to 8; --values asks for none")
    if order == 0 and requested != Requested(0):
        raise UsageError("values alone have no derivatives: leave one of the two out")
    if precision not in (None, "float32", "float64"):
        raise UsageError(f"there is no precision {precision}", hint="float32 or float64")
    texts = [target] if isinstance(target, str | Path) else list(target)
    if texts and is_source(texts[0]):
        if len(texts) > 1 and is_source(texts[1]):
            raise UsageError("grad takes one config or run", hint=f"gdrun grad {texts[0]}")
        if define:
            raise UsageError("--define is for formulas; a config has its own `define:`")
        targets, constants = read_targets([str(text) for text in texts[1:]] or ["loss"]), _names(constant)
        start = point_of(
            config_or_run(texts[0], runs_dir), values, step=step, precision=precision, device=device,
            requires_gradients=False,
        )  # fmt: skip
        import tensorflow as tf

        from .differentiable_points import by_hand_notes, config_point

        point, built = config_point(start, targets, wrt=wrt, constant=constants), start.prepared.built
        with tf.device(start.prepared.device.name):
            derivatives = _differentiate(point, requested)
        notes = by_hand_notes(built, targets, point.names)
        return Derivatives((derivatives,), built.experiment.precision, str(texts[0]), notes)
    if step is not None:
        raise UsageError("--step is for runs")
    formulas = GradFormulas(
        [str(text) for text in texts],
        _given(values, "a value"),
        define=_given(define, "--define"),
        constant=_given(constant, "--constant", alone=True),
        wrt=None if wrt is None else list(wrt),
    )
    # Before anything that imports TensorFlow by itself.
    from gdrun.engine.device import configure, import_tensorflow

    tf = import_tensorflow()
    chosen = configure(device="cpu")
    from .differentiable_points import formula_points

    precision = precision or "float64"
    with tf.device(chosen.name):
        points = formula_points(formulas, tf.as_dtype(precision))
        return Derivatives(tuple(_differentiate(point, requested) for point in points), precision)


def _given(values: Mapping[str, Any] | Sequence[str], what: str, *, alone: bool = False) -> dict[str, Any]:
    """{"x": value} of what a caller or a command line gives."""
    if isinstance(values, Mapping):
        return dict(values)
    named = assignments(list(values), what)
    if not alone and (empty := [name for name, value in named.items() if value is None]):
        raise UsageError(f"{empty[0]} has no value", hint="write NAME=VALUE")
    return named


def _names(constant: Mapping[str, Any] | Sequence[str]) -> list[str]:
    values = _given(constant, "--constant", alone=True)
    if valued := [name for name, value in values.items() if value is not None]:
        raise UsageError(f"{valued[0]}=...: give a config's values as they are, without --constant")
    return list(values)


def _differentiate(point: DifferentiablePoint, requested: Requested) -> PointDerivatives:
    from gdrun import derivatives

    if requested.order == 0:
        values = point.evaluate(lambda tensors: None).targets
        results = [TargetDerivatives(target, np.asarray(value), {}) for target, value in values.items()]
        return PointDerivatives(dict(point.at), tuple(results))
    view, first = derivatives.gradients(point.evaluate)
    names = [name for name in point.names if name in view.variables or name in point.constants]
    maker = _Maker(point, names)
    hvp = _direction(requested.hvp, view.variables, "--hvp")
    jvp = _direction(requested.jvp, view.variables, "--jvp")
    second = derivatives.second_gradients(point.evaluate) if requested.order > 1 else {}
    higher = {order: derivatives.nth_gradients(point.evaluate, order) for order in range(3, requested.order + 1)}
    jacobian = derivatives.jacobians(point.evaluate) if requested.jacobian or requested.batch_jacobian else {}
    hessian = derivatives.hessians(point.evaluate) if requested.hessian else {}
    products = derivatives.hessian_products(point.evaluate, hvp) if hvp else {}
    along = derivatives.jacobian_products(point.evaluate, jvp) if jvp else {}
    results = []
    for target, value in view.targets.items():
        whole = maker.each(target, jacobian.get(target))
        batch = {} if not requested.batch_jacobian else _per_example(whole, np.ndim(value))
        results.append(
            TargetDerivatives(
                target=target,
                value=np.asarray(value),
                gradients=maker.each(target, first[target]),
                second=maker.pairs(second.get(target)),
                higher={order: maker.each(target, by.get(target, {}), order) for order, by in higher.items()},
                jacobian=whole if requested.jacobian else {},
                batch_jacobian=batch,
                hessian=maker.pairs(hessian.get(target)),
                hvp=maker.each(target, products.get(target), 2),
                jvp=maker.one(target, " and ".join(jvp), along[target]) if jvp else None,
                notes=_notes(point, target, value, first[target]),
            )
        )
    return PointDerivatives(dict(point.at), tuple(results))


class _Maker:
    """Makes arrays, or reasons, of what tapes found."""

    def __init__(self, point: DifferentiablePoint, names: Iterable[str]) -> None:
        self.point = point
        self.names = list(names)

    def one(self, target: str, name: str, value: Any, order: int = 1) -> Derivative:
        if name in self.point.constants:
            return Missing(self.point.constants[name])
        if value is not None:
            return np.asarray(value)
        why = self.point.explain(target, name)
        return Missing(f"the derivative before does not depend on {name}" if order > 1 and why == NO_WAY else why)

    def each(self, target: str, by_name: Mapping[str, Any] | None, order: int = 1) -> dict[str, Derivative]:
        if by_name is None:
            return {}
        return {name: self.one(target, name, by_name.get(name), order) for name in self.names}

    def pairs(self, by_names: Mapping[str, Mapping[str, Any]] | None) -> dict[str, dict[str, Derivative]]:
        if by_names is None:
            return {}
        free = [name for name in self.names if name not in self.point.constants]
        return {x: {y: self._pair(x, y, by_names[x].get(y)) for y in free} for x in free}

    @staticmethod
    def _pair(x: str, y: str, value: Any) -> Derivative:
        return Missing(f"the derivative by {x} does not depend on {y}") if value is None else np.asarray(value)


def _per_example(jacobian: Mapping[str, Derivative], rank: int) -> dict[str, Derivative]:
    from gdrun.derivatives import batch_jacobian

    return {
        name: value if isinstance(value, Missing) else batch_jacobian(value, rank) for name, value in jacobian.items()
    }


def _directions(given: Mapping[str, Any] | Sequence[str], option: str) -> dict[str, np.ndarray]:
    """Return directions by name, as a caller or a command line gives them."""
    return {name: _array(value, f"{option} {name}=") for name, value in _given(given, option).items()}


def _direction(given: Mapping[str, np.ndarray], variables: Mapping[str, Any], option: str) -> dict[str, np.ndarray]:
    """Return the direction by variable; that called v is cut up over all variables."""
    directions: dict[str, np.ndarray] = {}
    for name, array in given.items():
        if name in variables:
            directions[name] = array
        elif name == _DIRECTION:
            shapes = {x: np.shape(variable) for x, variable in variables.items()}
            sizes = [int(np.prod(shape)) for shape in shapes.values()]
            if array.size != sum(sizes):
                raise UsageError(f"{option} {name} has {array.size} numbers; the variables together have {sum(sizes)}")
            pieces = np.split(array.reshape(-1), np.cumsum(sizes)[:-1])
            directions |= {x: piece.reshape(shapes[x]) for x, piece in zip(variables, pieces, strict=True)}
        else:
            names = ", ".join(variables)
            raise UsageError(f"{option}: {name} is nothing to differentiate by", hint=f"there are: {names}")
    return directions


def _array(value: Any, what: str) -> np.ndarray:
    if not isinstance(value, str):
        return np.asarray(value, np.complex128 if np.iscomplexobj(value) else np.float64)
    pieces = split_points(value)
    text = f"[{value}]" if len(pieces) > 1 else value
    with placed(what, text):
        return evaluate_constants({"direction": parse(text)})["direction"]


def _notes(point: DifferentiablePoint, target: str, value: Any, slopes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return notes on what is not finite, and the operation that made it so."""
    bad = [name for name, slope in slopes.items() if slope is not None and not np.all(np.isfinite(slope))]
    value_bad = not np.all(np.isfinite(value))
    if not bad and not value_bad:
        return ()
    import tensorflow as tf

    from .nonfinite import WatchingOps, slope_note, value_note

    ops = WatchingOps(point.dtype)
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        view = point.evaluate_by(ops)(tape.watch)
    notes = []
    if value_bad:
        cause = value_note(ops.seen) or "the values given are not"
        notes.append(f"the value is not finite: {cause}; what the tape says of derivatives there means nothing")
    elif bad and tf.is_tensor(view.targets[target]):
        by = f"the derivative by {', '.join(bad)} is not finite"
        why = slope_note(ops.seen, tape, view.targets[target])
        notes.append(f"{by}: {why}" if why else by)
    return tuple(notes)
