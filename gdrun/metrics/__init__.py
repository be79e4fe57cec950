"""Metrics reported beside the loss. A name in `gdrun.metric_names` and a function of this name in `functions` add one;
a loss has its function already."""

from typing import Annotated

from pydantic import Discriminator, Tag

from gdrun.metric_names import MetricName

from .sections import CustomMetric, FormulaMetric, metric_form

Metric = Annotated[
    Annotated[MetricName, Tag("<scalar>")]
    | Annotated[FormulaMetric, Tag("<mapping>")]
    | Annotated[CustomMetric, Tag("<custom>")],
    Discriminator(metric_form),
]
