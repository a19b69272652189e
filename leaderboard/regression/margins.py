"""What a regression is measured in: what a family's tracks score, which way is worse, and how much worse is too much.

Data, so that the check has no case for any metric and its page prints what is applied.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from ...benchmark.errors import BenchmarkError, unknown_name
from ...benchmark.family import Component, Family, Gate, Margin, Track

GATE_SHARE = 0.25
"""A gated metric's margin is where the board takes away this share of its utility, which is always beyond the gate's noise."""


OTHER_MARGIN = Margin(0.1, relative=True)
"""Of a quantity that declares none, and of every metric of a family that is scored on no track."""


Worse = Literal["less", "more", "off target", "short of target", "below goal", "above goal"]


class Target(NamedTuple):
    """What the reference rows reached."""

    oracle: float
    original: float | None = None


class Measure(NamedTuple):
    """A metric with the way in which it gets worse."""

    metric: str
    worse: Worse
    margin: Margin
    goal: float = 0.0

    @property
    def needs_target(self) -> bool:
        """Whether it is held against the oracle."""
        return self.worse in ("off target", "short of target")

    def badness(self, value: float, target: Target | None) -> float:
        """Returns a number that grows as the metric gets worse.

        Args:
            value: The metric.
            target: Of what is worse the further it is ``off target``, on either side of the oracle, or ``short of target``,
                on the original's side alone; where no original is known, both are the same.
        """
        if self.worse == "less":
            return -value
        if self.worse == "more":
            return value
        if self.needs_target:
            if target is None:
                raise ValueError(f"{self.metric} needs a target")
            off = value - target.oracle
            if self.worse == "off target" or target.original is None:
                return abs(off)
            return max(0.0, off if target.original >= target.oracle else -off)
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
    chosen: dict[str, Measure] = {}
    for measure in found:
        known = chosen.setdefault(measure.metric, measure)
        # What one track holds to both sides of the oracle may not leave on the far one, whatever another track says.
        if (known.worse, measure.worse) == ("short of target", "off target"):
            chosen[measure.metric] = measure
    return [_with_margin(measure, margins or {}) for name, measure in chosen.items() if name in directions]


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
            gate.quantity.margin or _share_of(gate),
        )
        for gate in track.gates
    ]
    return parts + gates


def _share_of(gate: Gate) -> Margin:
    return Margin(gate.noise + GATE_SHARE * (gate.margin - gate.noise), gate.relative)


def _worse(part: Component) -> Worse:
    if part.kind == "goal":
        return "below goal" if part.quantity.direction == "max" else "above goal"
    if part.kind == "reach":
        return "short of target"
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
