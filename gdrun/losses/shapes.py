"""Check that the shapes of a prediction and a target fit. No TensorFlow: shapes are tuples, None for unknown sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gdrun.errors import ShapeError


def check_shapes(
    name: str,
    prediction: Iterable[int | None],
    target: Iterable[int | None],
    *,
    takes_labels: bool = False,
    broadcast: bool = False,
) -> None:
    """Refuse a prediction and a target that do not fit.

    Args:
        name: of the loss or metric, for the message.
        takes_labels: the target is one class number an example and the prediction a row of classes, (N, ..., K)
            against (N, ...) or (N, ..., 1); else both have one shape.
        broadcast: accept shapes that broadcast to each other as numpy's do.
    Raises:
        ShapeError: with both shapes and the mend.
    """
    p, t = tuple(prediction), tuple(target)
    if takes_labels:
        if not (len(p) >= 2 and p[-1] != 1 and (_equal(p[:-1], t) or _equal((*p[:-1], 1), t))):
            raise ShapeError(
                f"{name} takes predictions (n, classes) and labels (n,), but the prediction has shape {_shape_text(p)} "
                f"and the target {_shape_text(t)}",
                hint=_label_hint(p, t),
            )
        return
    if _equal(p, t) or (broadcast and _broadcastable(p, t)):
        return
    verb = "do not broadcast" if broadcast else "differ"
    raise ShapeError(
        f"the shapes {verb}: the prediction has shape {_shape_text(p)} and the target {_shape_text(t)}",
        hint=_hint(p, t, broadcast),
    )


def _hint(p: Sequence[int | None], t: Sequence[int | None], broadcast: bool) -> str | None:
    if len(p) == 2 and p[1] == 1 and len(t) == 1:
        return "make the target a column, reshape(..., [-1, 1]), or the prediction a vector, (...)[:, 0]"
    if len(p) == 1 and len(t) == 2 and t[1] == 1:
        return "make the target a vector, (...)[:, 0], or the prediction a column, reshape(..., [-1, 1])"
    if len(p) == 2 and len(t) == 1 and p[0] == 1 and p[1] == t[0]:
        return "make the prediction a vector, (...)[0], or the target a row, reshape(..., [1, -1])"
    if len(p) == 1 and len(t) == 2 and t[0] == 1 and t[1] == p[0]:
        return "make the target a vector, (...)[0], or the prediction a row, reshape(..., [1, -1])"
    if len(p) == 2 and (p[1] or 0) > 1 and _equal(p[:1], t[:1]) and (len(t) == 1 or t[1:] == (1,)):
        return (
            f"for class labels, set data.classes: {p[1]} or use a sparse_categorical loss; "
            f"for a number an example, let the model have 1 output, not {p[1]}"
        )
    if not broadcast and _broadcastable(p, t):
        return "if they are meant to broadcast as in numpy, say broadcast: true in the loss"
    return None


def _label_hint(p: Sequence[int | None], t: Sequence[int | None]) -> str | None:
    if len(p) == 1 or p[-1:] == (1,):
        return "a model with one output an example is for binary_crossentropy"
    if len(p) >= 2 and _equal(p, t):
        return "the target is one-hot already: use categorical_crossentropy, or leave data.classes out"
    return None


def _equal(p: Sequence[int | None], t: Sequence[int | None]) -> bool:
    return len(p) == len(t) and all(a == b or a is None or b is None for a, b in zip(p, t, strict=True))


def _broadcastable(p: Sequence[int | None], t: Sequence[int | None]) -> bool:
    pairs = zip(reversed(p), reversed(t), strict=False)
    return all(a == b or a in (1, None) or b in (1, None) for a, b in pairs)


def _shape_text(shape: Sequence[int | None]) -> str:
    sizes = ["n" if size is None else str(size) for size in shape]
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"
