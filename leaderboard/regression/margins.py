"""What a regression is measured in: the metrics of a family's rules, which way is worse, and how much worse is too much.

Data, so that the check has no case for any metric and its page prints what is applied.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from ...benchmark.errors import BenchmarkError, unknown_name
from ...benchmark.family import Margin, Track
from ..ranking import tracks_of

GATE_SHARE = 0.5
"""A gated metric's margin is this share of what the board's gate allows."""


OTHER_MARGIN = Margin(0.1, relative=True)
"""Of a metric without rules, as a third party's task may have."""


class Measure(NamedTuple):
    """A metric with the way in which it gets worse."""

    metric: str
    worse: Literal["less", "more", "off target", "short of goal"]
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
        return max(0.0, self.goal - value) if self.goal > 0 else max(0.0, value - self.goal)


def measures(family: str, directions: Mapping[str, str], margins: Mapping[str, float] | None = None) -> list[Measure]:
    """Returns what is guarded in a family: gates and components of its rules, or what has a direction if it has no rules.

    Args:
        family: The task's family.
        directions: The metrics that were measured, by name, each with its direction.
        margins: Margins to use instead of the defaults, in the units of the defaults.

    Raises:
        BenchmarkError: A margin is not a positive number.
    """
    known = tracks_of(family)
    found = _by_rules(known) if known else _by_direction(directions)
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


def _by_rules(tracks: tuple[Track, ...]) -> list[Measure]:
    found = []
    for track in tracks:
        for part in track.components:
            worse: Literal["more", "off target", "short of goal"] = (
                "more" if part.kind == "distance" else "off target" if part.kind == "match" else "short of goal"
            )
            found.append(Measure(part.quantity.name, worse, part.quantity.margin or OTHER_MARGIN, part.goal))
        for gate in track.gates:
            margin = gate.quantity.margin or Margin(GATE_SHARE * gate.margin, gate.relative)
            found.append(Measure(gate.quantity.name, "less" if gate.quantity.direction == "max" else "more", margin))
    return found


def _by_direction(directions: Mapping[str, str]) -> list[Measure]:
    worse: dict[str, Literal["less", "more"]] = {"max": "less", "min": "more"}
    return [Measure(name, worse[way], OTHER_MARGIN) for name, way in directions.items() if way in worse]


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
