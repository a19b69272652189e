"""What class suppression, class forgetting without an oracle, measures and how it is scored. Nothing here needs PyTorch."""

from __future__ import annotations

from ...benchmark.family import Component, Family, Gate, Margin, Quantity, Track

FORGET_ACCURACY = Quantity(
    "forget_accuracy",
    "min",
    "Forget acc.",
    "Share of samples for the forgotten label that a judge takes for it",
    short="forget",
    headline=True,
    margin=Margin(0.05),
)
RETAIN_ACCURACY = Quantity(
    "retain_accuracy",
    "max",
    "Retain acc.",
    "Share of samples for the other labels that a judge takes for theirs",
    short="retain",
    less_favourable="min",
    headline=True,
)
NEAR_ACCURACY_CLASS = Quantity("near_accuracy_class", "max", by_label=True)
RETAIN_ACCURACY_NEAR = Quantity(
    "retain_accuracy_near",
    "max",
    "Near classes",
    "The same for the classes most like the forgotten one",
    mean_of=NEAR_ACCURACY_CLASS,
)
UNCONDITIONAL_FORGET_SHARE = Quantity("unconditional_forget_share", "info")
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
OFF_MANIFOLD = Quantity("off_manifold", "info")


FAMILY = Family(
    name="class-suppression",
    quantities=(
        FORGET_ACCURACY,
        RETAIN_ACCURACY,
        RETAIN_ACCURACY_NEAR,
        NEAR_ACCURACY_CLASS,
        UNCONDITIONAL_FORGET_SHARE,
        FORGET_DESTINATION,
        FID_RETAIN,
        KID_RETAIN,
        PRECISION,
        RECALL,
        DENSITY,
        COVERAGE,
        OFF_MANIFOLD,
    ),
    tracks=(
        Track(
            name="suppression",
            components=(
                Component("removal", FORGET_ACCURACY, "goal", "the judges no longer find the forgotten class"),
            ),
            gates=(
                Gate(RETAIN_ACCURACY, 0.05),
                Gate(RETAIN_ACCURACY_NEAR, 0.10),
                Gate(FID_RETAIN, 0.5, relative=True),
                Gate(COVERAGE, 0.15),
            ),
            columns=(FORGET_ACCURACY, RETAIN_ACCURACY, RETAIN_ACCURACY_NEAR, FID_RETAIN),
            destination=FORGET_DESTINATION,
        ),
    ),
)
