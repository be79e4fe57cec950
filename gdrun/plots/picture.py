"""A row of the table of pictures: the function that makes a figure, with the facts that the rest of gdrun reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, Generic, Literal, ParamSpec

from gdrun.errors import UsageError
from gdrun.rundir.run import Run

from .figure import Figure

Subject = Literal["run", "runs", "sweep", "any"]
P = ParamSpec("P")


@dataclass(frozen=True)
class Picture(Generic[P]):
    """A kind of picture, called like the function that it decorates.

    `function` takes the run, the runs or the sweep, and those options of `plot` that it has parameters for.
    """

    kind: str
    function: Callable[P, Figure]
    of: Subject
    computes: bool
    default: Callable[..., bool]
    on_page: Callable[[Any], bool]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Figure:
        return self.function(*args, **kwargs)

    def fits(self, run: Run) -> bool:
        """Return whether it is a picture of runs, where `run` is one, or of sweeps."""
        return self.of == "any" or (self.of == "sweep") == run.is_sweep

    @property
    def help(self) -> str:
        """The first line of the function's docstring, without "Return"."""
        return (self.function.__doc__ or "").partition("\n")[0].removeprefix("Return ").rstrip(".")

    @property
    def options(self) -> frozenset[str]:
        """The names of the function's parameters."""
        return frozenset(signature(self.function).parameters)


def picture(
    kind: str,
    *,
    of: Subject,
    computes: bool = False,
    default: Callable[..., bool] = lambda *_: False,
    on_page: Callable[[Any], bool] = lambda _: False,
) -> Callable[[Callable[P, Figure]], Picture[P]]:
    """Make a function that returns a figure a kind of picture; the table in `choose` lists it.

    Args:
        kind: its name, `gdrun plot --kind`.
        of: what the function's first parameter is: one run, a sequence of runs, a sweep, or "any": runs or a sweep.
        computes: TensorFlow may be needed; the function gets `load`, which builds the run's experiment.
        default: (sweep or runs, columns) -> it is the picture that these get. Of several the last in the table is.
        on_page: (run or sweep) -> the page of a run or sweep shows it.
    """
    return lambda function: Picture(kind, function, of, computes, default, on_page)


def always(*_: Any) -> bool:
    """Return True: for pictures that every page shows, and those that others take precedence over."""
    return True


def only_column(columns: Sequence[str], picture: str) -> str | None:
    """Return the one column that is named, None where none is. Raises UsageError for several."""
    if len(columns) > 1:
        raise UsageError(f"a picture {picture} takes one column, but {len(columns)} are named")
    return columns[0] if columns else None
