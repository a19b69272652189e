"""Geometry of the site's inline SVG charts; the templates draw it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...benchmark.metrics.intervals import Floats
from ..ranking import Ranking
from ..row import Row
from ..work import percent

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 16, 48
_LABEL_HEIGHT = 13.0
_SHIFTS = (0.0, *(sign * step * _LABEL_HEIGHT for step in range(1, 24) for sign in (-1, 1)))
"""How far from its point's height a name may stand, the nearest first."""
_NAMED = 60
"""Points that may have a name, the best ones: there is no room for more. Every point says its name on a touch."""
_LONGEST_LABEL = 24
_NOTHING = 0.2
"""What does no better is no part of the front of the best, however little it costs."""
_RADIUS = 6.0
_LABEL_WIDTH = 6.6
"""Of a character, in pixels at the charts' text size."""


class Tick(NamedTuple):
    """A mark on an axis."""

    position: float
    text: str


class Label(NamedTuple):
    """A point's name, or the method's where the settings make it long, and where it stands."""

    text: str
    x: float
    y: float
    anchor: str
    """SVG's text-anchor."""
    leader: str
    """A line to the point as an SVG path, if the name does not stand beside it."""


class Point(NamedTuple):
    """A row on a chart."""

    name: str
    role: str
    x: float
    y: float
    low: float
    high: float
    """Ends of the interval, in pixels."""
    label: Label | None
    """None where there is no room; the title says the name, too."""
    link: str
    title: str
    leads: bool
    """Whether it is on the front of the best."""


class Chart(NamedTuple):
    """Rows of a board by two numbers, of which more of the second and less of the first is better."""

    x_title: str
    y_title: str
    points: list[Point]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    frontier: str
    """The steps of the best reached for at most that much of the first, as an SVG path."""
    leaders: list[str]
    """The names of the rows on it, from the left."""


class _Axis(NamedTuple):
    """What a row costs, in one sense or another."""

    title: str
    of: Callable[[Row], float | None]
    text: Callable[[float], str]
    least: float = 0.0
    """What takes less, such as the no-op, would squeeze every other point to one side; zero where nothing is logarithmic."""


_WORK = _Axis(
    "work, as a share of retraining, logarithmic",
    lambda row: row.retraining.value if row.retraining else None,
    lambda value: f"{100 * value:.3g} %",
    1e-4,
)
_TIME = _Axis("time of unlearning, logarithmic", lambda row: row.unlearn_seconds, lambda value: f"{value:,.4g} s", 0.1)
_HARM = _Axis("harm: the share of the allowed loss of utility that is used up", lambda row: row.harm, "{:.2f}".format)


def cost_chart(board: Ranking, rows: Sequence[Row], links: Mapping[str, str]) -> Chart | None:
    """Lays out score against cost, or returns None if nothing has both.

    The cost is the work as a share of retraining's, which is the same on every machine; where there is no oracle to compare
    it with, it is the time, on a board of a single device.

    Args:
        board: The ranking.
        rows: Those of its rows that are shown.
        links: The page of each row, by the row's name.
    """
    axis = _WORK if any(map(_WORK.of, rows)) else _TIME
    if axis is _TIME and len(board.devices) > 1:
        return None
    found = [row for row in rows if row.score is not None and axis.of(row) is not None]
    return _chart(found, axis, "score", lambda row: row.score or 0.0, links) if any(map(axis.of, found)) else None


def harm_chart(rows: Sequence[Row], links: Mapping[str, str]) -> Chart | None:
    """Lays out forgetting against harm, or returns None if nothing has both.

    Args:
        rows: Those of a board that are shown.
        links: The page of each row, by the row's name.
    """
    found = [row for row in rows if row.forgotten is not None and row.harm is not None]
    title = "forgotten: the score before harm"
    return _chart(found, _HARM, title, lambda row: row.forgotten or 0.0, links) if found else None


def _chart(
    rows: Sequence[Row], axis: _Axis, y_title: str, height: Callable[[Row], float], links: Mapping[str, str]
) -> Chart:
    costs = {row.name: max(axis.of(row) or 0.0, axis.least) for row in rows}
    across, x_ticks = _scale(list(costs.values()), axis)
    heights = {row.name: height(row) for row in rows}
    places = {row.name: (across(costs[row.name]), _up(heights[row.name])) for row in rows}
    able = [row for row in rows if row.role == "method" and row.rank is not None and heights[row.name] > _NOTHING]
    leaders = _front([(*places[row.name], row.name) for row in able])
    labels = _Labels(list(places.values()))
    points = []
    # Whoever is on the front is named first, while there is room.
    ordered = sorted(rows, key=lambda row: (row.name not in leaders, -heights[row.name], row.name))
    for index, row in enumerate(ordered):
        x, y = places[row.name]
        text = row.name if len(row.name) <= _LONGEST_LABEL else f"{row.method} …"
        label = labels.place(text, x, y) if index < _NAMED else None
        ends = (_up(row.interval.low), _up(row.interval.high)) if y_title == "score" and row.interval else (y, y)
        title = f"{row.name}: {y_title.partition(':')[0]} {heights[row.name]:.3f}, {_cost_text(row, axis)}"
        points.append(Point(row.name, row.role, x, y, *ends, label, links[row.name], title, row.name in leaders))
    y_ticks = [Tick(_up(part / 4), f"{part / 4:.2f}") for part in range(5)]
    return Chart(axis.title, y_title, points, x_ticks, y_ticks, _steps([places[name] for name in leaders]), leaders)


def _up(share: float) -> float:
    return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)


def _scale(values: Sequence[float], axis: _Axis) -> tuple[Callable[[float], float], list[Tick]]:
    """Where a value stands from left to right, and the marks."""
    if axis.least == 0.0:
        linear = partial(_across, low=0.0, high=1.0)
        return linear, [Tick(linear(part / 4), axis.text(part / 4)) for part in range(5)]
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)) - 1e-9)

    def logarithmic(value: float) -> float:
        return _across(math.log10(value), low, max(high, low + 1))

    return logarithmic, [Tick(logarithmic(10.0**power), axis.text(10.0**power)) for power in range(low, high + 1)]


def _across(value: float, low: float, high: float) -> float:
    return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)


class _Labels:
    """Puts names where they cover neither one another nor a point.

    Args:
        points: All points, ``(x, y)``.
    """

    def __init__(self, points: list[tuple[float, float]]) -> None:
        centres = np.array(points, dtype=float)
        self._taken = np.concatenate([centres - _RADIUS, centres + _RADIUS], axis=1)

    def place(self, text: str, x: float, y: float) -> Label | None:
        """Returns where a point's name goes, as near as there is room, if there is any."""
        width = len(text) * _LABEL_WIDTH
        places = [(x + side * (_RADIUS + 3), y + shift, side) for shift in _SHIFTS for side in (1, -1)]
        boxes = np.array([_box(start, middle, side, width) for start, middle, side in places])
        inside = (
            (boxes[:, 0] >= LEFT)
            & (boxes[:, 2] <= WIDTH)
            & (boxes[:, 1] >= TOP - 8)
            & (boxes[:, 3] <= HEIGHT - BOTTOM + 6)
        )
        free = np.flatnonzero(inside & ~_overlap(boxes, self._taken))
        if not len(free):
            return None
        start, middle, side = places[free[0]]
        self._taken = np.vstack([self._taken, boxes[free[0]]])
        leader = f"M{x:.1f} {y:.1f}L{start:.1f} {middle:.1f}" if middle != y else ""
        return Label(text, start, middle + 4, "start" if side > 0 else "end", leader)


def _box(start: float, middle: float, side: int, width: float) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a name."""
    left = start if side > 0 else start - width
    return left, middle - _LABEL_HEIGHT / 2, left + width, middle + _LABEL_HEIGHT / 2


def _overlap(boxes: Floats, others: Floats) -> NDArray[np.bool_]:
    """Whether each of some boxes covers a part of any of others."""
    a, b = boxes[:, None], others[None]
    apart = (a[..., :2] >= b[..., 2:]) | (b[..., :2] >= a[..., 2:])
    return np.asarray(np.any(~np.any(apart, axis=-1), axis=-1), dtype=np.bool_)


def _front(points: Sequence[tuple[float, float, str]]) -> list[str]:
    """The names of the points that none to their left is as high as."""
    found, best = [], math.inf
    for _, y, name in sorted(points):
        if y < best:
            found.append(name)
            best = y
    return found


def _steps(points: Sequence[tuple[float, float]]) -> str:
    path = ""
    for x, y in points:
        path += f"M{x:.1f} {y:.1f}" if not path else f"H{x:.1f}V{y:.1f}"
    return path + f"H{WIDTH - RIGHT}" if path else ""


def _cost_text(row: Row, axis: _Axis) -> str:
    if axis is _HARM:
        return f"harm {row.harm or 0.0:.2f}"
    parts = [] if row.retraining is None else [f"{percent(row.retraining.value)} of retraining's work"]
    parts += [] if row.unlearn_seconds is None else [f"{row.unlearn_seconds:.1f} s"]
    return ", ".join(parts) or "no cost"
