"""`optimizer.groups`: other settings for some of the parameters."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic_core import PydanticCustomError

from gdrun.config.base import Bounds, NonNegative, Section, kinds

from .sections import KERAS_KINDS

if TYPE_CHECKING:
    KerasKind = Any
else:
    KerasKind = kinds(KERAS_KINDS)


class Group(Section):
    """Parameters that are moved in another way than the rest, or not at all."""

    exclusive = (("learning_rate", "frozen", "optimizer"),)

    parameters: Annotated[tuple[str, ...], Bounds(min_length=1)]
    """Their names; the name of a layer or network stands for all of its parameters."""
    learning_rate: NonNegative | None = None
    """Takes the place of the optimizer's; the schedule's factor multiplies it, too."""
    frozen: bool = False
    """true: they stay as they are, as with trainable: false."""
    optimizer: KerasKind | None = None
    """An optimizer of their own."""

    def together(self) -> None:
        given = [self.learning_rate is not None, self.frozen, self.optimizer is not None]
        if sum(given) != 1:
            raise PydanticCustomError("group", "give exactly one of learning_rate, frozen: true, optimizer")
        if self.optimizer is not None and self.optimizer.groups:
            raise PydanticCustomError("group", "the optimizer of a group has no groups of its own")
