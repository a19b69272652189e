"""Geometry of the site's inline SVG charts; the templates draw it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ..ranking import Ranking
from ..row import Row
from ..work import percent

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 16, 48
_LABEL_HEIGHT = 13.0
_NAMED = 60
"""Points that may have a name, the best ones: there is no room for more. Every point says its name on a touch."""
_LONGEST_LABEL = 24
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
    """A method on the quality-versus-cost plot."""

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


class CostPlot(NamedTuple):
    """Score against what unlearning takes."""

    cost: str
    """What that is, in words."""
    points: list[Point]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    frontier: str
    """The steps of the best score reached for at most that cost, as an SVG path."""


class _Axis(NamedTuple):
    """What the cost of a row is."""

    name: str
    of: Callable[[Row], float | None]
    least: float
    """What takes less, such as the no-op, would squeeze every other point to one side."""
    text: Callable[[float], str]


_WORK = _Axis(
    "work, as a share of retraining",
    lambda row: row.retraining.value if row.retraining else None,
    1e-4,
    lambda value: f"{100 * value:.3g} %",
)
_TIME = _Axis("time of unlearning", lambda row: row.unlearn_seconds, 0.1, lambda value: f"{value:,.4g} s")


def cost_plot(board: Ranking, links: dict[str, str]) -> CostPlot | None:
    """Lays out score against cost (logarithmic), or returns None if nothing has both.

    The cost is the work as a share of retraining's, which is the same on every machine; where there is no oracle to compare
    it with, it is the time, on a board of a single device.

    Args:
        board: The ranking.
        links: The page of each row, by the row's name.
    """
    axis = _WORK if any(map(_WORK.of, board.rows)) else _TIME
    rows = [row for row in board.rows if row.score is not None and axis.of(row) is not None]
    if not any(map(axis.of, rows)) or (axis is _TIME and len(board.devices) > 1):
        return None
    costs = {row.name: max(axis.of(row) or 0.0, axis.least) for row in rows}
    low = math.floor(math.log10(min(costs.values())))
    high = math.ceil(math.log10(max(costs.values())) - 1e-9)

    def across(value: float) -> float:
        return LEFT + (math.log10(value) - low) / max(high - low, 1) * (WIDTH - LEFT - RIGHT)

    def up(score: float) -> float:
        return TOP + (1 - score) * (HEIGHT - TOP - BOTTOM)

    places = {row.name: (across(costs[row.name]), up(row.score or 0.0)) for row in rows}
    labels = _Labels(list(places.values()))
    points = []
    for index, row in enumerate(sorted(rows, key=lambda row: (-(row.score or 0), row.name))):
        x, y = places[row.name]
        text = row.name if len(row.name) <= _LONGEST_LABEL else f"{row.method} …"
        label = labels.place(text, x, y) if index < _NAMED else None
        ends = (up(row.interval.low), up(row.interval.high)) if row.interval else (y, y)
        title = f"{row.name}: score {row.score:.3f}, {_cost_text(row)}"
        points.append(Point(row.name, row.role, x, y, *ends, label, links[row.name], title))
    return CostPlot(
        axis.name,
        points,
        [Tick(across(10.0**power), axis.text(10.0**power)) for power in range(low, high + 1)],
        [Tick(up(score / 4), f"{score / 4:.2f}") for score in range(5)],
        _frontier([point for point in points if point.role == "method" and point.y < up(0.0)]),
    )


class _Labels:
    """Puts names where they cover neither one another nor a point.

    Args:
        points: All points, ``(x, y)``.
    """

    def __init__(self, points: list[tuple[float, float]]) -> None:
        self._taken = [(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in points]

    def place(self, text: str, x: float, y: float) -> Label | None:
        """Returns where a point's name goes, as near as there is room, if there is any."""
        width = len(text) * _LABEL_WIDTH
        shifts = [0.0, *(sign * step * _LABEL_HEIGHT for step in range(1, 24) for sign in (-1, 1))]
        for shift in shifts:
            for anchor, side in (("start", 1), ("end", -1)):
                start = x + side * (_RADIUS + 3)
                left = start if side > 0 else start - width
                box = (left, y + shift - _LABEL_HEIGHT / 2, left + width, y + shift + _LABEL_HEIGHT / 2)
                inside = box[0] >= LEFT and box[2] <= WIDTH and box[1] >= TOP - 8 and box[3] <= HEIGHT - BOTTOM + 6
                if inside and not any(_overlap(box, other) for other in self._taken):
                    self._taken.append(box)
                    leader = f"M{x:.1f} {y:.1f}L{start:.1f} {y + shift:.1f}" if shift else ""
                    return Label(text, start, y + shift + 4, anchor, leader)
        return None


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _frontier(points: list[Point]) -> str:
    path, best = "", math.inf
    for point in sorted(points, key=lambda point: (point.x, point.y)):
        if point.y < best:
            path += f"M{point.x:.1f} {point.y:.1f}" if not path else f"H{point.x:.1f}V{point.y:.1f}"
            best = point.y
    return path + f"H{WIDTH - RIGHT}" if path else ""


def _cost_text(row: Row) -> str:
    parts = [] if row.retraining is None else [f"{percent(row.retraining.value)} of retraining's work"]
    parts += [] if row.unlearn_seconds is None else [f"{row.unlearn_seconds:.1f} s"]
    return ", ".join(parts) or "no cost"
