"""Computes again what a record's numbers say about one another. A number that was changed by hand rarely fits the rest."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterator

from ...benchmark import registry
from ...benchmark.metrics.intervals import Interval, wilson
from ...benchmark.records.record import Cost, Metric, Record
from ...benchmark.running.identity import run_id
from ..ranking import tracks_of

_TIGHT = 1e-6
_STEPS_BEYOND = 1.05
"""Steps are timed on the device, the phase around them on the host."""


def drift(record: Record) -> list[str]:
    """Returns each number of a record that is not what the rest of the record makes it, one sentence each."""
    found = [*_identity(record), *_proportions(record), *_classes(record), *_destinations(record)]
    return found + (list(_cost(record.cost)) if record.cost is not None else [])


def _identity(record: Record) -> Iterator[str]:
    try:
        expected = run_id(record.task, record.method, record.seed, record.device)
    except ValueError:
        yield "has settings that no hash can be made of."
        return
    if expected != record.run_id:
        yield "was changed after the run: its run_id is not the hash of what it says was run."
    keys = Counter((metric.name, metric.judge, metric.label) for metric in record.metrics)
    for name, judge, _ in (key for key, count in keys.items() if count > 1):
        yield f"holds the metric {name}{f' of {judge}' if judge else ''} twice."


def _proportions(record: Record) -> Iterator[str]:
    for metric in record.metrics:
        value, low, high = metric.value, metric.ci_low, metric.ci_high
        if (low is None) != (high is None) or (value is None and low is not None):
            yield f"holds half an interval of {_name(metric)}."
        elif value is not None and low is not None and high is not None and not _inside(value, low, high):
            yield f"holds a {_name(metric)} of {value:g} outside its own interval, {low:g} to {high:g}."
        elif metric.ci_method == "wilson" and value is not None:
            yield from _wilson(metric, value)


def _wilson(metric: Metric, share: float) -> Iterator[str]:
    hits = share * metric.n
    if metric.n == 0 or not 0 <= share <= 1 or abs(hits - round(hits)) > 1e-3:
        yield f"holds a {_name(metric)} of {share:g}, which is no share of {metric.n} samples."
        return
    again = _interval(round(hits), metric.n)
    if not (_close(again.low, metric.ci_low) and _close(again.high, metric.ci_high)):
        yield f"holds an interval of {_name(metric)} that is not Wilson's, {again.low:.4f} to {again.high:.4f}."


@functools.lru_cache(maxsize=2**14)
def _interval(hits: int, n: int) -> Interval:
    """The same few proportions come back in every record."""
    return wilson(hits, n)


def _classes(record: Record) -> Iterator[str]:
    """The mean over classes and the worst of them follow from the classes."""
    family = registry.family_of(record.task)
    for metric in record.metrics:
        quantity = family.find(metric.name) if family else None
        of = quantity and (quantity.mean_of or quantity.worst_of)
        if not quantity or not of:
            continue
        parts = [other for other in record.metrics if other.name == of.name and other.judge == metric.judge]
        values = [(part.value, part.n) for part in parts if part.value is not None]
        total = sum(n for _, n in values)
        if not values or len(values) < len(parts) or (quantity.mean_of and total != metric.n):
            continue
        mean, worst = sum(value * n for value, n in values) / total, min(value for value, _ in values)
        expected = mean if quantity.mean_of else worst
        if not _close(expected, metric.value):
            yield f"holds a {_name(metric)} of {_shown(metric.value)}, and its classes make it {expected:.4f}."


def _destinations(record: Record) -> Iterator[str]:
    """The shares of all classes add up to one, and the forgotten class's is the accuracy on it."""
    for track in tracks_of(record.task):
        if track.destination is None:
            continue
        name = track.destination.name
        shares = [metric for metric in record.metrics if metric.name == name]
        for judge in dict.fromkeys(metric.judge for metric in shares):
            mine = {metric.label: metric.value or 0.0 for metric in shares if metric.judge == judge}
            if not _close(sum(mine.values()), 1.0):
                yield f"holds {name} of {judge} that add up to {sum(mine.values()):.4f} and not to 1."
            forgotten = record.task.config.get("forget_class")
            first = _find(record, track.components[0].quantity.name, judge)
            if isinstance(forgotten, int) and forgotten in mine and first and not _close(mine[forgotten], first.value):
                yield f"holds a {_name(first)} of {_shown(first.value)} beside a share of {mine[forgotten]:.4f}."


def _cost(cost: Cost) -> Iterator[str]:
    timed = [phase for phase in cost.phases if phase.timed and phase.clock in ("host", "prepared")]
    seconds = sum(sum(phase.seconds) for phase in timed)
    if not _close(seconds, cost.unlearn_seconds or 0.0):
        yield f"took {_shown(cost.unlearn_seconds)} s in one place and {seconds:.4f} s in its timed phases."
    raw = [
        *cost.step_seconds,
        *cost.reference_step_seconds,
        *(value for phase in cost.phases for value in phase.seconds),
    ]
    counts = cost.model_dump(exclude={"phases", "step_seconds", "reference_step_seconds"}).items()
    for name, value in counts:
        if value is not None and value < 0:
            yield f"holds a negative {name.replace('_', ' ')}."
    if raw and min(raw) < 0:
        yield "holds a negative time."
    retrained = not timed or any(phase.clock == "prepared" for phase in timed)
    if not (retrained and not cost.step_seconds) and len(cost.step_seconds) != cost.steps:
        yield f"counts {cost.steps} steps and times {len(cost.step_seconds)}."
    if cost.unlearn_seconds is not None and sum(cost.step_seconds) > _STEPS_BEYOND * cost.unlearn_seconds + 0.01:
        yield "spent more time in its steps than in the phase around them."


def _find(record: Record, name: str, judge: str | None) -> Metric | None:
    return next((metric for metric in record.metrics if metric.name == name and metric.judge == judge), None)


def _name(metric: Metric) -> str:
    return " ".join(metric.name.split("_")) + (f" by {metric.judge}" if metric.judge else "")


def _shown(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4f}"


def _inside(value: float, low: float, high: float) -> bool:
    slack = _TIGHT * max(1.0, abs(value))
    return low - slack <= value <= high + slack


def _close(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and math.isclose(a, b, rel_tol=_TIGHT, abs_tol=_TIGHT)
