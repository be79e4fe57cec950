"""Section `gradients:`, derivatives of the loss written by hand."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from gdrun.config.section import Formula, Section
from gdrun.errors import Problem
from gdrun.suggest import unknown


class Gradients(Section):
    """Derivatives of the loss by parameters, written by hand as formulas; `gdrun check-grad` compares them with the
    tape."""

    of: Annotated[dict[str, Formula], Field(min_length=1)]
    """Parameter, layer or network -> the derivative of the loss by it, of its shape: a formula of parameters, inputs,
    target, prediction, define, loss. A network or layer is one vector. For a player with its own objective `grad(its
    objective, network)`."""
    use: bool = False
    """Train with them in place of the tape's; parameters that `of` leaves out keep the tape's."""

    def problems(self, names: Sequence[str]) -> Iterator[Problem]:
        """Yield parameters that are not among `names`, all of the model's, and its networks and layers."""
        for name in self.of:
            yield from unknown("parameter", name, names, ("gradients", "of", name))
