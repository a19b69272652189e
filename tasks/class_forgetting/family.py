"""What class forgetting measures and how it is scored. Nothing here needs PyTorch."""

from __future__ import annotations

from ...benchmark.family import Component, Family, Gate, Margin, Quantity, Track

_DISTANCE = Margin(0.25, relative=True)
"""Distances are relative, since their scale is the task's."""

FORGET_ACCURACY = Quantity(
    "forget_accuracy",
    "match",
    "Forget acc.",
    "Share of samples for the forgotten label that a judge takes for it",
    short="forget",
    headline=True,
    margin=Margin(0.05),
)
UNCONDITIONAL_FORGET_SHARE = Quantity("unconditional_forget_share", "match", margin=Margin(0.03))
RETAIN_ACCURACY_CLASS = Quantity("retain_accuracy_class", "max", by_label=True)
RETAIN_ACCURACY = Quantity(
    "retain_accuracy",
    "max",
    "Retain acc.",
    "Share of samples for the other labels that a judge takes for theirs",
    short="retain",
    less_favourable="min",
    headline=True,
    mean_of=RETAIN_ACCURACY_CLASS,
)
FORGET_DESTINATION = Quantity("forget_destination", "info", by_label=True)
FID_RETAIN = Quantity(
    "fid_retain",
    "min",
    "FID",
    "Frechet distance of retained samples to real images, in a judge's features",
    short="FID",
    headline=True,
)
KID_RETAIN = Quantity("kid_retain", "min")
PRECISION = Quantity("precision", "max")
RECALL = Quantity("recall", "max")
DENSITY = Quantity("density", "max")
COVERAGE = Quantity("coverage", "max")
OFF_MANIFOLD = Quantity("off_manifold", "match")
ORACLE_DISTANCE = Quantity(
    "oracle_distance",
    "match",
    "Oracle dist.",
    "Frechet distance of forgotten-label samples to the oracle's",
    headline=True,
    margin=_DISTANCE,
)
ORACLE_DISTANCE_RETAIN = Quantity("oracle_distance_retain", "match")
ORACLE_DISTANCE_NULL = Quantity("oracle_distance_null", "match")
ORACLE_NOISE_FORGET = Quantity("oracle_noise_forget", "match", variants=True)
ORACLE_NOISE_RETAIN = Quantity("oracle_noise_retain", "match", variants=True)
JUDGE_ACCURACY = Quantity("judge_accuracy", "info")
RETAIN_ACCURACY_WORST = Quantity(
    "retain_accuracy_worst",
    "max",
    "Worst class",
    "The retained class that suffers most",
    headline=True,
    worst_of=RETAIN_ACCURACY_CLASS,
)


FAMILY = Family(
    name="class-forgetting",
    quantities=(
        FORGET_ACCURACY,
        UNCONDITIONAL_FORGET_SHARE,
        RETAIN_ACCURACY,
        RETAIN_ACCURACY_WORST,
        RETAIN_ACCURACY_CLASS,
        FORGET_DESTINATION,
        FID_RETAIN,
        KID_RETAIN,
        PRECISION,
        RECALL,
        DENSITY,
        COVERAGE,
        OFF_MANIFOLD,
        ORACLE_DISTANCE,
        ORACLE_DISTANCE_RETAIN,
        ORACLE_DISTANCE_NULL,
        ORACLE_NOISE_FORGET,
        ORACLE_NOISE_RETAIN,
        JUDGE_ACCURACY,
    ),
    tracks=(
        Track(
            components=(
                Component(
                    "removal",
                    FORGET_ACCURACY,
                    "match",
                    "the judges find the forgotten class as seldom as in the oracle's samples",
                ),
                Component(
                    "likeness",
                    ORACLE_DISTANCE,
                    "distance",
                    "what is drawn for the forgotten label is distributed as what the oracle draws (Frechet distance)",
                ),
                Component(
                    "leakage",
                    UNCONDITIONAL_FORGET_SHARE,
                    "match",
                    "without a label the forgotten class comes out as seldom as from the oracle, "
                    "so rerouting the label is not enough",
                ),
            ),
            gates=(
                Gate(RETAIN_ACCURACY, 0.05),
                Gate(RETAIN_ACCURACY_WORST, 0.10),
                Gate(FID_RETAIN, 0.5, relative=True),
                Gate(COVERAGE, 0.15),
            ),
            columns=(FORGET_ACCURACY, RETAIN_ACCURACY, RETAIN_ACCURACY_WORST, FID_RETAIN, ORACLE_DISTANCE),
            destination=FORGET_DESTINATION,
        ),
    ),
)
