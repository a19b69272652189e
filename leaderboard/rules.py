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
        kind: ``match`` loses on both sides of the oracle's value; for a ``distance``, less than the oracle's own is fine;
            a ``goal`` does without an oracle and is reached at a fixed value.
        meaning: One sentence for the reader.
        goal: The value at which a ``goal`` is reached.
    """

    key: str
    metric: str
    kind: Literal["match", "distance", "goal"]
    meaning: str
    goal: float = 0.0


@dataclass(frozen=True)
class Gate:
    """A limit on what a method may cost in utility.

    Attributes:
        metric: The metric, every judge's value of it.
        direction: Whether more or less is better.
        margin: How far the metric may fall behind the worse of original and oracle, or behind the original alone on a
            track without an oracle.
        relative: Whether the margin is a share of that reference.
    """

    metric: str
    direction: Literal["max", "min"]
    margin: float
    relative: bool = False

    def describe(self, oracle: bool = True) -> str:
        """Returns the gate as one line; without an oracle it is measured from the original."""
        sign = "-" if self.direction == "max" else "+"
        amount = f"{self.margin:.0%} of it" if self.relative else f"{self.margin:g}"
        compare = "at least" if self.direction == "max" else "at most"
        reference = "the worse of original and oracle" if oracle else "the original"
        return f"{self.metric} {compare} {reference} {sign} {amount}"


@dataclass(frozen=True)
class Column:
    """A column of the board with a metric in it.

    Attributes:
        title: Its heading.
        metric: The metric, one value a judge.
        hint: One sentence for the reader.
        short: Its heading on the terminal, which shows the less favourable judge; empty to leave it out there.
        worse: Which of two judges' values is the less favourable.
    """

    title: str
    metric: str
    hint: str
    short: str = ""
    worse: Literal["max", "min"] = "max"


@dataclass(frozen=True)
class Rules:
    """The scoring of one family, or of one of its tracks, which are never merged.

    The score of a run is the geometric mean of its components and its utility. Utility is one minus the largest share of
    a gate's margin that the run uses up, and a run that fails a gate scores zero.
    """

    components: tuple[Component, ...]
    gates: tuple[Gate, ...]
    columns: tuple[Column, ...] = ()
    destination: str = ""
    """The per-class metric that tells what the samples show."""
    track: str = ""
    """What the score asks, where a family is asked more than one thing."""

    @property
    def oracle(self) -> bool:
        """Whether scores are relative to an oracle."""
        return any(part.kind != "goal" for part in self.components)


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
    columns=(
        Column(
            "Forget acc.",
            "forget_accuracy",
            "Share of samples for the forgotten label that a judge takes for it",
            "forget",
        ),
        Column(
            "Retain acc.",
            "retain_accuracy",
            "Share of samples for the other labels that a judge takes for theirs",
            "retain",
            "min",
        ),
        Column("Worst class", "retain_accuracy_worst", "The retained class that suffers most"),
        Column(
            "FID", "fid_retain", "Frechet distance of retained samples to real images, in a judge's features", "FID"
        ),
        Column("Oracle dist.", "oracle_distance", "Frechet distance of forgotten-label samples to the oracle's"),
    ),
    destination="forget_destination",
)

ONE_SHOT = Rules(
    components=(
        Component("removal", "feature_ratio", "match", "the forgotten class comes out as seldom as from the oracle"),
        Component(
            "likeness", "oracle_distance", "distance", "samples are distributed as the oracle's (Frechet distance)"
        ),
    ),
    gates=(
        Gate("fid_retain", "min", 0.5, relative=True),
        Gate("coverage", "max", 0.15),
    ),
    columns=(
        Column(
            "Feature ratio", "feature_ratio", "Share of samples that a judge takes for the forgotten class", "ratio"
        ),
        Column("FID kept", "fid_retain", "Frechet distance of the samples of other classes to real ones", "FID kept"),
        Column("FID", "fid", "Frechet distance of all samples to real images of the retained classes", "FID"),
        Column("Oracle dist.", "oracle_distance", "Frechet distance of all samples to the oracle's"),
        Column("Steps to goal", "steps_to_threshold", "First step with a feature ratio below the task's threshold"),
        Column("FID at goal", "fid_at_threshold", "FID of the model at that step"),
    ),
    destination="sample_share",
)

_HOLE_COLUMNS = (
    Column(
        "Forget error",
        "hole_error_forget",
        "Mean squared error in the holes of forgotten test pictures",
        "forget",
        "min",
    ),
    Column("Train error", "hole_error_forget_train", "The same on the forgotten training pictures"),
    Column("Retain error", "hole_error_retain", "Mean squared error in the holes of retained test pictures", "retain"),
    Column("Near error", "hole_error_near", "The same on the retained classes that look most like the forgotten ones"),
    Column("Unseen error", "hole_error_unseen", "The same on pictures of a kind that the model was never trained on"),
    Column(
        "Judge acc.",
        "judge_accuracy_forget",
        "Share of whole forgotten pictures, filled, that a judge takes for theirs",
    ),
)
_HOLE_GATES = (
    Gate("hole_error_retain", "min", 0.25, relative=True),
    Gate("hole_error_near", "min", 0.5, relative=True),
)

SUPPRESSION = Rules(
    track="suppression",
    components=(
        Component(
            "suppression",
            "suppression",
            "goal",
            "how far the error in forgotten pictures' holes went from the original's to that of Gaussian noise",
            goal=1.0,
        ),
        Component(
            "in weights",
            "suppression_bare",
            "goal",
            "the same for the bare network, without whatever was put around it, so that a gate is not enough",
            goal=1.0,
        ),
    ),
    gates=_HOLE_GATES,
    columns=_HOLE_COLUMNS,
)

INDISTINGUISHABILITY = Rules(
    track="indistinguishability",
    components=(
        Component(
            "test error", "hole_error_forget", "match", "forgotten test pictures are filled as badly as by the oracle"
        ),
        Component(
            "train error",
            "hole_error_forget_train",
            "match",
            "and so are the training pictures that were forgotten, which betray membership",
        ),
        Component(
            "likeness",
            "oracle_distance_forget",
            "distance",
            "what is filled in is what the oracles fill in (mean squared difference in the hole)",
        ),
    ),
    gates=_HOLE_GATES,
    columns=(
        *_HOLE_COLUMNS,
        Column("Oracle diff.", "oracle_distance_forget", "Mean squared difference from what the oracles fill in"),
    ),
)

CLASS_SUPPRESSION = Rules(
    track="suppression",
    components=(Component("removal", "forget_accuracy", "goal", "the judges no longer find the forgotten class"),),
    gates=(
        Gate("retain_accuracy", "max", 0.05),
        Gate("retain_accuracy_near", "max", 0.10),
        Gate("fid_retain", "min", 0.5, relative=True),
        Gate("coverage", "max", 0.15),
    ),
    columns=(
        *CLASS_FORGETTING.columns[:2],
        Column("Near classes", "retain_accuracy_near", "The same for the classes most like the forgotten one"),
        CLASS_FORGETTING.columns[3],
    ),
    destination="forget_destination",
)

_BY_FAMILY = {
    "class-forgetting": (CLASS_FORGETTING,),
    "class-suppression": (CLASS_SUPPRESSION,),
    "one-shot": (ONE_SHOT,),
    "image-to-image": (SUPPRESSION, INDISTINGUISHABILITY),
}

FAMILIES = tuple(_BY_FAMILY)
"""The families that have rules."""


def rules_for(family: str) -> tuple[Rules, ...]:
    """Returns a family's rules, one a track; none for a family that has none, as a third party's task may."""
    return _BY_FAMILY.get(family, ())
