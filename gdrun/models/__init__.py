"""Models. One line here and one class in this package add one; layers have a family of their own."""

from typing import Annotated

from pydantic import Field

from gdrun.config.section import BareKind

from .custom import CustomModel
from .formula import FormulaModel
from .networks import LayersModel, LinearModel, MlpModel
from .polynomial import PolynomialModel

Model = Annotated[
    FormulaModel | LinearModel | PolynomialModel | MlpModel | LayersModel | CustomModel,
    Field(discriminator="kind"),
    BareKind,
]
