"""Models: parameters by name and inputs in, predictions out."""

from typing import Annotated

from pydantic import Field

from gdrun.config.section import BareKind

from .network_sections import (
    LayersModel,
    LayersNetwork,
    LinearModel,
    LinearNetwork,
    MlpModel,
    MlpNetwork,
    PolynomialModel,
)
from .sections import CustomModel, FormulaModel, Parameter

Model = Annotated[
    FormulaModel | LinearModel | PolynomialModel | MlpModel | LayersModel | CustomModel,
    Field(discriminator="kind"),
    BareKind,
]

__all__ = [
    "CustomModel",
    "FormulaModel",
    "LayersModel",
    "LayersNetwork",
    "LinearModel",
    "LinearNetwork",
    "MlpModel",
    "MlpNetwork",
    "Model",
    "Parameter",
    "PolynomialModel",
]
