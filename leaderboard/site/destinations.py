"""Where the forgotten mass went: what the judges see in a row's samples, request by request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...benchmark.family import Quantity
from ..row import Row
from ..scoring import RunScore


class Destinations(NamedTuple):
    """Where the forgotten mass of a request went."""

    request: str
    judges: list[str]
    shares: dict[int, list[float]]
    """By class: the share that each judge sees, mean over seeds."""


def destinations(row: Row, destination: Quantity | None) -> list[Destinations]:
    """Returns what a row's samples show, request by request."""
    runs: dict[str, list[RunScore]] = {}
    for run in row.runs if destination else ():
        runs.setdefault(run.case.request, []).append(run)
    found = [_destinations_of(request, these, destination) for request, these in runs.items() if destination]
    return [one for one in found if one.shares]


def _destinations_of(request: str, runs: Sequence[RunScore], destination: Quantity) -> Destinations:
    found: dict[int, dict[str, list[float]]] = {}
    for run in runs:
        for metric in run.by_name.get(destination.name, ()):
            if metric.label is not None and metric.value is not None:
                found.setdefault(metric.label, {}).setdefault(metric.judge or "", []).append(metric.value)
    judges = list(dict.fromkeys(judge for shares in found.values() for judge in shares))
    means = {
        label: [sum(values) / len(values) if (values := shares.get(judge)) else 0.0 for judge in judges]
        for label, shares in sorted(found.items())
    }
    return Destinations(request, judges, means)
