"""Metrics reported beside the loss. A name in `gdrun.metric_names` and a function of this name in `functions` add one;
so does a loss that says so."""

from typing import Annotated

from pydantic import Discriminator, Tag, ValidateAs

from .sections import CustomMetric, FormulaMetric, MetricName, NamedMetric, metric_form

Metric = Annotated[
    Annotated[NamedMetric, ValidateAs(MetricName, NamedMetric.of), Tag("<scalar>")]
    | Annotated[FormulaMetric, Tag("<mapping>")]
    | Annotated[CustomMetric, Tag("<custom>")],
    Discriminator(metric_form),
]
