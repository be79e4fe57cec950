"""Settings that do not go together: a loss without a target, a batch larger than the data, an unknown parameter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from gdrun.errors import ConfigPath, Problem
from gdrun.formula.parse import Expression
from gdrun.losses.sections import MetricName
from gdrun.suggest import closest, did_you_mean

from .formula_names import LIBRARIES, WRITTEN_OUT, Names, kind, mapping

Expressions = Mapping[ConfigPath, Expression]
"""The formulas of a config by place."""


def settings_problems(config: Mapping[str, Any], names: Names, expressions: Expressions) -> Iterator[Problem]:
    """Yield what does not go together in a config, without places."""
    yield from _data(config)
    yield from _loss(config, names, expressions)
    yield from _metrics(config, names)
    yield from _schedule(config)
    yield from _parameters(config, names)
    yield from _expect(config, names)


def _data(config: Mapping[str, Any]) -> Iterator[Problem]:
    if config.get("data") is None and kind(config.get("model")) in ("linear", "polynomial", "mlp", "layers"):
        model = config["model"]
        path = ("model", "kind") if isinstance(model, Mapping) else ("model",)
        yield Problem(f"a model of kind {kind(model)} needs data", path, "add data:, or use kind: formula")


_WITHOUT_TARGET = frozenset({"formula", "output"})


def _loss(config: Mapping[str, Any], names: Names, expressions: Expressions) -> Iterator[Problem]:
    loss = config.get("loss")
    named = loss is not None and kind(loss) not in (*_WITHOUT_TARGET, None)
    path = ("loss", "kind") if isinstance(loss, Mapping) else ("loss",)
    if named and not names.has_target:
        why = "there is no data" if config.get("data") is None else "data has no target"
        hint = "add data.target, or use loss: output, which minimises the model's own value"
        yield Problem(f"{kind(loss)} compares predictions with a target, but {why}", path, hint)
    if kind(loss) in _WITHOUT_TARGET and names.has_weights:
        used = any(
            "example_weights" in expression.names for place, expression in expressions.items() if place[0] != "data"
        )
        if not used:
            yield Problem(
                f"the weights of data do not reach a loss of kind {kind(loss)}",
                path,
                "formulas see them as example_weights: mean(example_weights * (prediction - target)**2)",
            )
    compares = named or (loss is None and names.has_target)
    if compares and len(names.outputs) > 1:
        yield Problem(
            f"this loss takes one prediction, the model has several outputs: {', '.join(names.outputs)}",
            path if loss is not None else ("model", "formula"),
            "write the loss as a formula of them",
            key=loss is None,
        )
    if kind(loss) == "output" and names.has_target and not config.get("metrics"):
        used = any("target" in expression.names for place, expression in expressions.items() if place[0] != "data")
        if not used:
            yield Problem(
                "loss: output minimises the model's own value; the target of data is not used",
                path,
                "use loss: mse, or take target away",
            )
    if kind(loss) == "output" and len(names.outputs) > 1:
        yield Problem(
            f"the model has several outputs: {', '.join(names.outputs)}", path, "write the loss as a formula of them"
        )


def _metrics(config: Mapping[str, Any], names: Names) -> Iterator[Problem]:
    seen: set[str] = set()
    metrics = config.get("metrics")
    for position, metric in enumerate(metrics if isinstance(metrics, list | tuple) else ()):
        path: ConfigPath = ("metrics", position)
        name = metric if isinstance(metric, str) else mapping(metric).get("name")
        if isinstance(metric, str) and not names.has_target:
            yield Problem(f"the metric {metric} compares predictions with a target, but there is none", path)
        elif isinstance(metric, str) and len(names.outputs) > 1:
            outputs = ", ".join(names.outputs)
            hint = "write the metric as a formula: {name: ..., formula: ...}"
            yield Problem(
                f"the metric {metric} takes one prediction, the model has several outputs: {outputs}", path, hint
            )
        if name in seen:
            yield Problem(f"the metric '{name}' is here twice", path)
        if isinstance(name, str):
            seen.add(name)


def _metric_names(config: Mapping[str, Any]) -> list[str]:
    metrics = config.get("metrics")
    items = [metrics] if isinstance(metrics, str) else metrics if isinstance(metrics, list | tuple) else ()
    names = [item if isinstance(item, str) else str(mapping(item).get("name")) for item in items]
    # A misspelt one is told where it is written; what asks for the one that was meant is right.
    known = get_args(MetricName)
    meant = [closest(item, known) for item in items if isinstance(item, str) and item not in known]
    return [*names, *(name for name in meant if name)]


def _schedule(config: Mapping[str, Any]) -> Iterator[Problem]:
    schedule, data = mapping(config.get("schedule")), config.get("data")
    for key in ("batch_size", "order"):
        if data is None and schedule.get(key) is not None:
            yield Problem(f"{key} is about examples, but there is no data", ("schedule", key), key=True)
    size, examples = schedule.get("batch_size"), _num_examples(data)
    if isinstance(size, int | float) and examples is not None and size > examples:
        yield Problem(
            f"batch_size is {size:g}, but the data has {examples} examples",
            ("schedule", "batch_size"),
            "leave batch_size out to use all of them at once",
        )
    factor = mapping(schedule.get("learning_rate_factor"))
    watches: list[tuple[ConfigPath, Any]] = [
        (("schedule", "stop", "patience"), mapping(schedule.get("stop")).get("patience"))
    ]
    if kind(schedule.get("learning_rate_factor")) == "plateau":
        watches.append((("schedule", "learning_rate_factor"), factor))
    for path, watch in watches:
        if isinstance(watch, Mapping):
            yield from _watched(path, watch.get("metric", "validation_loss"), "metric" in watch, config)


def _watched(path: ConfigPath, metric: Any, is_written: bool, config: Mapping[str, Any]) -> Iterator[Problem]:
    if not isinstance(metric, str):
        return
    place = (*path, "metric") if is_written else path
    validated = mapping(config.get("data")).get("validation") is not None
    if metric.startswith("validation_") and not validated:
        hint = "add data.validation, or set metric: loss_epoch"
        yield Problem(f"{metric} is watched, but data has no validation", place, hint, key=not is_written)
        return
    known = ["loss", "loss_epoch", *_metric_names(config)]
    known += [f"validation_{name}" for name in ("loss", *_metric_names(config))] if validated else []
    if metric not in known:
        near = did_you_mean(metric, known, allowed="it can be")
        yield Problem(f"'{metric}' is not known at the end of an epoch", place, near)


def _num_examples(data: Any) -> int | None:
    """How many examples there are before a part is held out; None where only the data tells."""
    section = mapping(data)
    if kind(data) == "values":
        first = next(iter(mapping(section.get("inputs")).values()), None)
        return len(first) if isinstance(first, list | tuple) else None
    if data is None or kind(data) in (*WRITTEN_OUT, *LIBRARIES, "custom", None):
        return None
    size = section.get("size", 100)
    return int(size) if isinstance(size, int | float) and not isinstance(size, bool) else None


def _parameters(config: Mapping[str, Any], names: Names) -> Iterator[Problem]:
    """Names of parameters in penalty.of and expect that the model does not have."""
    if names.parameters is None:
        return
    of = mapping(mapping(config.get("loss")).get("penalty")).get("of")
    for position, name in enumerate(of if isinstance(of, list | tuple) else ()):
        yield from _known(name, names.parameters, "parameter", ("loss", "penalty", "of", position), key=False)
    for name in mapping(mapping(config.get("gradients")).get("of")):
        yield from _known(name, names.parameters, "parameter", ("gradients", "of", name))
    expect = mapping(config.get("expect"))
    for section in ("parameters", "gradients"):
        for name in mapping(expect.get(section)):
            yield from _known(name, names.parameters, "parameter", ("expect", section, name))


def _known(name: Any, known: Iterable[str], what: str, path: ConfigPath, *, key: bool = True) -> Iterator[Problem]:
    known = list(known)
    if isinstance(name, str) and name not in known:
        hint = did_you_mean(name, known, allowed="there are" if len(known) > 1 else "there is")
        yield Problem(f"there is no {what} '{name}'", path, hint, key=key)


_ROW = ("loss", "loss_before", "loss_epoch", "gradient_norm", "learning_rate", "step", "epoch", "seconds")


def _expect(config: Mapping[str, Any], names: Names) -> Iterator[Problem]:
    expect, record = mapping(config.get("expect")), mapping(config.get("record"))
    metrics = _metric_names(config)
    computed = [*metrics, *(f"validation_{name}" for name in metrics), "loss", "loss_epoch", "validation_loss"]
    for name in mapping(expect.get("metrics")):
        if name not in computed:
            hint = did_you_mean(name, computed) or f"add {name} to metrics:"
            yield Problem(f"the metric '{name}' is not computed", ("expect", "metrics", name), hint, key=True)
    if names.parameters is not None:
        known = [*_ROW, *computed, *names.parameters]
        known += [*mapping(record.get("formulas")), *mapping(record.get("after"))]
        trace = expect.get("trace")
        for position, row in enumerate(trace if isinstance(trace, list | tuple) else ()):
            inside: ConfigPath = ("values",) if "values" in mapping(row) else ()
            values = mapping(row).get("values", row)
            for name in mapping(values):
                if name not in ("step", "rtol", "atol") and name not in known and "." not in name:
                    yield from _known(name, known, "column", ("expect", "trace", position, *inside, name))
    predictions = mapping(expect.get("predictions"))
    given = mapping(predictions.get("inputs", predictions))
    if predictions and names.inputs is not None:
        for name in given:
            if name not in ("value", "rtol", "atol"):
                yield from _known(name, names.inputs, "input", ("expect", "predictions", name))
