"""Optimizers with a line search of their own, for smooth losses over all examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from gdrun.config.section import PositiveInteger
from gdrun.errors import Problem

from .base import GivenNames, OptimizerSection, OtherSections, Parameters, PointUpdate


class LineSearched(OptimizerSection):
    """An optimizer whose update is a line search."""

    needs = "hessian"
    has_learning_rate = False

    def lanes_obstacle(self, compile: str) -> str | None:
        # XLA has no kernel for a loop that each lane leaves after another number of rounds.
        return f"XLA has no lanes for the line search of {self.kind}; compile: graph has" if compile == "xla" else None

    def problems(self, experiment: OtherSections, names: GivenNames) -> Iterator[Problem]:
        """Yield settings of the schedule that make no sense where each update compares losses."""
        yield from full_batch_problems(self, experiment, "the line search finds the length of each step")


def full_batch_problems(section: OptimizerSection, experiment: OtherSections, instead: str) -> Iterator[Problem]:
    """Yield batches and a factor of the learning rate, for a kind that compares losses and has no learning rate."""
    schedule = experiment.schedule
    if schedule.batch_size is not None:
        message = f"{section.kind} compares the loss before and after each step; it needs all examples in each update"
        yield Problem(message, ("schedule", "batch_size"), "leave batch_size out", key=True)
    if schedule.learning_rate_factor is not None:
        message, path = f"{section.kind} has no learning rate", ("schedule", "learning_rate_factor")
        yield Problem(message, path, instead, key=True)


class Lbfgs(LineSearched):
    """The limited-memory BFGS method for smooth losses: directions by the last steps and gradients, and along each a
    search for the strong Wolfe conditions, of up to 30 evaluations, within the update.
    schedule.stop.parameters_unchanged ends the run when no step lowers the loss any more. Use float64."""

    kind: Literal["lbfgs"]
    memory: Annotated[PositiveInteger, Field(le=50)] = 10
    """Number of steps that it remembers."""

    def build(self, parameters: Parameters) -> PointUpdate:
        from .line_search import LbfgsDirection, LineSearchUpdate

        return LineSearchUpdate(LbfgsDirection(self.memory))


class ConjugateGradients(LineSearched):
    """The method of conjugate gradients for smooth losses, by Polak and Ribière, with the line search of lbfgs."""

    kind: Literal["cg"]

    def build(self, parameters: Parameters) -> PointUpdate:
        from .line_search import ConjugateDirection, LineSearchUpdate

        return LineSearchUpdate(ConjugateDirection())
