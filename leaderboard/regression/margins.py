"""What a regression is measured in: what a family's tracks score, which way is worse, and how much worse is too much.

Data, so that the check has no case for any metric and its page prints what is applied.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from ...benchmark.errors import BenchmarkError, unknown_name
from ...benchmark.family import Component, Family, Margin, Track

GATE_SHARE = 0.5
"""A gated metric's margin is this share of what the board's gate allows."""


OTHER_MARGIN = Margin(0.1, relative=True)
"""Of a quantity that declares none, and of every metric of a family that is scored on no track."""


Worse = Literal["less", "more", "off target", "below goal", "above goal"]


class Measure(NamedTuple):
    """A metric with the way in which it gets worse."""

    metric: str
    worse: Worse
    margin: Margin
    goal: float = 0.0

    def badness(self, value: float, target: float | None) -> float:
        """Returns a number that grows as the metric gets worse.

        Args:
            value: The metric.
            target: The oracle's value, for what is worse the further it is ``off target``.
        """
        if self.worse == "less":
            return -value
        if self.worse == "more":
            return value
        if self.worse == "off target":
            if target is None:
                raise ValueError(f"{self.metric} needs a target")
            return abs(value - target)
        # To go beyond a goal is no worse than to reach it.
        return max(0.0, self.goal - value if self.worse == "below goal" else value - self.goal)


def measures(
    family: Family | None, directions: Mapping[str, str], margins: Mapping[str, float] | None = None
) -> list[Measure]:
    """Returns what is guarded in a family: components and gates of its tracks, or what has a direction if it has no track.

    Args:
        family: The task's family, or None if it is not known here.
        directions: The metrics that were measured, by name, each with its direction.
        margins: Margins to use instead of the defaults, in the units of the defaults.

    Raises:
        BenchmarkError: A margin is not a positive number.
    """
    tracks = family.tracks if family is not None else ()
    found = [measure for track in tracks for measure in _scored(track)] or _by_direction(directions)
    chosen = {measure.metric: measure for measure in reversed(found) if measure.metric in directions}
    return [_with_margin(measure, margins or {}) for measure in reversed(chosen.values())]


def check_margins(margins: Mapping[str, float], known: set[str]) -> None:
    """Raises if a margin is for a metric that is not there, which a typing mistake would otherwise leave at its default.

    Raises:
        BenchmarkError: One is.
    """
    for name in margins:
        if name not in known:
            raise unknown_name("guarded metric", name, known)


def _scored(track: Track) -> list[Measure]:
    parts = [
        Measure(part.quantity.name, _worse(part), part.quantity.margin or OTHER_MARGIN, part.goal)
        for part in track.components
    ]
    gates = [
        Measure(
            gate.quantity.name,
            _away_from(gate.quantity.direction),
            gate.quantity.margin or Margin(GATE_SHARE * gate.margin, gate.relative),
        )
        for gate in track.gates
    ]
    return parts + gates


def _worse(part: Component) -> Worse:
    if part.kind == "goal":
        return "below goal" if part.quantity.direction == "max" else "above goal"
    return "more" if part.kind == "distance" else "off target"


def _by_direction(directions: Mapping[str, str]) -> list[Measure]:
    return [
        Measure(name, _away_from(direction), OTHER_MARGIN)
        for name, direction in directions.items()
        if direction in ("max", "min")
    ]


def _away_from(direction: str) -> Worse:
    return "less" if direction == "max" else "more"


def as_margin(name: str, value: object) -> float:
    """Returns a margin as a number.

    Raises:
        BenchmarkError: It is not a number above zero.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise BenchmarkError(f"The margin of '{name}' cannot be {value!r}; give a number above 0, such as 0.05.")
    return float(value)


def _with_margin(measure: Measure, margins: Mapping[str, float]) -> Measure:
    if measure.metric not in margins:
        return measure
    return measure._replace(margin=Margin(as_margin(measure.metric, margins[measure.metric]), measure.margin.relative))
