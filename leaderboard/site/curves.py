"""What an attack reached step by step: a method's curves beside those of original and oracles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...benchmark.records.record import Metric
from ..row import Row
from ..text import words

WIDTH, HEIGHT = 340, 200
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 12, 40
_TICKS = 4

Steps = Sequence[tuple[int, float]]


class Line(NamedTuple):
    """The curve of a row, mean over seeds."""

    name: str
    role: str
    path: str
    values: str
    """In words, for who cannot see it."""


class CurveChart(NamedTuple):
    """One attack on the weights of one request."""

    title: str
    request: str
    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]


def curves_of(row: Row, case_request: str) -> dict[str, Steps]:
    """Returns a row's curves on one request by what they are of, mean over its seeds at the steps that all have."""
    found: dict[str, list[Steps]] = defaultdict(list)
    for run in row.runs:
        if run.case.request == case_request:
            for metric in run.record.metrics:
                if metric.curve:
                    found[_name(metric)].append(metric.curve)
    return {name: _mean(curves) for name, curves in found.items()}


def curve_charts(row: Row, beside: Mapping[str, Row]) -> list[CurveChart]:
    """Lays out a row's curves, request by request, each beside those of the reference rows.

    Args:
        row: The row.
        beside: Original and oracle, by method.
    """
    rows = [*(other for name, other in beside.items() if name != row.method), row]
    charts = []
    for request in row.requests:
        by_row = {one.name: curves_of(one, request) for one in rows}
        for name in by_row[row.name]:
            lines = [(one, by_row[one.name][name]) for one in rows if name in by_row[one.name]]
            charts.append(_chart(name, request, [(one, steps) for one, steps in lines if steps]))
    return charts


def _name(metric: Metric) -> str:
    name = words(metric.name)
    parts = [part for part in (metric.judge, None if metric.label is None else f"class {metric.label}") if part]
    return f"{name} ({', '.join(parts)})" if parts else name


def _mean(curves: Sequence[Steps]) -> list[tuple[int, float]]:
    shared = sorted(set.intersection(*({step for step, _ in curve} for curve in curves)))
    return [(step, float(np.mean([dict(curve)[step] for curve in curves]))) for step in shared]


def _chart(name: str, request: str, lines: Sequence[tuple[Row, Steps]]) -> CurveChart:
    points = [point for _, steps in lines for point in steps]
    last = max(step for step, _ in points) or 1
    low, high = min(value for _, value in points), max(value for _, value in points)
    high = high if high > low else low + 1

    def across(step: float) -> float:
        return LEFT + step / last * (WIDTH - LEFT - RIGHT)

    def up(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    drawn = [
        Line(
            row.name,
            row.method if row.role == "reference" else row.role,
            "M" + "L".join(f"{across(step):.1f} {up(value):.1f}" for step, value in steps),
            ", ".join(f"{value:.3g} after {step}" for step, value in steps),
        )
        for row, steps in lines
    ]
    y_ticks = [low + part / (_TICKS - 1) * (high - low) for part in range(_TICKS)]
    return CurveChart(
        name,
        request,
        drawn,
        [(across(step), f"{step:.0f}") for step in (0, last / 2, last)],
        [(up(value), f"{value:.3g}") for value in y_ticks],
    )
