"""Checks of gradients: the tape against differences, and what is written by hand against the tape.

Everything is computed in float64, whatever the config's precision: the tape and differences over all training data,
what is by hand on the batch that the first update sees, whose size it may have in it. A gradient by hand that is
`grad(objective, name)` may be of another objective than the loss: it is compared with differences of that one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import ComponentError, ConfigError, UsageError
from gdrun.formula.nodes import CallNode, Definition, Expression, NameNode
from gdrun.formula.parse import parse
from gdrun.text import human_number

from .finite_differences import Difference, difference
from .gradient_mistakes import alternatives, factor_words

if TYPE_CHECKING:
    from gdrun.assembly import Built

MOST_COORDINATES = 200
"""Of all parameters together; of more, a sample is compared with differences."""
_EXACT = 1e-9
_SMALL_SCALE = 1e-3
_NEAR = 0.1


@dataclass(frozen=True)
class GradientComparison:
    """One parameter's gradient held against another."""

    parameter: str
    by: str
    """"differences": the tape against them; "hand": what is written against the tape; "objective": against differences
    of its own objective."""
    ok: bool
    index: tuple[int, ...]
    """Where they differ most."""
    got: float
    """There: the tape's, or the one by hand."""
    expected: float
    """There: the differences', or the tape's."""
    bound: float
    """How far off it may be, there."""
    compared: int
    """Entries that were compared."""
    size: int
    wrong: int
    """Entries that are off by more than their bound."""
    note: str = ""
    """A kink; a point nearby; what agrees with the tape."""
    suggestion: str | None = None
    """A formula that agrees with the tape, where a simple change gives one."""

    @property
    def off_by(self) -> float:
        """|got - expected|."""
        return abs(self.got - self.expected)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**vars(self), "index": list(self.index), "off_by": self.off_by}


@dataclass(frozen=True)
class GradientCheck:
    """The report of `gdrun.check_grad`."""

    config: str
    comparisons: tuple[GradientComparison, ...]

    @property
    def ok(self) -> bool:
        """True where every gradient is right."""
        return all(row.ok for row in self.comparisons)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"config": self.config, "ok": self.ok, "comparisons": [row.as_dict() for row in self.comparisons]}


def check_grad(
    source: str | Path, overrides: Mapping[str, Any] | Sequence[str] = (), *, device: str | None = None
) -> GradientCheck:
    """Compare the gradients of a config: the tape's with finite differences, those by hand with the tape's.

    Args:
        source, overrides, device: as in `gdrun.train`; a run is checked at its end.
    Raises:
        as `gdrun.train`. UsageError: the loss is not finite there. A gradient that is wrong is no error.
    """
    from .evaluation_point import config_or_run, point_of

    point = point_of(config_or_run(source), overrides, precision="float64", device=device)
    import tensorflow as tf

    with tf.device(point.prepared.device.name):
        checker = _GradientChecker(point.prepared.built, point)
        if not np.isfinite(loss := checker.loss(checker.start)):
            place = "the start" if point.run is None or not point.step else f"step {point.step:,}"
            raise UsageError(
                f"the loss at {place} is {loss}: it has no gradient to check",
                hint="check at other values: give them as NAME=VALUE",
            )
        rows = [*checker.tape_by_differences(), *checker.by_hand()]
    return GradientCheck(str(source), tuple(rows))


class _GradientChecker:
    """The objective of the first batch as a function of NumPy arrays."""

    def __init__(self, built: Built, at: Any) -> None:
        import tensorflow as tf

        if any(parameter.dtype.is_complex for parameter in built.state.parameters):
            raise UsageError("gradients of complex parameters are not checked", hint="give the two parts as parameters")
        self.tf = tf
        self.built = built
        self.names = built.objective.trainable_names
        self.start = [np.asarray(value, np.float64) for value in at.parameters]
        feed, window = built.program.feed, built.windows.at(0)
        first = feed.moment(window, tf.constant(0, tf.int64))
        remainder = feed.epochs.length == 1 and bool(feed.remainder_size)
        self.batch = feed.batch(built.data, window.order, window, first, remainder=remainder)
        self._at = at
        self._loss = tf.function(lambda parameters: self._evaluate(parameters, built.data).loss, autograph=False)

    def _evaluate(self, parameters: Sequence[Any], batch: Any) -> Any:
        at = self._at
        return self.built.objective.evaluate(
            tuple(parameters), at.model_state, at.setting, batch, at.moment, training=True
        )

    def loss(self, parameters: Sequence[np.ndarray]) -> float:
        return float(self._loss(tuple(self.tf.constant(value) for value in parameters)))

    def tape(self, parameters: Sequence[np.ndarray], batch: Any) -> tuple[dict[str, np.ndarray | None], Any]:
        """Return the tape's gradients, None where it has none, and the evaluation."""
        from gdrun.derivatives import TargetValues, Watch, gradients

        tensors = tuple(self.tf.constant(value) for value in parameters)
        evaluation: Any = None

        def evaluate(watch: Watch) -> TargetValues:
            nonlocal evaluation
            watch(tensors)
            evaluation = self._evaluate(tensors, batch)
            return TargetValues({"loss": evaluation.loss}, dict(zip(self.names, tensors, strict=True)))

        slopes = gradients(evaluate)[1]["loss"]
        arrays = {name: None if slope is None else slope.numpy() for name, slope in slopes.items()}
        return arrays, evaluation

    def tape_by_differences(self) -> list[GradientComparison]:
        """Compare every entry, or a sample, of the tape's gradients with finite differences."""
        slopes, _ = self.tape(self.start, self.built.data)
        own = self._of_own_objectives() if self.built.objective.own_gradients is not None else {}
        rows = []
        for name in self.names:
            if name not in own:
                rows.append(self._compared_with_differences(name, slopes[name], self.loss))
        return rows

    def _compared_with_differences(
        self, name: str, gradient: np.ndarray | None, function: Callable[[Sequence[np.ndarray]], float]
    ) -> GradientComparison:
        """Compare every entry, or a sample, of a gradient with differences of `function`."""
        at = self.names.index(name)
        value = self.start[at]
        gradient = np.zeros(value.shape) if gradient is None else gradient
        each = max(1, MOST_COORDINATES // max(1, len(self.names)))
        places = np.arange(value.size)
        if sum(v.size for v in self.start) > MOST_COORDINATES and value.size > each:
            places = np.sort(np.random.default_rng(0).choice(value.size, each, replace=False))
        scale = float(np.sqrt(np.mean(value**2))) or 1.0
        tried = [(int(place), self._difference(function, at, int(place), scale)) for place in places]
        return _by_differences(name, gradient, tried)

    def _difference(
        self, function: Callable[[Sequence[np.ndarray]], float], at: int, place: int, scale: float
    ) -> Difference:
        moved = [value.copy() for value in self.start]

        def along(x: float) -> float:
            moved[at].reshape(-1)[place] = x
            return function(moved)

        start = float(self.start[at].reshape(-1)[place])
        estimate = difference(along, start, scale)
        if scale < _SMALL_SCALE:
            # Of parameters that have come to 0 the size says nothing of the steps in which the loss changes.
            estimate = min(estimate, difference(along, start, 1.0), key=lambda other: other.error)
        return estimate

    def _of_own_objectives(self) -> dict[str, Callable[[Sequence[np.ndarray]], float]]:
        """Return parameters whose gradient by hand is grad(objective, name) -> that objective on the first batch."""
        from gdrun.formula.evaluate import evaluate

        section, objective = self.built.experiment.gradients, self.built.objective
        functions: dict[str, Callable[[Sequence[np.ndarray]], float]] = {}
        for name, text in () if section is None else section.of.items():
            own = differentiated(parse(text), name, f"gradients.of.{name}", objective.definitions)
            if own is None:
                continue

            def total(parameters: Sequence[Any], own: tuple[Expression, str] = own) -> Any:
                expression, owner = own
                scope = self._evaluate(parameters, self.batch).scope
                return self.tf.reduce_sum(evaluate(expression, scope, owner=owner))

            compiled = self.tf.function(total, autograph=False)

            def function(parameters: Sequence[np.ndarray], compiled: Any = compiled) -> float:
                return float(compiled(tuple(self.tf.constant(value) for value in parameters)))

            functions |= dict.fromkeys(objective.model.joined_names.get(name, (name,)), function)
        return functions

    def by_hand(self) -> list[GradientComparison]:
        """Compare gradients by hand with the tape's, at the parameters and at others near them."""
        from gdrun.assembly.gradients import build_gradients
        from gdrun.assembly.unconnected import unconnected_reason

        section = self.built.experiment.gradients
        hand = build_gradients(self.built.experiment, self.built.objective)
        if section is None or hand is None:
            return []
        rng = np.random.default_rng(0)
        near = [value + _NEAR * (1 + np.abs(value)) * rng.normal(size=value.shape) for value in self.start]
        points = [self.tape(point, self.batch) for point in (self.start, near)]
        mine = [{name: np.asarray(value) for name, value in hand(evaluation.scope).items()} for _, evaluation in points]
        rows, own = [], self._of_own_objectives()
        joined = self.built.objective.model.joined_names
        written = {part: text for name, text in section.of.items() for part in joined.get(name, (name,))}
        for name in mine[0]:
            if name in own:
                rows.append(replace(self._compared_with_differences(name, mine[0][name], own[name]), by="objective"))
                continue
            if parse(written[name]).differentiates:
                value, why = mine[0][name], "its objective does not show; that of grad(objective, name) would"
                rows.append(GradientComparison(name, "hand", True, (), 0.0, 0.0, 0.0, 0, value.size, 0, why))
                continue
            at_each = [
                _by_hand(name, got[name], tape[name], nearby=bool(count))
                for count, ((tape, _), got) in enumerate(zip(points, mine, strict=True))
            ]
            row = next((comparison for comparison in at_each if not comparison.ok), at_each[0])
            if not row.ok:
                by_tape = [tape[name] for tape, _ in points]
                row = self._explained(row, written[name], [e for _, e in points], [m[name] for m in mine], by_tape)
                if by_tape[0] is None:
                    why = unconnected_reason(self.built.experiment, self.built.objective, name)
                    row = replace(row, note=f"{_join(row.note)}the tape has none: {why}")
            rows.append(row)
        return rows

    def _explained(
        self, row: GradientComparison, text: Any, evaluations: list[Any], got: list[Any], by_tape: list[Any]
    ) -> Any:
        """Return the row with what agrees with the tape, where something simple does."""
        by_tape = [np.zeros(g.shape) if w is None else w for g, w in zip(got, by_tape, strict=True)]
        ratio = _ratio(got, by_tape)
        if ratio is not None:
            counts = {f"the number of examples ({n})": n for n in [self.batch.num_examples]}
            counts |= {f"the number of entries ({n})": n for n in [int(np.size(evaluations[0].prediction))]}
            return replace(row, note=f"{_join(row.note)}it is {factor_words(ratio, counts)}".strip())
        if isinstance(text, str):
            for formula, what in alternatives(text):
                if self._agrees(formula, evaluations, by_tape):
                    return replace(row, note=f"{_join(row.note)}{what} agrees with the tape", suggestion=formula)
        return row

    def _agrees(self, formula: str, evaluations: list[Any], by_tape: list[np.ndarray]) -> bool:
        from gdrun.formula.evaluate import evaluate

        try:
            expression = parse(formula)
            by_formula = [np.asarray(evaluate(expression, evaluation.scope)) for evaluation in evaluations]
        except (ComponentError, ConfigError, ValueError, self.tf.errors.OpError):
            return False
        return all(_same(got, expected) for got, expected in zip(by_formula, by_tape, strict=True))


def differentiated(
    expression: Expression, name: str, owner: str, definitions: Mapping[str, Definition]
) -> tuple[Expression, str] | None:
    """Return the objective of a formula that is grad(objective, name), or a definition of it; None of any other one.

    Beside it is the owner of its draws.
    """
    root = expression.root
    if isinstance(root, NameNode) and isinstance(followed := definitions.get(root.name), Expression):
        return differentiated(followed, name, root.name, definitions)
    if not isinstance(root, CallNode) or root.function != "grad":
        return None
    parts = dict(root.arguments)
    variable = parts["name"]
    if not isinstance(variable, NameNode) or variable.name != name:
        return None
    return replace(expression, root=parts["expr"]), owner


def _by_differences(name: str, gradient: np.ndarray, tried: list[tuple[int, Difference]]) -> GradientComparison:
    flat = gradient.reshape(-1)
    scale = float(np.max(np.abs(flat[np.isfinite(flat)]), initial=0.0))
    compared, kinks, unknown = [], 0, 0
    for place, estimate in tried:
        got = float(flat[place])
        if np.isnan(estimate.value):
            unknown += 1
            continue
        bound = estimate.error + 1e-10 * max(scale, abs(estimate.value))
        off = abs(got - estimate.value)
        sides = sorted((estimate.left, estimate.right))
        slack = 0.01 * (sides[1] - sides[0])
        if estimate.has_kink and sides[0] - slack <= got <= sides[1] + slack:
            kinks, off = kinks + 1, 0.0
        compared.append((np.inf if np.isnan(off) else off, bound, place, estimate.value))
    wrong = [row for row in compared if not row[0] <= row[1]]
    notes = []
    if kinks:
        notes.append(f"no derivative at {kinks} of them: the loss has a kink there, the tape's is between both sides")
    if unknown:
        notes.append(f"{unknown} of {len(tried)} not compared: the loss is not finite beside them")
    if compared and all(max(abs(flat[place]), abs(value)) <= bound for _, bound, place, value in compared):
        notes.append("both are 0 within the bound")
    if wrong:
        _, bound, place, value = max(wrong, key=lambda row: row[0] / row[1] if row[1] > 0 else row[0])
    else:
        _, bound, place, value = max(compared, default=(0.0, 0.0, 0, float(flat[0])))
    index = tuple(int(i) for i in np.unravel_index(place, gradient.shape))
    return GradientComparison(
        name, "differences", not wrong, index, float(flat[place]), float(value), float(bound), len(compared), flat.size,
        len(wrong), "; ".join(notes),
    )  # fmt: skip


def _by_hand(name: str, got: np.ndarray, tape: np.ndarray | None, *, nearby: bool) -> GradientComparison:
    expected = np.zeros(got.shape) if tape is None else tape
    scale = float(np.max(np.abs(expected[np.isfinite(expected)]), initial=0.0))
    bound = np.full(got.shape, _EXACT * (scale or 1.0))
    off = np.abs(got - expected)
    off = np.where(got == expected, 0.0, np.where(np.isnan(off), np.inf, off))
    index = np.unravel_index(int(np.argmax(off)), got.shape)
    wrong = int(np.count_nonzero(off > bound))
    note = "right at the initial values, wrong near them" if nearby and wrong else ""
    return GradientComparison(
        name, "hand", not wrong, tuple(int(i) for i in index), float(got[index]), float(expected[index]),
        float(bound[index]), got.size, got.size, wrong, note,
    )  # fmt: skip


def _same(got: np.ndarray, expected: np.ndarray) -> bool:
    if got.shape != expected.shape:
        return False
    scale = float(np.max(np.abs(expected), initial=0.0))
    return bool(np.all(np.abs(got - expected) <= _EXACT * (scale or 1.0)))


def _ratio(got: list[np.ndarray], expected: list[np.ndarray]) -> float | None:
    """Return the factor between the right gradient and the one by hand; None where it is not one number."""
    mine, right = (np.concatenate([np.ravel(array) for array in arrays]) for arrays in (got, expected))
    if not (np.all(np.isfinite(mine)) and np.all(np.isfinite(right))) or not np.any(right) or not np.any(mine):
        return None
    ratio = float(mine @ right / (right @ right))
    close = np.max(np.abs(mine - ratio * right)) <= _EXACT * np.max(np.abs(mine))
    return ratio if close else None


def _join(note: str) -> str:
    return f"{note}; " if note else ""


def describe(row: GradientComparison) -> str:
    """Return a comparison in one line: what, whether it is right, where it differs most and by how much."""
    what = f"{row.parameter}: the tape" if row.by == "differences" else f"{row.parameter}: by hand"
    place = f" at [{', '.join(map(str, row.index))}]" if row.index else ""
    others = {"differences": "differences", "hand": "the tape", "objective": "differences of its own objective"}
    other = others[row.by]
    sample = "" if row.compared == row.size else f", {row.compared} of {row.size:,} entries"
    if not row.compared:
        return f"{what} is not compared: {row.note}"
    if row.ok:
        off = human_number(row.off_by, digits=2)
        text = f"{what} agrees with {other}: off by {off} at most (bound {human_number(row.bound, digits=2)}){sample}"
        return f"{text}; {row.note}" if row.note else text
    got, expected = human_number(row.got, digits=9), human_number(row.expected, digits=9)
    count = f"{row.wrong} of {row.compared} entries differ, most" if row.compared > 1 else "it differs"
    text = f"{what} is wrong: {count}{place}: {got}, {other} say{'s' if row.by == 'hand' else ''} {expected}"
    text = f"{text}, off by {human_number(row.off_by, digits=9)}"
    text = f"{text}; {row.note}" if row.note else text
    return f"{text}: {row.suggestion}" if row.suggestion else text
