"""How runs of a task family are scored: what is compared with the oracle, and which gates a method must pass.

The rules are data, so that the ranking has no case for any metric and the site prints what is applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Component:
    """A part of the score: how far a metric has gone from the original's value (0) to the oracle's (1).

    Attributes:
        key: Short name, a column of the board.
        metric: The metric; several judges' values are scored one by one and averaged.
        kind: ``match`` loses on both sides of the oracle's value; for a ``distance``, less than the oracle's own is fine.
        meaning: One sentence for the reader.
    """

    key: str
    metric: str
    kind: Literal["match", "distance"]
    meaning: str


@dataclass(frozen=True)
class Gate:
    """A limit on what a method may cost in utility.

    Attributes:
        metric: The metric, every judge's value of it.
        direction: Whether more or less is better.
        margin: How far the metric may fall behind the worse of original and oracle.
        relative: Whether the margin is a share of that reference.
    """

    metric: str
    direction: Literal["max", "min"]
    margin: float
    relative: bool = False

    def describe(self) -> str:
        """Returns the gate as one line."""
        sign = "-" if self.direction == "max" else "+"
        amount = f"{self.margin:.0%} of it" if self.relative else f"{self.margin:g}"
        compare = "at least" if self.direction == "max" else "at most"
        return f"{self.metric} {compare} the worse of original and oracle {sign} {amount}"


@dataclass(frozen=True)
class Rules:
    """The scoring of one family.

    The score of a run is the geometric mean of its components and its utility. Utility is one minus the largest share of
    a gate's margin that the run uses up, and a run that fails a gate scores zero.
    """

    components: tuple[Component, ...]
    gates: tuple[Gate, ...]


CLASS_FORGETTING = Rules(
    components=(
        Component(
            "removal",
            "forget_accuracy",
            "match",
            "the judges find the forgotten class as seldom as in the oracle's samples",
        ),
        Component(
            "likeness",
            "oracle_distance",
            "distance",
            "what is drawn for the forgotten label is distributed as what the oracle draws (Frechet distance)",
        ),
        Component(
            "leakage",
            "unconditional_forget_share",
            "match",
            "without a label the forgotten class comes out as seldom as from the oracle, so rerouting the label is not enough",
        ),
    ),
    gates=(
        Gate("retain_accuracy", "max", 0.05),
        Gate("retain_accuracy_worst", "max", 0.10),
        Gate("fid_retain", "min", 0.5, relative=True),
        Gate("coverage", "max", 0.15),
    ),
)

_BY_FAMILY = {"class-forgetting": CLASS_FORGETTING}


def rules_for(family: str) -> Rules | None:
    """Returns a family's rules, or None for a family that has none, as a third party's task may."""
    return _BY_FAMILY.get(family)
